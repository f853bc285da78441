//! Surprises taken together: characters, words, lines, whole texts.

use super::surprisal::Surprisal;

/// What is scored as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A character.
    Char,
    /// A word and the white space behind it, up to the line's end: the space after a word counts as part of it, since the model
    /// says with it that the word is over (Oh & Schuler 2024; Pimentel & Meister 2024). White space at a line's beginning is a
    /// unit of its own.
    Word,
    /// A line with its line end.
    Line,
}

impl Unit {
    /// The units of a line, in order: nothing is left out, so that their sums are the line's.
    pub fn split(self, line: &[Surprisal]) -> Vec<&[Surprisal]> {
        let together = |a: &Surprisal, b: &Surprisal| match self {
            Unit::Char => false,
            Unit::Word => is_space(b.symbol) || !is_space(a.symbol),
            Unit::Line => true,
        };
        line.chunk_by(together).collect()
    }
}

fn is_space(symbol: u32) -> bool {
    char::from_u32(symbol).is_some_and(char::is_whitespace)
}

/// Some characters' surprises, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Characters that were scored: all but those that nothing predicts.
    pub chars: u64,
    /// What they cost, in nats.
    pub nats: f64,
    /// Characters, scored or not, that the model does not know.
    pub unknown: u64,
    predicted: u64,
    ranks: u64,
    entropy: f64,
}

impl Sum {
    /// The sum over some characters.
    pub fn of(surprises: &[Surprisal]) -> Self {
        let mut sum = Sum::default();
        for surprise in surprises {
            sum.unknown += u64::from(!surprise.known);
            sum.chars += u64::from(surprise.nats.is_some());
            sum.nats += surprise.nats.unwrap_or(0.0);
            if let Some(prediction) = &surprise.prediction {
                sum.predicted += 1;
                sum.ranks += u64::from(prediction.rank);
                sum.entropy += f64::from(prediction.entropy);
            }
        }
        sum
    }

    /// Takes in more.
    pub fn add(&mut self, other: Sum) {
        self.chars += other.chars;
        self.nats += other.nats;
        self.unknown += other.unknown;
        self.predicted += other.predicted;
        self.ranks += other.ranks;
        self.entropy += other.entropy;
    }

    /// What they cost, in bits.
    pub fn bits(&self) -> f64 {
        self.nats / std::f64::consts::LN_2
    }

    /// Bits per character; `None` where nothing was scored.
    pub fn bits_per_char(&self) -> Option<f64> {
        (self.chars > 0).then(|| self.bits() / self.chars as f64)
    }

    /// The mean rank of the characters that came; `None` where nothing was predicted.
    pub fn rank(&self) -> Option<f64> {
        (self.predicted > 0).then(|| self.ranks as f64 / self.predicted as f64)
    }

    /// The mean entropy of the predictions, in bits; `None` where there was none.
    pub fn entropy_bits(&self) -> Option<f64> {
        (self.predicted > 0).then(|| self.entropy / self.predicted as f64 / std::f64::consts::LN_2)
    }
}

#[cfg(test)]
mod tests {
    use super::super::surprisal::Prediction;
    use super::*;

    fn surprises(text: &str) -> Vec<Surprisal> {
        let one = |c: char| Surprisal {
            symbol: u32::from(c),
            known: c != '?',
            nats: Some(1.0),
            prediction: Some(Prediction { rank: 2, entropy: 0.5, top: Vec::new() }).filter(|_| c != '?'),
        };
        text.chars().map(one).collect()
    }

    #[test]
    fn words_take_the_space_behind_them() {
        let text = |unit: Unit, line: &str| -> Vec<String> {
            let of = |part: &[Surprisal]| part.iter().filter_map(|s| char::from_u32(s.symbol)).collect();
            unit.split(&surprises(line)).into_iter().map(of).collect()
        };
        assert_eq!(text(Unit::Word, "  the fox,\tsaid\u{a0}he \n"), ["  ", "the ", "fox,\t", "said\u{a0}", "he \n"]);
        assert_eq!(text(Unit::Word, "\n"), ["\n"]);
        assert_eq!(text(Unit::Char, "a b"), ["a", " ", "b"]);
        assert_eq!(text(Unit::Line, "a b\n"), ["a b\n"]);
        assert!(text(Unit::Line, "").is_empty());
    }

    #[test]
    fn sums_leave_out_what_was_not_predicted() {
        let mut line = surprises("ab?d");
        line[0] = Surprisal::first(97, true);
        let sum = Sum::of(&line);
        assert_eq!((sum.chars, sum.nats, sum.unknown), (3, 3.0, 1));
        assert_eq!((sum.rank(), sum.entropy_bits()), (Some(2.0), Some(0.5 / std::f64::consts::LN_2)));
        let mut twice = sum;
        twice.add(sum);
        assert_eq!((twice.chars, twice.bits_per_char()), (6, sum.bits_per_char()));
        assert_eq!((Sum::default().bits_per_char(), Sum::default().rank()), (None, None));
    }
}
