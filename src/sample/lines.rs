//! Whole lines, as many as are wanted: names, tunes, molecules.

use std::collections::HashSet;

use super::batch::{Batch, Generated, StopCriteria};
use super::pattern::{Pattern, Place};
use crate::error::Result;

/// Lines drawn in a row that bring nothing new before it is given up.
pub const MOST_IN_VAIN: u64 = 10_000;
/// Characters drawn in a row that bring nothing new before it is given up.
pub const MOST_CHARS_IN_VAIN: u64 = 2_000_000;
/// Lines that match are counted beforehand up to this many.
const COUNTED: u64 = 10_000;
/// Lines that are drawn at once, at least and at most.
const ROUND: (u64, u64) = (64, 8192);

/// How lines come to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Every character is chosen among those that can still come to a match. Nothing is thrown away; the distribution is another.
    Mask,
    /// Lines are drawn freely, and thrown away if they do not match: the model's own distribution over matching lines.
    Rejection,
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// How many.
    pub count: u64,
    /// No line twice.
    pub unique: bool,
    /// What every line must match.
    pub pattern: &'a Pattern,
    /// Characters of the beginning that belong to the line.
    pub prefix: &'a [u32],
    /// How they come to match.
    pub by: By,
    /// The seed of the first; that of the line drawn next is one more.
    pub seed: u64,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its characters, what of the beginning belongs to it included, the line end left out.
    pub ids: Vec<u32>,
    /// What the model makes of those that it wrote and of the line end, in nats.
    pub nats: f64,
    /// Characters that it wrote, the line end included.
    pub scored: usize,
}

/// Why there are no more lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There are as many as were wanted.
    Enough,
    /// There are all that match.
    All,
    /// Too many in a row brought nothing new.
    InVain,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineStats {
    /// Lines drawn.
    pub drawn: u64,
    /// Those of them that match.
    pub matching: u64,
    /// Lines kept.
    pub kept: u64,
    /// Why there are no more.
    pub ended: Ended,
}

/// Draws lines until there are enough; hands on every one that matches and, if they are to be unique, has not come before. `keep`
/// says whether it counts. It ends in any case: see [`Ended`], [`MOST_IN_VAIN`] and [`MOST_CHARS_IN_VAIN`].
///
/// # Errors
/// What `keep` fails with.
pub fn lines(
    batch: &Batch<'_, '_>,
    wanted: &Wanted<'_>,
    mut keep: impl FnMut(&Line) -> Result<bool>,
) -> Result<LineStats> {
    let Wanted { count, unique, pattern, prefix, .. } = *wanted;
    let mut tally = LineStats { drawn: 0, matching: 0, kept: 0, ended: Ended::Enough };
    let Some(begin) = prefix.iter().try_fold(pattern.start(), |place, id| pattern.follow(place, *id)) else {
        return Ok(LineStats { ended: Ended::All, ..tally });
    };
    // Of a few lines, all may come up; of more, that many are not waited for.
    let there_are = Some(pattern.count_from(begin, COUNTED)).filter(|lines| unique && *lines < COUNTED);
    let mut seen = HashSet::new();
    let (mut in_vain, mut chars_in_vain) = (0, 0);
    while tally.kept < count {
        for text in round(batch, wanted, begin, &tally) {
            tally.drawn += 1;
            in_vain += 1;
            chars_in_vain += text.ids.len() as u64;
            if let Some(line) = whole(text, wanted) {
                tally.matching += 1;
                let new = !unique || seen.insert(line.ids.clone());
                if new && keep(&line)? {
                    tally.kept += 1;
                    (in_vain, chars_in_vain) = (0, 0);
                }
            }
            let ended = match () {
                () if tally.kept == count => Ended::Enough,
                () if Some(seen.len() as u64) == there_are => Ended::All,
                () if in_vain >= MOST_IN_VAIN || chars_in_vain >= MOST_CHARS_IN_VAIN => Ended::InVain,
                () => continue,
            };
            return Ok(LineStats { ended, ..tally });
        }
    }
    Ok(tally)
}

/// Draws as many lines as are about to be needed, by what was kept so far.
fn round(batch: &Batch<'_, '_>, wanted: &Wanted<'_>, begin: Place, tally: &LineStats) -> Vec<Generated> {
    let missing = (wanted.count - tally.kept) as f64;
    let kept = if tally.drawn == 0 { 1.0 } else { (tally.kept as f64 / tally.drawn as f64).max(1e-3) };
    // A line may be followed by a carriage return and the line end.
    let length = wanted.pattern.longest().saturating_sub(wanted.prefix.len()) + 2;
    // Rounds grow, so that the first lines are not waited for, and none draws many more characters than may be in vain.
    let most = (MOST_CHARS_IN_VAIN / length as u64).min(ROUND.1).min(4 * tally.drawn);
    let n = ((missing / kept) as u64).clamp(ROUND.0, most.max(ROUND.0));
    let seeds: Vec<u64> = (0..n).map(|i| wanted.seed.wrapping_add(tally.drawn + i)).collect();
    let end = [vec![wanted.pattern.line_end()]];
    let pattern = Some((wanted.pattern, begin)).filter(|_| wanted.by == By::Mask);
    batch.write(&seeds, StopCriteria { length, stops: &end, pattern })
}

