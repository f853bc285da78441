//! The parity of a string of bits: every bit counts, and none can be guessed from the others.

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Variant, Verdict};
use crate::error::Error;

/// `01101=1`.
pub const PARITY: Experiment = Experiment {
    name: "parity",
    summary: "01101=1: whether the ones are odd in number, up to --size bits",
    criterion: "right in 1,000 strings that the text does not have",
    published: "no figure of a paper",
    also: &["--size"],
    kind: Kind::Task {
        setup: |variant| Setup {
            hidden: 32,
            batch: 32,
            seq_len: (size(variant) + 3).max(32),
            steps: 12_000,
            glance_every: 250,
            ..Setup::default()
        },
        task: |variant| match size(variant) {
            bits @ LEAST..=MOST => Ok(Box::new(Parity { bits })),
            other => Err(Error::Usage(format!("--size must be {LEAST} to {MOST} bits, not {other}"))),
        },
    },
};

/// Of fewer bits there are too few strings to keep some back and learn from the others.
const LEAST: usize = 4;
const MOST: usize = 1000;

fn size(variant: &Variant) -> usize {
    variant.size.unwrap_or(16)
}

struct Parity {
    bits: usize,
}

impl Parity {
    fn string(rng: &mut Rng, bits: usize) -> Sample {
        let mut sample = Sample::default();
        let mut odd = false;
        for _ in 0..bits {
            let bit: bool = rng.random();
            odd ^= bit;
            sample.free(if bit { '1' } else { '0' });
        }
        sample.free('=');
        sample.determined(if odd { "1" } else { "0" });
        sample.free('\n');
        sample
    }
}

impl Task for Parity {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let bits = rng.random_range(1..=self.bits);
        Self::string(rng, bits)
    }

    fn is_kept_back(&self, sample: &Sample) -> bool {
        sample.is_of_a_fifth()
    }

    fn training(&self) -> Training {
        Training::Lines
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        let unseen = std::iter::repeat_with(|| self.draw(rng)).filter(|sample| self.is_kept_back(sample));
        let samples: Vec<_> = unseen.take(1000).collect();
        let right = subject.share_right(&samples);
        let mut measured = format!("{:.1} % of 1000 unseen strings up to {} bits", 100.0 * right, self.bits);
        if look == Look::Test {
            // How far it goes beyond what it was trained on: 32 strings of each length, all right.
            let sound = |bits: &usize| {
                let samples: Vec<_> = (0..32).map(|_| Self::string(rng, *bits)).collect();
                subject.share_right(&samples) == 1.0
            };
            let reached = (1..=10 * self.bits).take_while(sound).count();
            measured += &format!(", every length up to {reached}");
        }
        Verdict { passed: right == 1.0, measured }
    }
}
