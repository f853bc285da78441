//! Surprisals of characters, words, lines and whole texts.

use super::surprisal::{Surprisal, bits};
use crate::data::RECORD_BOUNDARY;

/// The unit over which surprisals are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurprisalUnit {
    /// A character.
    Char,
    /// A word with the white space after it, which is the model's prediction that the word ends (Oh & Schuler 2024; Pimentel &
    /// Meister 2024). White space at the start of a line is a separate unit.
    Word,
    /// A line, including its line end.
    Line,
    /// A record, including its end; for running text, a line.
    Record,
}

impl SurprisalUnit {
    /// The units of a line or record in order; every character belongs to one of them.
    pub fn split(self, line: &[Surprisal]) -> Vec<&[Surprisal]> {
        let together = |a: &Surprisal, b: &Surprisal| match self {
            SurprisalUnit::Char => false,
            SurprisalUnit::Word => is_space(b.symbol) || !is_space(a.symbol),
            SurprisalUnit::Line => a.symbol != u32::from('\n'),
            SurprisalUnit::Record => true,
        };
        line.chunk_by(together).collect()
    }
}

fn is_space(symbol: u32) -> bool {
    symbol == RECORD_BOUNDARY || char::from_u32(symbol).is_some_and(char::is_whitespace)
}

/// The sum of the surprisals of some characters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SurprisalSum {
    /// The number of scored characters: all except those that nothing predicts.
    pub chars: u64,
    /// Their surprisal in nats.
    pub nats: f64,
    /// Characters outside the vocabulary, scored or not.
    pub unknown: u64,
    /// Those of them that were scored, and their surprisal in nats.
    scored_unknown: u64,
    unknown_nats: f64,
    predicted: u64,
    ranks: u64,
    entropy: f64,
}

impl SurprisalSum {
    /// Adds up the surprisals of some characters.
    pub fn of(surprisals: &[Surprisal]) -> Self {
        let mut sum = SurprisalSum::default();
        for surprisal in surprisals {
            sum.unknown += u64::from(!surprisal.known);
            sum.chars += u64::from(surprisal.nats.is_some());
            sum.nats += surprisal.nats.unwrap_or(0.0);
            if let Some(nats) = surprisal.nats.filter(|_| !surprisal.known) {
                sum.scored_unknown += 1;
                sum.unknown_nats += nats;
            }
            if let Some(prediction) = &surprisal.prediction {
                sum.predicted += 1;
                sum.ranks += u64::from(prediction.rank);
                sum.entropy += f64::from(prediction.entropy);
            }
        }
        sum
    }

    /// Adds another sum.
    pub fn add(&mut self, other: SurprisalSum) {
        self.chars += other.chars;
        self.nats += other.nats;
        self.unknown += other.unknown;
        self.scored_unknown += other.scored_unknown;
        self.unknown_nats += other.unknown_nats;
        self.predicted += other.predicted;
        self.ranks += other.ranks;
        self.entropy += other.entropy;
    }

    /// The surprisal in bits.
    pub fn bits(&self) -> f64 {
        bits(self.nats)
    }

    /// Bits per character; `None` if no character was scored.
    pub fn bits_per_char(&self) -> Option<f64> {
        (self.chars > 0).then(|| self.bits() / self.chars as f64)
    }

    /// Bits per character of the vocabulary, without the unknown characters; `None` if no such character was scored.
    pub fn known_bits_per_char(&self) -> Option<f64> {
        let chars = self.chars - self.scored_unknown;
        (chars > 0).then(|| bits(self.nats - self.unknown_nats) / chars as f64)
    }

    /// The mean rank of the actual characters; `None` if none was predicted.
    pub fn mean_rank(&self) -> Option<f64> {
        (self.predicted > 0).then(|| self.ranks as f64 / self.predicted as f64)
    }

    /// The mean entropy of the predictions in bits; `None` if there are none.
    pub fn mean_entropy_bits(&self) -> Option<f64> {
        (self.predicted > 0).then(|| bits(self.entropy / self.predicted as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::surprisal::Prediction;
    use super::*;

    fn surprisals(text: &str) -> Vec<Surprisal> {
        let one = |c: char| Surprisal {
            symbol: u32::from(c),
            known: c != '?',
            nats: Some(1.0),
            prediction: Some(Prediction { rank: 2, entropy: 0.5, top: Vec::new() }).filter(|_| c != '?'),
        };
        text.chars().map(one).collect()
    }

    #[test]
    fn words_include_the_space_after_them() {
        let text = |unit: SurprisalUnit, line: &str| -> Vec<String> {
            let of = |part: &[Surprisal]| part.iter().filter_map(|s| char::from_u32(s.symbol)).collect();
            unit.split(&surprisals(line)).into_iter().map(of).collect()
        };
        assert_eq!(
            text(SurprisalUnit::Word, "  the fox,\tsaid\u{a0}he \n"),
            ["  ", "the ", "fox,\t", "said\u{a0}", "he \n"]
        );
        assert_eq!(text(SurprisalUnit::Word, "\n"), ["\n"]);
        assert_eq!(text(SurprisalUnit::Char, "a b"), ["a", " ", "b"]);
        assert_eq!(text(SurprisalUnit::Line, "a b\n"), ["a b\n"]);
        assert!(text(SurprisalUnit::Line, "").is_empty());
    }

    #[test]
    fn sums_exclude_characters_that_nothing_predicts() {
        let mut line = surprisals("ab?d");
        line[0] = Surprisal::unpredicted(97, true);
        let sum = SurprisalSum::of(&line);
        assert_eq!((sum.chars, sum.nats, sum.unknown), (3, 3.0, 1));
        assert_eq!((sum.mean_rank(), sum.mean_entropy_bits()), (Some(2.0), Some(0.5 / std::f64::consts::LN_2)));
        let mut twice = sum;
        twice.add(sum);
        assert_eq!((twice.chars, twice.bits_per_char()), (6, sum.bits_per_char()));
        assert_eq!((SurprisalSum::default().bits_per_char(), SurprisalSum::default().mean_rank()), (None, None));
    }
}
