//! A requested number of whole lines: names, tunes, molecules.

use std::collections::HashSet;

use super::batch::{Batch, Generated, StopCriteria};
use super::pattern::{Pattern, PatternState};
use crate::error::Result;

/// Sampling stops after this many consecutive lines without an accepted one.
pub const MAX_MISSES: u64 = 10_000;
/// Sampling stops after this many consecutive characters without an accepted line.
pub const MAX_MISSED_CHARS: u64 = 2_000_000;
/// Matching lines are counted in advance up to this number.
const MAX_COUNTED: u64 = 10_000;
const ROUND: (u64, u64) = (64, 8192);

/// How lines are made to match a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchMethod {
    /// Every character is drawn from those that can still lead to a match. No line is discarded, but the distribution differs from
    /// the model's.
    Mask,
    /// Lines are drawn without constraints, and discarded unless they match: the model's own distribution over matching lines.
    Rejection,
}

/// Which lines to sample.
#[derive(Clone, Copy, Debug)]
pub struct LineRequest<'a> {
    /// The number of lines to sample.
    pub count: u64,
    /// Whether duplicates are discarded.
    pub unique: bool,
    /// The pattern that every line must match.
    pub pattern: &'a Pattern,
    /// The part of the prompt that belongs to each line.
    pub prefix: &'a [u32],
    /// How lines are made to match.
    pub method: MatchMethod,
    /// The seed of the first line; each further line has the next seed.
    pub seed: u64,
}

/// A sampled line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its token ids, with the prefix and without the line end.
    pub ids: Vec<u32>,
    /// The loss in nats of the generated characters, line end included.
    pub nats: f64,
    /// The number of generated characters, line end included.
    pub scored: usize,
}

/// Why sampling stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The requested number of lines was found.
    Complete,
    /// No further line matches.
    Exhausted,
    /// Too many lines or characters in a row gave nothing new, see [`MAX_MISSES`] and [`MAX_MISSED_CHARS`].
    TooManyMisses,
}

/// Statistics of a call of [`sample_lines`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineStats {
    /// Lines that were drawn.
    pub drawn: u64,
    /// Drawn lines that match.
    pub matching: u64,
    /// Matching lines that were accepted.
    pub accepted: u64,
    /// Why sampling stopped.
    pub stop_reason: StopReason,
}

/// Samples lines until enough are accepted or another [`StopReason`] applies. `accept` receives every line that matches and,
/// with [`unique`](LineRequest::unique), was not drawn before; it returns whether the line counts.
pub fn sample_lines(
    batch: &Batch<'_>,
    request: &LineRequest<'_>,
    mut accept: impl FnMut(&Line) -> Result<bool>,
) -> Result<LineStats> {
    let LineRequest { count, unique, pattern, prefix, .. } = *request;
    let mut stats = LineStats { drawn: 0, matching: 0, accepted: 0, stop_reason: StopReason::Complete };
    let Some(start) = prefix.iter().try_fold(pattern.start(), |state, id| pattern.advance(state, *id)) else {
        return Ok(LineStats { stop_reason: StopReason::Exhausted, ..stats });
    };
    // If only a few lines can match, sampling stops as soon as all of them have been drawn.
    let total = Some(pattern.count_from(start, MAX_COUNTED)).filter(|lines| unique && *lines < MAX_COUNTED);
    let mut seen = HashSet::new();
    let (mut misses, mut missed_chars) = (0, 0);
    while stats.accepted < count {
        for text in draw_round(batch, request, start, &stats) {
            stats.drawn += 1;
            misses += 1;
            missed_chars += text.ids.len() as u64;
            if let Some(line) = matching_line(text, request) {
                stats.matching += 1;
                let is_new = !unique || seen.insert(line.ids.clone());
                if is_new && accept(&line)? {
                    stats.accepted += 1;
                    (misses, missed_chars) = (0, 0);
                }
            }
            let stop_reason = match () {
                () if stats.accepted == count => StopReason::Complete,
                () if Some(seen.len() as u64) == total => StopReason::Exhausted,
                () if misses >= MAX_MISSES || missed_chars >= MAX_MISSED_CHARS => StopReason::TooManyMisses,
                () => continue,
            };
            return Ok(LineStats { stop_reason, ..stats });
        }
    }
    Ok(stats)
}

/// Draws about as many lines as are still needed, based on the fraction accepted so far.
fn draw_round(batch: &Batch<'_>, request: &LineRequest<'_>, start: PatternState, stats: &LineStats) -> Vec<Generated> {
    let missing = (request.count - stats.accepted) as f64;
    let accepted = if stats.drawn == 0 { 1.0 } else { (stats.accepted as f64 / stats.drawn as f64).max(1e-3) };
    // A line may be followed by a carriage return and the line end.
    let length = request.pattern.max_chars().saturating_sub(request.prefix.len()) + 2;
    // Rounds grow, so that the first lines appear soon, but draw at most about `MAX_MISSED_CHARS` characters.
    let most = (MAX_MISSED_CHARS / length as u64).min(ROUND.1).min(4 * stats.drawn);
    let n = ((missing / accepted) as u64).clamp(ROUND.0, most.max(ROUND.0));
    let seeds: Vec<u64> = (0..n).map(|i| request.seed.wrapping_add(stats.drawn + i)).collect();
    let stops = [vec![request.pattern.line_end()]];
    let pattern = Some((request.pattern, start)).filter(|_| request.method == MatchMethod::Mask);
    batch.generate(&seeds, StopCriteria { length, min_length: 0, stops: &stops, pattern })
}

