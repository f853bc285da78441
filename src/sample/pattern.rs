//! Lines that match a regular expression, as an automaton over the characters of a vocabulary.

use std::ops::RangeInclusive;

use super::automaton::{Automaton, DEAD, too_large};
use crate::data::Vocab;
use crate::error::{Error, Result};

/// The state after a carriage return, which only a line feed can follow.
const AFTER_CARRIAGE_RETURN: u32 = u32::MAX - 1;
/// The maximum number of states times the maximum length of a line.
const MAX_WORK: usize = 1 << 25;

/// The lines that match a regular expression as a whole, over the characters of a vocabulary and within a range of lengths.
///
/// For a model of records, they are records, which may contain line ends. Otherwise, if the vocabulary has a carriage return, a line
/// may end with a carriage return and a line feed; neither is part of the line.
///
/// A pattern allows a character if the line can still become a match within the lengths, so no line has to be discarded.
/// The distribution of such lines differs from the model's own distribution over matching lines, which rejection gives: each
/// character is drawn without regard to how unlikely the remaining matches are.
#[derive(Clone, Debug)]
pub struct Pattern {
    vocab: usize,
    line_end: u32,
    carriage_return: Option<u32>,
    lengths: RangeInclusive<usize>,
    /// `(states, V)`: the next state after each character.
    next: Vec<u32>,
    /// `(states, words)`: bit `r` is set if exactly `r` more characters can complete a match.
    reach: Vec<u64>,
    words: usize,
}

/// How much of a [`Pattern`] has been matched: a state of the automaton and the number of characters so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternState {
    state: u32,
    chars: usize,
}

impl Pattern {
    /// The lines over `vocab` that match `regex` (in the syntax of the crate `regex`), with `lengths` characters and none of the
    /// characters in `ban`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the vocabulary has no line end, if the expression is invalid or needs too many states, or if no line
    /// matches.
    pub fn new(regex: &str, vocab: &Vocab, ban: &[u32], lengths: RangeInclusive<usize>) -> Result<Self> {
        let no_lines = || Error::Usage("cannot generate lines: the vocabulary has no line end, or it is banned".into());
        let boundary = vocab.record_boundary();
        let line_end =
            boundary.or(vocab.known_id(u32::from('\n'))).filter(|id| !ban.contains(id)).ok_or_else(no_lines)?;
        let carriage_return = vocab.known_id(u32::from('\r')).filter(|id| boundary.is_none() && !ban.contains(id));
        let never = [Some(line_end), carriage_return, vocab.unknown()];
        let is_allowed = |id: u32| !never.contains(&Some(id)) && !ban.contains(&id);
        let Automaton { next, accepting } = Automaton::new(regex, vocab, *lengths.end(), is_allowed)?;
        let words = lengths.end() / 64 + 1;
        if accepting.len().saturating_mul(*lengths.end()) > MAX_WORK {
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

    /// The id of the line end, or of the record boundary.
    pub fn line_end(&self) -> u32 {
        self.line_end
    }

    /// The maximum number of characters of a line.
    pub fn max_chars(&self) -> usize {
        *self.lengths.end()
    }

    /// The state before the first character.
    pub fn start(&self) -> PatternState {
        PatternState { state: 0, chars: 0 }
    }

    /// The state after a character; `None` if no line continues with it.
    pub fn advance(&self, from: PatternState, id: u32) -> Option<PatternState> {
        if from.state == AFTER_CARRIAGE_RETURN {
            return None;
        }
        if Some(id) == self.carriage_return {
            return self.accepts(from).then_some(PatternState { state: AFTER_CARRIAGE_RETURN, ..from });
        }
        let state = self.next[from.state as usize * self.vocab + id as usize];
        Some(PatternState { state, chars: from.chars + 1 }).filter(|next| next.state != DEAD && self.can_end(*next))
    }

    /// Whether a line may end in this state.
    pub fn accepts(&self, from: PatternState) -> bool {
        if from.state == AFTER_CARRIAGE_RETURN {
            return true;
        }
        self.lengths.contains(&from.chars) && self.reach[from.state as usize * self.words] & 1 == 1
    }

    /// The line without a carriage return at its end.
    pub fn without_carriage_return<'l>(&self, line: &'l [u32]) -> &'l [u32] {
        match line.split_last() {
            Some((last, line)) if Some(*last) == self.carriage_return => line,
            _ => line,
        }
    }

