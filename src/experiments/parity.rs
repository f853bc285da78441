//! The parity of a string of bits: it depends on every bit.

use rand::RngExt;
use serde_json::{Value, json};

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TaskOptions, TestResult};
use crate::error::Error;

pub const PARITY: Experiment = Experiment {
    name: "parity",
    summary: "01101=1: the parity of strings of bits (size: maximum number of bits)",
    criterion: "correct in 1,000 strings that are not in the training text",
    published: "no published figure",
    extra_options: &["size"],
    kind: Kind::Task {
        setup: |options| Setup {
            seq_len: (bits(options) + 3).max(32),
            steps: 12_000,
            check_every: 250,
            ..Setup::default()
        },
        task: |options| match bits(options) {
            bits @ MIN_BITS..=MAX_BITS => Ok(Box::new(Parity { bits })),
            bits => Err(Error::out_of_range("size", bits, format!("{MIN_BITS} to {MAX_BITS} bits"))),
        },
    },
};

/// With fewer bits, there are too few strings to hold out a fifth of them.
const MIN_BITS: usize = 4;
const MAX_BITS: usize = 1000;

fn bits(options: &TaskOptions) -> usize {
    options.size.unwrap_or(16)
}

struct Parity {
    bits: usize,
}

impl Parity {
    fn string(rng: &mut Rng, bits: usize) -> Example {
        let mut example = Example::default();
        let mut is_odd = false;
        for _ in 0..bits {
            let bit: bool = rng.random();
            is_odd ^= bit;
            example.push_untested(if bit { '1' } else { '0' });
        }
        example.push_untested('=');
        example.push_determined(if is_odd { "1" } else { "0" });
        example.push_untested('\n');
        example
    }
}

impl Task for Parity {
    fn draw(&self, rng: &mut Rng) -> Example {
        let bits = rng.random_range(1..=self.bits);
        Self::string(rng, bits)
    }

    fn is_held_out(&self, example: &Example) -> bool {
        example.is_in_held_out_fifth()
    }

    fn parameters(&self) -> Vec<(&'static str, Value)> {
        vec![("size", json!(self.bits))]
    }

    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult {
        let correct = evaluator.accuracy(&self.draw_held_out(rng, 1000));
        let mut measured = format!("{:.1} % of 1000 unseen strings up to {} bits", 100.0 * correct, self.bits);
        if check == Check::Full {
            // Generalization: the longest length up to which 32 strings of every length are correct.
            let is_solved = |bits: &usize| {
                let examples: Vec<_> = (0..32).map(|_| Self::string(rng, *bits)).collect();
                evaluator.accuracy(&examples) == 1.0
            };
            let solved = (1..=10 * self.bits).take_while(is_solved).count();
            measured += &format!(", every length up to {solved}");
        }
        TestResult { passed: correct == 1.0, measured }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::task::rng;

    #[test]
    fn answers_are_the_parity_of_the_ones() {
        for example in (Parity { bits: 16 }).draw_many(&mut rng("strings", 2), 300) {
            let text: String = example.chars.iter().collect();
            let (bits, answer) = text.trim_end().split_once('=').unwrap();
            assert_eq!(answer, if bits.matches('1').count() % 2 == 1 { "1" } else { "0" }, "{text}");
        }
    }
}