fn matching_line(text: Generated, request: &LineRequest<'_>) -> Option<Line> {
    let (scored, nats) = (text.ids.len(), text.nats);
    let mut ids = [request.prefix, &text.ids].concat();
    let has_line_end = ids.pop() == Some(request.pattern.line_end());
    ids.truncate(request.pattern.without_carriage_return(&ids).len());
    Some(Line { ids, nats, scored }).filter(|line| has_line_end && request.pattern.is_match(&line.ids))
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::CONFIG;
    use super::super::generator::tests::sample;
    use super::*;
    use crate::kernels::Precision;
    use crate::model::InferenceModel;
    use std::collections::HashMap;

    /// Fifty lines of the test model, unless `adapt` changes the request.
    fn draw(
        regex: &str,
        max_chars: usize,
        prefix: &[u32],
        adapt: impl Fn(&mut LineRequest<'_>),
    ) -> (Vec<Line>, LineStats) {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let pattern = &Pattern::new(regex, &vocab, &[], 1..=max_chars).unwrap();
        let batch = Batch::new(&model, &vocab, &[&[0], prefix].concat(), &CONFIG);
        let method = MatchMethod::Mask;
        let mut request = LineRequest { count: 50, unique: false, pattern, prefix, method, seed: 9 };
        adapt(&mut request);
        let mut found = Vec::new();
        let stats = sample_lines(&batch, &request, |line| {
            found.push(line.clone());
            Ok(true)
        });
        (found, stats.unwrap())
    }

    #[test]
    fn both_methods_give_the_requested_number_of_matches() {
        for method in [MatchMethod::Mask, MatchMethod::Rejection] {
            let (found, stats) = draw("a?[bc]+", 6, &[], |request| (request.method, request.count) = (method, 200));
            assert_eq!((found.len(), stats.accepted, stats.stop_reason), (200, 200, StopReason::Complete));
            for line in &found {
                let (first, rest) = (line.ids[0], &line.ids[1..]);
                assert!(line.ids.len() <= 6 && first <= 3 && rest.iter().all(|id| [2, 3].contains(id)), "{line:?}");
                assert_eq!(line.scored, line.ids.len() + 1);
            }
            assert_eq!(stats.drawn == stats.matching, method == MatchMethod::Mask, "{stats:?}");
        }
    }

    #[test]
    fn the_prefix_is_part_of_each_line() {
        let (found, _) = draw("ab[cd]{2}", 9, &[1, 2], |request| request.unique = true);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|line| line.ids[..2] == [1, 2] && line.scored == 3));
        assert_eq!(draw("b.*", 9, &[1, 2], |_| ()).1.stop_reason, StopReason::Exhausted, "no line starts like this");
    }

    #[test]
    fn sampling_ends_when_no_more_lines_are_found() {
        let (found, stats) = draw("[ab]", 9, &[], |request| request.unique = true);
        assert_eq!((found.len(), stats.stop_reason), (2, StopReason::Exhausted));
        let count = MAX_COUNTED + 500;
        let (found, stats) = draw("[abcd]+", 9, &[], |request| (request.unique, request.count) = (true, count));
        assert_eq!((found.len() as u64, stats.stop_reason), (count, StopReason::Complete), "more than are counted");
        // Without constraints, a line of nine equal characters is hardly ever drawn.
        let (found, stats) = draw("a{9}", 9, &[], |request| request.method = MatchMethod::Rejection);
        assert_eq!((found.len(), stats.stop_reason), (0, StopReason::TooManyMisses));
        assert_eq!((stats.drawn, stats.matching), (MAX_MISSES, 0));
        let (found, stats) = draw(".*", 900, &[], |request| request.count = 0);
        assert_eq!((found.len(), stats.drawn), (0, 0));
    }

    #[test]
    fn rejection_keeps_the_distribution_of_the_model() {
        // The frequency of each matching line against its probability among matching lines.
        let mut counts: HashMap<Vec<u32>, (f64, f64)> = HashMap::new();
        let draws = 20_000.0;
        let adapt = |request: &mut LineRequest<'_>| {
            (request.method, request.count) = (MatchMethod::Rejection, draws as u64);
        };
        let (found, _) = draw("[abcd]", 9, &[], adapt);
        found.iter().for_each(|line| counts.entry(line.ids.clone()).or_insert((0.0, (-line.nats).exp())).0 += 1.0);
        let total: f64 = counts.values().map(|(_, p)| p).sum();
        let chi_square: f64 = counts.values().map(|(n, p)| (n - draws * p / total).powi(2) / (draws * p / total)).sum();
        // The 99.9th percentile of a chi-square distribution with 3 degrees of freedom.
        assert!(counts.len() == 4 && chi_square < 16.27, "{chi_square} {counts:?}");
    }
}