/// A text as a line, if it is one that is wanted.
fn whole(text: Generated, wanted: &Wanted<'_>) -> Option<Line> {
    let (scored, nats) = (text.ids.len(), text.nats);
    let mut ids = [wanted.prefix, &text.ids].concat();
    let ended = ids.pop() == Some(wanted.pattern.line_end());
    ids.truncate(wanted.pattern.trimmed(&ids).len());
    Some(Line { ids, nats, scored }).filter(|line| ended && wanted.pattern.is_match(&line.ids))
}

#[cfg(test)]
mod tests {
    use super::super::SamplingConfig;
    use super::super::generator::tests::sample;
    use super::*;
    use crate::kernels::Precision;
    use crate::model::InferenceModel;
    use std::collections::HashMap;

    static WARM: SamplingConfig =
        SamplingConfig { ban: Vec::new(), temperature: 1.0, top_k: None, top_p: None, min_p: None };

    /// Lines of the model of the tests; the shape of what is wanted is adapted by `adapt`.
    fn draw(regex: &str, most: usize, prompt: &[u32], adapt: impl Fn(&mut Wanted<'_>)) -> (Vec<Line>, LineStats) {
        let (model, vocab) = sample();
        let ready = InferenceModel::new(&model, Precision::F32);
        let pattern = Pattern::new(regex, &vocab, &[], 1..=most).unwrap();
        let batch = Batch::new(&ready, &vocab, &[&[0], prompt].concat(), &WARM);
        let mut wanted = Wanted { count: 50, unique: false, pattern: &pattern, prefix: prompt, by: By::Mask, seed: 9 };
        adapt(&mut wanted);
        let mut found = Vec::new();
        let tally = lines(&batch, &wanted, |line| {
            found.push(line.clone());
            Ok(true)
        });
        (found, tally.unwrap())
    }

    #[test]
    fn as_many_as_wanted_match_however_they_are_drawn() {
        for by in [By::Mask, By::Rejection] {
            let (found, tally) = draw("a?[bc]+", 6, &[], |wanted| (wanted.by, wanted.count) = (by, 200));
            assert_eq!((found.len(), tally.kept, tally.ended), (200, 200, Ended::Enough));
            for line in &found {
                let (first, rest) = (line.ids[0], &line.ids[1..]);
                assert!(line.ids.len() <= 6 && first <= 3 && rest.iter().all(|id| [2, 3].contains(id)), "{line:?}");
                assert_eq!(line.scored, line.ids.len() + 1);
            }
            assert_eq!(tally.drawn == tally.matching, by == By::Mask, "{tally:?}");
        }
    }

    #[test]
    fn a_beginning_belongs_to_its_line() {
        let (found, _) = draw("ab[cd]{2}", 9, &[1, 2], |wanted| wanted.unique = true);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|line| line.ids[..2] == [1, 2] && line.scored == 3));
        assert_eq!(draw("b.*", 9, &[1, 2], |_| ()).1.ended, Ended::All, "no line begins so");
    }

    #[test]
    fn it_ends_when_there_are_no_more() {
        let (found, tally) = draw("[ab]", 9, &[], |wanted| wanted.unique = true);
        assert_eq!((found.len(), tally.ended), (2, Ended::All));
        let (found, tally) = draw("[abcd]+", 9, &[], |wanted| (wanted.unique, wanted.count) = (true, COUNTED + 500));
        assert_eq!((found.len() as u64, tally.ended), (COUNTED + 500, Ended::Enough), "more than are counted");
        // Freely drawn, lines of nine the same hardly ever come.
        let (found, tally) = draw("a{9}", 9, &[], |wanted| wanted.by = By::Rejection);
        assert_eq!((found.len(), tally.ended), (0, Ended::InVain));
        assert_eq!((tally.drawn, tally.matching), (MOST_IN_VAIN, 0));
        let (found, tally) = draw(".*", 900, &[], |wanted| wanted.count = 0);
        assert_eq!((found.len(), tally.drawn), (0, 0));
    }

    #[test]
    fn rejection_keeps_the_models_own_distribution() {
        // Each of the matching lines as often as its probability says, theirs alone taken together.
        let mut counts: HashMap<Vec<u32>, (f64, f64)> = HashMap::new();
        let draws = 20_000.0;
        let (found, _) = draw("[abcd]", 9, &[], |wanted| (wanted.by, wanted.count) = (By::Rejection, draws as u64));
        found.iter().for_each(|line| counts.entry(line.ids.clone()).or_insert((0.0, (-line.nats).exp())).0 += 1.0);
        let total: f64 = counts.values().map(|(_, p)| p).sum();
        let chi_square: f64 = counts.values().map(|(n, p)| (n - draws * p / total).powi(2) / (draws * p / total)).sum();
        // The 99.9th percentile of a chi-square with 3 degrees of freedom.
        assert!(counts.len() == 4 && chi_square < 16.27, "{chi_square} {counts:?}");
    }
}
