//! The surprisal of one character.

use crate::data::{Encoding, RECORD_BOUNDARY, Vocab};
use crate::kernels::softmax;

/// The cost of the escape in bits: unknown characters have a combined probability of `2^-24` in every prediction.
pub const ESCAPE_BITS: u32 = 24;

/// Converts nats to bits.
pub fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}

/// The cost in bits to select one of the characters outside the vocabulary, all equally likely.
pub fn unknown_choice_bits(vocab: &Vocab) -> f64 {
    let all: usize = match vocab.encoding() {
        Encoding::Utf8 | Encoding::Utf8Lf => 0x11_0000 - 0x800,
        Encoding::Bytes => 256,
    };
    let known = vocab.symbols().iter().filter(|symbol| **symbol < RECORD_BOUNDARY).count();
    ((all - known.min(all - 1)) as f64).log2()
}

/// One character of a text, and how well the model predicted it.
///
/// A character outside the vocabulary costs the escape of 24 bits, plus `log2(1,112,064 - V)` bits (`log2(256 - V)` for bytes)
/// to select one of the unknown characters, all equally likely. Known characters share the remaining probability `1 - 2^-24`,
/// which costs each of them 6e-8 nats, so totals are code lengths of arbitrary texts. The model does not read unknown characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Surprisal {
    /// The code point (or byte).
    pub symbol: u32,
    /// Whether it is in the vocabulary.
    pub known: bool,
    /// The surprisal in nats; `None` if nothing predicts the character, such as the first of a text.
    pub nats: Option<f64>,
    /// The prediction; `None` also for unknown characters.
    pub prediction: Option<Prediction>,
}

/// The prediction of a model for the position of a character.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The rank of the actual character by probability, from 1.
    pub rank: u32,
    /// The entropy of the prediction, in nats.
    pub entropy: f32,
    /// The most likely token ids and their probabilities, as many as were requested.
    pub top: Vec<(u32, f32)>,
}

/// The cost of known and unknown characters in addition to their prediction, in nats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escape {
    known: f64,
    unknown: f64,
    /// For an unknown character that the model reads as one: the cost to say which one it is.
    mapped: f64,
}

impl Escape {
    pub fn new(vocab: &Vocab) -> Self {
        let choice = unknown_choice_bits(vocab) * std::f64::consts::LN_2;
        let share = f64::from(ESCAPE_BITS) * std::f64::consts::LN_2;
        // With a token for unknown characters, the model itself predicts their share.
        let known = if vocab.unknown().is_some() { 0.0 } else { -(-(-share).exp()).ln_1p() };
        Escape { known, unknown: share + choice, mapped: choice }
    }
}

impl Surprisal {
    /// A character that nothing predicts.
    pub(super) fn unpredicted(symbol: u32, known: bool) -> Self {
        Surprisal { symbol, known, nats: None, prediction: None }
    }

    pub(super) fn unknown(symbol: u32, escape: Escape) -> Self {
        Surprisal { symbol, known: false, nats: Some(escape.unknown), prediction: None }
    }

    pub(super) fn predicted(symbol: u32, known: bool, (nats, prediction): (f64, Prediction), escape: Escape) -> Self {
        let cost = if known { escape.known } else { escape.mapped };
        Surprisal { symbol, known, nats: Some(nats + cost), prediction: Some(prediction) }
    }
}

/// The surprisal of `id` in nats by its logits `V`, and the prediction with the `top` most likely characters.
pub(super) fn score_prediction(logits: &[f32], id: u32, top: usize, scratch: &mut Vec<f32>) -> (f64, Prediction) {
    scratch.clear();
    scratch.extend_from_slice(logits);
    let (total, sum) = softmax::log_sum_exp(scratch);
    let picked = logits[id as usize];
    let mean = scratch.iter().zip(logits).map(|(exp, logit)| f64::from(exp * logit)).sum::<f64>() / sum;
    let rank = 1 + logits.iter().filter(|logit| **logit > picked).count() as u32;
    let likely = likeliest(logits, top).into_iter().map(|id| (id, (f64::from(scratch[id as usize]) / sum) as f32));
    let prediction = Prediction { rank, entropy: (total - mean).max(0.0) as f32, top: likely.collect() };
    (total - f64::from(picked), prediction)
}

fn likeliest(logits: &[f32], count: usize) -> Vec<u32> {
    let mut best: Vec<u32> = Vec::with_capacity(count + 1);
    for id in (0..logits.len() as u32).filter(|_| count > 0) {
        let after = best.partition_point(|other| logits[*other as usize] >= logits[id as usize]);
        if after < count {
            best.truncate(count - 1);
            best.insert(after, id);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::UNKNOWN;

    #[test]
    fn nats_entropy_and_rank_agree_with_their_definitions() {
        let logits = [1.0f32, -2.0, 3.0, 0.5, 3.0];
        let exps: Vec<f64> = logits.iter().map(|x| f64::from(*x).exp()).collect();
        let total: f64 = exps.iter().sum();
        let entropy: f64 = exps.iter().map(|e| -(e / total) * (e / total).ln()).sum();
        for (id, rank) in [(0, 3), (1, 5), (2, 1), (3, 4), (4, 1)] {
            let (nats, prediction) = score_prediction(&logits, id, 3, &mut Vec::new());
            assert!((nats + (exps[id as usize] / total).ln()).abs() < 1e-6);
            assert!((f64::from(prediction.entropy) - entropy).abs() < 1e-6);
            assert_eq!(prediction.rank, rank);
            let ids: Vec<u32> = prediction.top.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [2, 4, 0]);
            assert!((f64::from(prediction.top[2].1) - exps[0] / total).abs() < 1e-6);
        }
        assert!(score_prediction(&logits, 0, 0, &mut Vec::new()).1.top.is_empty());
        assert_eq!(score_prediction(&logits, 0, 9, &mut Vec::new()).1.top.len(), 5);
    }

    #[test]
    fn known_and_unknown_probabilities_sum_to_one() {
        for vocab in [Vocab::new(Encoding::Bytes, [1, 2, 3]), Vocab::new(Encoding::Utf8, [97, 98])] {
            let escape = Escape::new(&vocab);
            let others = if vocab.encoding() == Encoding::Bytes { 253.0 } else { 1_112_062.0 };
            let all = (-escape.known).exp() + others * (-escape.unknown).exp();
            assert!((all - 1.0).abs() < 1e-12 && escape.known > 0.0 && escape.known < 1e-7, "{all}");
        }
        assert!(Escape::new(&Vocab::new(Encoding::Bytes, 0..256)).unknown.is_finite());
        let reserved = Vocab::new(Encoding::Bytes, [1, 2, 3, RECORD_BOUNDARY, UNKNOWN]);
        assert!((unknown_choice_bits(&reserved) - 253f64.log2()).abs() < 1e-12, "reserved symbols are not characters");
    }
}
