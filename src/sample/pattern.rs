//! Lines that match a regular expression, as an automaton over the characters of a vocabulary.

use std::ops::RangeInclusive;

use super::explorer::{Explorer, NOWHERE, too_large};
use crate::data::Vocab;
use crate::error::{Error, Result};

/// Behind the carriage return that ends a line together with the line feed.
const RETURNED: u32 = u32::MAX - 1;
/// States times characters of a line at most.
const MOST_WORK: usize = 1 << 25;

/// The lines that may be written: those that match a regular expression as a whole, of some lengths, and of the characters of a
/// vocabulary, the line end aside. Where the vocabulary has a carriage return, a line may end with it and the line feed; it does
/// not belong to the line.
///
/// It steers: a character is allowed where the line can still come to a match within the lengths, so that none is ever thrown
/// away. That is another distribution than the model's own over matching lines, which throwing away gives: the model does not know,
/// when it chooses a character, how unlikely every end is that the expression leaves after it.
#[derive(Clone, Debug)]
pub struct Pattern {
    vocab: usize,
    line_end: u32,
    carriage_return: Option<u32>,
    lengths: RangeInclusive<usize>,
    /// `(states, V)`: where a character leads.
    next: Vec<u32>,
    /// `(states, words)`: bit `r` is set where exactly `r` characters more can make a match.
    reach: Vec<u64>,
    words: usize,
}

/// A place in a [`Pattern`]: a state, and how many characters have led there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    state: u32,
    written: usize,
}

impl Pattern {
    /// The lines over `vocab` that match `regex` (the syntax of the crate `regex`), with as many characters as `lengths` says, and
    /// none of the characters `ban`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the vocabulary has no line end, the expression is not one or takes too many states, or no line
    /// of those characters and lengths matches.
    pub fn new(regex: &str, vocab: &Vocab, ban: &[u32], lengths: RangeInclusive<usize>) -> Result<Self> {
        let none = || Error::Usage("the model knows no line end, or it is banned: it writes no lines".into());
        let line_end = vocab.id(u32::from('\n')).filter(|id| !ban.contains(id)).ok_or_else(none)?;
        let carriage_return = vocab.id(u32::from('\r')).filter(|id| !ban.contains(id));
        let open = |id: u32| id != line_end && Some(id) != carriage_return && !ban.contains(&id);
        let (next, accepting) = Explorer::new(regex, vocab)?.explore(vocab, *lengths.end(), open)?;
        let words = lengths.end() / 64 + 1;
        if accepting.len().saturating_mul(*lengths.end()) > MOST_WORK {
            return Err(too_large(regex));
        }
        let (vocab, reach) = (vocab.len(), Vec::new());
        let mut pattern = Pattern { vocab, line_end, carriage_return, lengths, next, reach, words };
        pattern.reach = pattern.reachable(&accepting);
        if !pattern.can_end(pattern.start()) {
            return Err(Error::Usage(format!(
                "pattern \"{}\": no line of {} to {} characters in the model's vocabulary matches; change the pattern or \
                 the lengths",
                regex.escape_debug(),
                pattern.lengths.start(),
                pattern.lengths.end()
            )));
        }
        Ok(pattern)
    }

    /// The id of the line end.
    pub fn line_end(&self) -> u32 {
        self.line_end
    }

    /// Characters of a line at most.
    pub fn longest(&self) -> usize {
        *self.lengths.end()
    }

    /// The beginning of a line.
    pub fn start(&self) -> Place {
        Place { state: 0, written: 0 }
    }

    /// Where a character leads; `None` where no line goes on with it.
    pub fn follow(&self, place: Place, id: u32) -> Option<Place> {
        if place.state == RETURNED {
            return None;
        }
        if Some(id) == self.carriage_return {
            return self.accepts(place).then_some(Place { state: RETURNED, ..place });
        }
        let state = self.next[place.state as usize * self.vocab + id as usize];
        Some(Place { state, written: place.written + 1 }).filter(|next| next.state != NOWHERE && self.can_end(*next))
    }

    /// Whether a line may end here.
    pub fn accepts(&self, place: Place) -> bool {
        if place.state == RETURNED {
            return true;
        }
        self.lengths.contains(&place.written) && self.reach[place.state as usize * self.words] & 1 == 1
    }

