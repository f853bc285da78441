//! Sums, differences and products, character by character.

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Variant, Verdict};
use crate::error::{Error, Result};

/// `12+345=357`.
pub const ARITHMETIC: Experiment = Experiment {
    name: "arithmetic",
    summary: "12+345=357, differences, and products with fewer digits (--size: digits)",
    criterion: "the whole answer right in 95 % of 1,000 fresh lines",
    published: "no figure of a paper",
    also: &["--size"],
    kind: Kind::Task {
        setup: |_| Setup {
            layers: 2,
            hidden: 128,
            batch: 64,
            seq_len: 64,
            steps: 5000,
            lr: 4e-3,
            glance_every: 250,
            ..Setup::default()
        },
        task: |variant| Ok(Box::new(Arithmetic::new(variant)?)),
    },
};

const MOST_DIGITS: usize = 9;

struct Arithmetic {
    digits: usize,
}

impl Arithmetic {
    fn new(variant: &Variant) -> Result<Self> {
        match variant.size.unwrap_or(3) {
            digits @ 1..=MOST_DIGITS => Ok(Arithmetic { digits }),
            other => Err(Error::Usage(format!("--size must be 1 to {MOST_DIGITS} digits, not {other}"))),
        }
    }
}

/// A number of up to that many digits, every length alike.
fn number(rng: &mut Rng, digits: usize) -> i64 {
    let digits = rng.random_range(1..=digits) as u32;
    rng.random_range(0..10i64.pow(digits))
}

impl Task for Arithmetic {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let (question, answer) = match rng.random_range(0..3) {
            0 => {
                let (a, b) = (number(rng, self.digits), number(rng, self.digits));
                (format!("{a}+{b}="), a + b)
            }
            1 => {
                let (a, b) = (number(rng, self.digits), number(rng, self.digits));
                (format!("{a}-{b}="), a - b)
            }
            _ => {
                let (a, b) = (number(rng, self.digits.div_ceil(2)), number(rng, (self.digits / 2).max(1)));
                (format!("{a}*{b}="), a * b)
            }
        };
        let mut sample = Sample::default();
        question.chars().for_each(|c| sample.free(c));
        sample.determined(&format!("{answer}\n"));
        sample
    }

    fn training(&self) -> Training {
        Training::Lines
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, _: Look) -> Verdict {
        let samples = self.draws(rng, 1000);
        let right = subject.share_right(&samples);
        Verdict { passed: right >= 0.95, measured: format!("{:.1} % of 1000 lines", 100.0 * right) }
    }
}
