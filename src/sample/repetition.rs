//! A penalty on repetitions, as a way out of the loops that low temperatures lead to.
//!
//! Penalizing single characters would destroy any text. Instead, a character is penalized if it continues a longer repetition: if the
//! last `L` characters occurred before and were followed by it, its logit is lowered by the penalty times the number of characters by
//! which `L` exceeds [`FREE`], for the largest such `L`. The penalty grows until the loop ends.

/// The number of characters that are searched for repetitions.
pub const WINDOW: usize = 1024;
/// Repetitions of up to this many characters are free: words and phrases recur in any text.
pub const FREE: usize = 16;
/// Longer repetitions are not penalized any further.
const MAX_REPETITION: usize = 128;

/// Lowers the logits of the characters that would extend a repetition in `history`, the last characters of a text.
pub(super) fn penalize(logits: &mut [f32], history: &[u32], penalty: f32) {
    let history = &history[history.len().saturating_sub(WINDOW)..];
    // For each character that would extend a repetition, by how much the repetition is too long.
    let mut excess: Vec<(u32, usize)> = Vec::new();
    for end in FREE + 1..history.len() {
        let equal = history[..end].iter().rev().zip(history.iter().rev()).take(MAX_REPETITION);
        let length = equal.take_while(|(a, b)| a == b).count();
        if length > FREE {
            excess.push((history[end], length - FREE));
        }
    }
    excess.sort_unstable();
    for same in excess.chunk_by(|a, b| a.0 == b.0) {
        let (id, longest) = same[same.len() - 1];
        logits[id as usize] -= penalty * longest as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalizes_only_what_extends_a_long_repetition() {
        let period: Vec<u32> = (0..20).collect();
        let penalized = |history: &[u32]| {
            let mut logits = vec![0.0; 40];
            penalize(&mut logits, history, 0.5);
            logits
                .iter()
                .enumerate()
                .filter(|(_, logit)| **logit != 0.0)
                .map(|(id, logit)| (id, *logit))
                .collect::<Vec<_>>()
        };
        assert_eq!(penalized(&[&period[..], &period[..16]].concat()), []);
        assert_eq!(penalized(&[&period[..], &period[..18]].concat()), [(18, -1.0)]);
        assert_eq!(penalized(&[&period[..], &[30], &period[3..]].concat()), [(30, -0.5)]);
        assert_eq!(penalized(&period.repeat(2)), [(0, -2.0)]);
        let long = penalized(&period.repeat(40));
        assert!(long.len() == 1 && long[0].1 == -0.5 * (MAX_REPETITION - FREE) as f32, "{long:?}");
        assert_eq!(penalized(&[]), []);
    }
}