    /// The line without a carriage return at its end.
    pub fn trimmed<'l>(&self, line: &'l [u32]) -> &'l [u32] {
        match line.split_last() {
            Some((last, line)) if Some(*last) == self.carriage_return => line,
            _ => line,
        }
    }

    /// Whether these characters are a whole line that may be written.
    pub fn is_match(&self, line: &[u32]) -> bool {
        let end = line.iter().try_fold(self.start(), |place, id| self.follow(place, *id));
        end.is_some_and(|place| self.accepts(place))
    }

    /// Rules out, by a logit of minus infinity, what may not come next. Something always may.
    pub fn restrict(&self, place: Place, logits: &mut [f32]) {
        for (id, logit) in (0..).zip(logits) {
            let allowed = if id == self.line_end { self.accepts(place) } else { self.follow(place, id).is_some() };
            if !allowed {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// How many lines go on from a place, counted up to `most`.
    pub fn count_from(&self, place: Place, most: u64) -> u64 {
        if place.state == RETURNED {
            return most.min(1);
        }
        let states = self.reach.len() / self.words;
        // Ways from the place to each state in some number of characters.
        let mut ways = vec![0u64; states];
        ways[place.state as usize] = 1;
        let mut lines = 0u64;
        for written in place.written..=self.longest() {
            let ends = |state: usize| self.accepts(Place { state: state as u32, written });
            lines = (0..states).filter(|state| ends(*state)).fold(lines, |sum, state| sum.saturating_add(ways[state]));
            if lines >= most {
                return most;
            }
            let mut further = vec![0u64; states];
            for (state, row) in self.next.chunks_exact(self.vocab).enumerate().filter(|(state, _)| ways[*state] > 0) {
                for next in row.iter().filter(|next| **next != NOWHERE) {
                    let to = &mut further[*next as usize];
                    *to = to.saturating_add(ways[state]);
                }
            }
            ways = further;
        }
        lines
    }

    /// Whether some number of characters more makes a line of the lengths asked for.
    fn can_end(&self, place: Place) -> bool {
        let Some(most) = self.longest().checked_sub(place.written) else { return false };
        let least = self.lengths.start().saturating_sub(place.written);
        let reach = &self.reach[place.state as usize * self.words..][..self.words];
        (least / 64..=most / 64).any(|word| {
            let above = if word == least / 64 { !0 << (least % 64) } else { !0 };
            let below = if word == most / 64 { !0 >> (63 - most % 64) } else { !0 };
            reach[word] & above & below != 0
        })
    }

    /// From each state, the numbers of characters that make a match, by dynamic programming over those numbers.
    fn reachable(&self, accepting: &[bool]) -> Vec<u64> {
        let mut reach = vec![0u64; accepting.len() * self.words];
        let successors: Vec<Vec<u32>> = (self.next.chunks_exact(self.vocab))
            .map(|row| {
                let mut states: Vec<u32> = row.iter().copied().filter(|state| *state != NOWHERE).collect();
                states.sort_unstable();
                states.dedup();
                states
            })
            .collect();
        (0..accepting.len()).for_each(|state| reach[state * self.words] = u64::from(accepting[state]));
        for more in 1..=self.longest() {
            for (state, successors) in successors.iter().enumerate() {
                let before = |next: &u32| reach[*next as usize * self.words + (more - 1) / 64] >> ((more - 1) % 64) & 1;
                if successors.iter().any(|next| before(next) == 1) {
                    reach[state * self.words + more / 64] |= 1 << (more % 64);
                }
            }
        }
        reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;
    use proptest::prelude::*;

    fn vocab(chars: &str) -> Vocab {
        Vocab::new(Encoding::Utf8, chars.chars().map(u32::from))
    }

    fn pattern(regex: &str, lengths: RangeInclusive<usize>) -> (Pattern, Vocab) {
        let vocab = vocab("\nab\u{e9}\u{1f600}");
        (Pattern::new(regex, &vocab, &[], lengths).unwrap(), vocab)
    }

    /// Every line of `chars` up to that length.
    fn all(chars: &str, most: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut longest = lines.clone();
        for _ in 0..most {
            longest = longest.iter().flat_map(|line| chars.chars().map(move |c| format!("{line}{c}"))).collect();
            lines.extend(longest.clone());
        }
        lines
    }

    #[test]
    fn agrees_with_a_regex_engine_on_every_short_line() {
        for regex in [
            "a|ab",
            "a(aa|b)a?",
            "(ab)*",
            "[^a]{2,3}",
            "a.?\u{e9}+",
            "\\w*",
            "(?i)A+B?",
            "|aa",
            "a*$",
            "^b.*",
            "[ab\u{1f600}]{2}",
        ] {
            for lengths in [0..=5, 2..=3] {
                let (pattern, vocab) = pattern(regex, lengths.clone());
                let engine = regex_automata::meta::Regex::new(&format!("^(?:{regex})$")).unwrap();
                let lines = all("ab\u{e9}\u{1f600}", 5);
                let matches =
                    |line: &&String| lengths.contains(&line.chars().count()) && engine.is_match(line.as_str());
                let mut count = 0;
                for line in &lines {
                    let ids = vocab.encode(line.as_bytes()).unwrap();
                    assert_eq!(pattern.is_match(&ids), matches(&line), "{regex} {lengths:?} {line:?}");
                    count += u64::from(matches(&line));
                }
                let counted = |most| pattern.count_from(pattern.start(), most);
                assert_eq!((counted(u64::MAX), counted(2)), (count, count.min(2)), "{regex} {lengths:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_drawn_among_what_is_allowed_ends_in_a_match(seed: u64, which in 0usize..5) {
            let regex = ["a(ba)*b?", "(a|b\u{e9}){3,9}", ".*\u{1f600}.*", "(aa|bbb)*", "[^b]{70,140}"][which];
            let (pattern, _) = pattern(regex, 1..=150);
            let mut numbers = std::iter::successors(Some(seed), |n| Some(n.wrapping_mul(6364136223846793005).wrapping_add(99)));
            let (mut place, mut line) = (pattern.start(), Vec::new());
            loop {
                let mut logits = [0.0; 5];
                pattern.restrict(place, &mut logits);
                let open: Vec<u32> = (0..5).filter(|id| logits[*id as usize] == 0.0).collect();
                prop_assert!(!open.is_empty(), "{regex}: no way on after {line:?}");
                let id = open[(numbers.next().unwrap() >> 33) as usize % open.len()];
                if id == pattern.line_end() {
                    break;
                }
                line.push(id);
                place = pattern.follow(place, id).unwrap();
            }
            prop_assert!(pattern.is_match(&line), "{regex}: {line:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_in_one_line() {
        let vocab = vocab("\nab");
        let message = |regex: &str, lengths| Pattern::new(regex, &vocab, &[], lengths).unwrap_err().to_string();
        assert!(message("xyz", 0..=9).contains("no line"), "characters that the model does not know");
        assert!(message("a{5}", 0..=4).contains("no line"));
        assert!(Pattern::new("a*", &vocab, &[1, 2], 1..=9).is_err(), "characters that are banned");
        assert!(Pattern::new("a*", &vocab, &[0], 1..=9).unwrap_err().to_string().contains("no line end"));
        assert!(message("a\nb", 0..=9).contains("no line"), "a line has no line end in it");
        for wrong in ["(a", "a{2,1}", "[b-a]", "\\ba"] {
            let message = message(wrong, 0..=9);
            assert!(message.contains(wrong) && !message.contains('\n') && message.len() > 30, "{message}");
        }
        assert!(message("(a|b)*a(a|b){22}", 0..=99).contains("too many states"));
        assert!(message("(ab?){1,4000}", 0..=100_000).contains("too many states"));
        assert!(!message("a{99999}{999}", 0..=99).contains('\n'), "more than memory holds");
        // What only longer lines have takes no time and no states.
        assert!(message("(a|b)*a(a|b){22}|a{999999}", 0..=9).contains("no line"));
        assert!(Pattern::new("(a|b)*a(a|b){22}|ba", &vocab, &[], 0..=9).unwrap().is_match(&[2, 1]));
        let endless = Vocab::new(Encoding::Utf8, [97, 98]);
        assert!(Pattern::new("a", &endless, &[], 0..=9).unwrap_err().to_string().contains("no line end"));
    }

    #[test]
    fn a_carriage_return_ends_a_line_with_the_line_feed_and_does_not_count() {
        let vocab = vocab("\n\rab");
        let pattern = Pattern::new("a+", &vocab, &[], 1..=2).unwrap();
        let [end, ret, a, b] = ['\n', '\r', 'a', 'b'].map(|c| vocab.id(u32::from(c)).unwrap());
        let place = [a, a].iter().fold(pattern.start(), |place, id| pattern.follow(place, *id).unwrap());
        let allowed = |place| {
            let mut logits = [0.0; 4];
            pattern.restrict(place, &mut logits);
            [end, ret, a, b].map(|id| logits[id as usize] == 0.0)
        };
        assert_eq!(allowed(pattern.start()), [false, false, true, false]);
        assert_eq!(allowed(place), [true, true, false, false]);
        assert_eq!(allowed(pattern.follow(place, ret).unwrap()), [true, false, false, false]);
        assert!(pattern.is_match(&[a]) && pattern.is_match(&[a, a, ret]) && !pattern.is_match(&[a, ret, a]));
        assert_eq!((pattern.trimmed(&[a, ret]), pattern.count_from(pattern.start(), 99)), (&[a][..], 2));
    }

    #[test]
    fn of_bytes_every_one_is_a_character() {
        let vocab = Vocab::new(Encoding::Bytes, [10, 97, 255]);
        let pattern = Pattern::new("a.", &vocab, &[], 0..=3).unwrap();
        assert!(pattern.is_match(&[1, 2]) && !pattern.is_match(&[2, 1]));
    }
}