    /// Whether these characters are a whole line that matches.
    pub fn is_match(&self, line: &[u32]) -> bool {
        let end = line.iter().try_fold(self.start(), |from, id| self.advance(from, *id));
        end.is_some_and(|from| self.accepts(from))
    }

    /// Excludes the characters that cannot follow by setting their logits to minus infinity; at least one remains.
    pub fn restrict(&self, from: PatternState, logits: &mut [f32]) {
        for (id, logit) in (0..).zip(logits) {
            let allowed = if id == self.line_end { self.accepts(from) } else { self.advance(from, id).is_some() };
            if !allowed {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// The number of lines that continue from a state, counted up to `most`.
    pub fn count_from(&self, from: PatternState, most: u64) -> u64 {
        if from.state == AFTER_CARRIAGE_RETURN {
            return most.min(1);
        }
        let states = self.reach.len() / self.words;
        // The number of ways to reach each state with the current number of characters.
        let mut ways = vec![0u64; states];
        ways[from.state as usize] = 1;
        let mut lines = 0u64;
        for chars in from.chars..=self.max_chars() {
            let ends = |state: usize| self.accepts(PatternState { state: state as u32, chars });
            lines = (0..states).filter(|state| ends(*state)).fold(lines, |sum, state| sum.saturating_add(ways[state]));
            if lines >= most {
                return most;
            }
            let mut next_ways = vec![0u64; states];
            for (state, row) in self.next.chunks_exact(self.vocab).enumerate().filter(|(state, _)| ways[*state] > 0) {
                for next in row.iter().filter(|next| **next != DEAD) {
                    let to = &mut next_ways[*next as usize];
                    *to = to.saturating_add(ways[state]);
                }
            }
            ways = next_ways;
        }
        lines
    }

    fn can_end(&self, from: PatternState) -> bool {
        let Some(most) = self.max_chars().checked_sub(from.chars) else { return false };
        let least = self.lengths.start().saturating_sub(from.chars);
        let reach = &self.reach[from.state as usize * self.words..][..self.words];
        (least / 64..=most / 64).any(|word| {
            let above = if word == least / 64 { !0 << (least % 64) } else { !0 };
            let below = if word == most / 64 { !0 >> (63 - most % 64) } else { !0 };
            reach[word] & above & below != 0
        })
    }

    /// For each state, the numbers of further characters that can complete a match, by dynamic programming.
    fn reachable(&self, accepting: &[bool]) -> Vec<u64> {
        let mut reach = vec![0u64; accepting.len() * self.words];
        let successors: Vec<Vec<u32>> = (self.next.chunks_exact(self.vocab))
            .map(|row| {
                let mut states: Vec<u32> = row.iter().copied().filter(|state| *state != DEAD).collect();
                states.sort_unstable();
                states.dedup();
                states
            })
            .collect();
        (0..accepting.len()).for_each(|state| reach[state * self.words] = u64::from(accepting[state]));
        for more in 1..=self.max_chars() {
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
        fn every_choice_of_allowed_characters_ends_in_a_match(seed: u64, which in 0usize..5) {
            let regex = ["a(ba)*b?", "(a|b\u{e9}){3,9}", ".*\u{1f600}.*", "(aa|bbb)*", "[^b]{70,140}"][which];
            let (pattern, _) = pattern(regex, 1..=150);
            let mut numbers = std::iter::successors(Some(seed), |n| Some(n.wrapping_mul(6364136223846793005).wrapping_add(99)));
            let (mut state, mut line) = (pattern.start(), Vec::new());
            loop {
                let mut logits = [0.0; 5];
                pattern.restrict(state, &mut logits);
                let allowed: Vec<u32> = (0..5).filter(|id| logits[*id as usize] == 0.0).collect();
                prop_assert!(!allowed.is_empty(), "{regex}: nothing is allowed after {line:?}");
                let id = allowed[(numbers.next().unwrap() >> 33) as usize % allowed.len()];
                if id == pattern.line_end() {
                    break;
                }
                line.push(id);
                state = pattern.advance(state, id).unwrap();
            }
            prop_assert!(pattern.is_match(&line), "{regex}: {line:?}");
        }
    }

    #[test]
    fn rejects_invalid_and_unmatchable_patterns_with_one_line() {
        let vocab = vocab("\nab");
        let message = |regex: &str, lengths| Pattern::new(regex, &vocab, &[], lengths).unwrap_err().to_string();
        assert!(message("xyz", 0..=9).contains("no line"), "characters outside the vocabulary");
        assert!(message("a{5}", 0..=4).contains("no line"));
        assert!(Pattern::new("a*", &vocab, &[1, 2], 1..=9).is_err(), "banned characters");
        assert!(Pattern::new("a*", &vocab, &[0], 1..=9).unwrap_err().to_string().contains("no line end"));
        assert!(message("a\nb", 0..=9).contains("no line"), "a line has no line end in it");
        for wrong in ["(a", "a{2,1}", "[b-a]", "\\ba"] {
            let message = message(wrong, 0..=9);
            assert!(message.contains(wrong) && !message.contains('\n') && message.len() > 25, "{message}");
        }
        assert!(message("(a|b)*a(a|b){22}", 0..=99).contains("too many states"));
        assert!(message("(ab?){1,4000}", 0..=100_000).contains("too many states"));
        assert!(!message("a{99999}{999}", 0..=99).contains('\n'), "too large for memory");
        // States that only longer lines reach are not built.
        assert!(message("(a|b)*a(a|b){22}|a{999999}", 0..=9).contains("no line"));
        assert!(Pattern::new("(a|b)*a(a|b){22}|ba", &vocab, &[], 0..=9).unwrap().is_match(&[2, 1]));
        let endless = Vocab::new(Encoding::Utf8, [97, 98]);
        assert!(Pattern::new("a", &endless, &[], 0..=9).unwrap_err().to_string().contains("no line end"));
    }

    #[test]
    fn a_carriage_return_before_the_line_feed_is_not_part_of_the_line() {
        let vocab = vocab("\n\rab");
        let pattern = Pattern::new("a+", &vocab, &[], 1..=2).unwrap();
        let [end, ret, a, b] = ['\n', '\r', 'a', 'b'].map(|c| vocab.id(u32::from(c)).unwrap());
        let state = [a, a].iter().fold(pattern.start(), |state, id| pattern.advance(state, *id).unwrap());
        let allowed = |state| {
            let mut logits = [0.0; 4];
            pattern.restrict(state, &mut logits);
            [end, ret, a, b].map(|id| logits[id as usize] == 0.0)
        };
        assert_eq!(allowed(pattern.start()), [false, false, true, false]);
        assert_eq!(allowed(state), [true, true, false, false]);
        assert_eq!(allowed(pattern.advance(state, ret).unwrap()), [true, false, false, false]);
        assert!(pattern.is_match(&[a]) && pattern.is_match(&[a, a, ret]) && !pattern.is_match(&[a, ret, a]));
        assert_eq!(
            (pattern.without_carriage_return(&[a, ret]), pattern.count_from(pattern.start(), 99)),
            (&[a][..], 2)
        );
    }

    #[test]
    fn matches_single_bytes_in_byte_vocabularies() {
        let vocab = Vocab::new(Encoding::Bytes, [10, 97, 255]);
        let pattern = Pattern::new("a.", &vocab, &[], 0..=3).unwrap();
        assert!(pattern.is_match(&[1, 2]) && !pattern.is_match(&[2, 1]));
    }
}
