//! A task: generates strings and tests a model on new ones, independently of how the model is trained.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::evaluator::{Evaluator, Example};
use crate::model::Scheme;

pub type Rng = Xoshiro256PlusPlus;

/// A generator for one purpose and seed, so that test strings are drawn independently of the training text.
pub fn rng(purpose: &str, seed: u64) -> Rng {
    Rng::seed_from_u64(xxh3_64(format!("{purpose} {seed}").as_bytes()))
}

#[derive(Clone, Copy, PartialEq)]
pub enum Check {
    /// During training, to decide whether a full test is worthwhile.
    Quick,
    Full,
}

pub struct TestResult {
    pub passed: bool,
    pub measured: String,
}

/// How the strings are arranged in a training text.
#[derive(Clone, Copy, PartialEq)]
pub enum TextLayout {
    /// One after another; the state is reset before each.
    Lines,
    /// One after another; the state is never reset.
    Stream,
    /// Each padded to a window; the state is reset before each.
    Windows,
}

/// The options of tasks; `None` selects a task's default.
#[derive(Clone, Debug, Default)]
pub struct TaskOptions {
    /// The cell.
    pub cell: Option<String>,
    /// The number of distractors for `lag`.
    pub q: Option<usize>,
    /// Whether the symbols to remember also occur among the distractors of `lag`.
    pub noise: bool,
    /// The number of digits for `arithmetic`, or of bits for `parity`.
    pub size: Option<usize>,
}

impl TaskOptions {
    /// The initialization: small uniform weights, as in the papers, for the cell that they report to fail; else orthogonal.
    pub(super) fn init_scheme(&self, failing_cell: &str) -> Scheme {
        if self.cell.as_deref() == Some(failing_cell) { Scheme::Uniform } else { Scheme::Orthogonal }
    }
}

/// A source of strings to learn from, and a test of whether a model has learned them.
pub trait Task: Sync {
    /// Draws a string.
    fn draw(&self, rng: &mut Rng) -> Example;

    /// Draws `n` strings.
    fn draw_many(&self, rng: &mut Rng, n: usize) -> Vec<Example> {
        (0..n).map(|_| self.draw(rng)).collect()
    }

    /// Whether a string is left out of the training text, so that a test can use strings that were never seen.
    fn is_held_out(&self, _: &Example) -> bool {
        false
    }

    /// Draws `n` held-out strings.
    fn draw_held_out(&self, rng: &mut Rng, n: usize) -> Vec<Example> {
        std::iter::repeat_with(|| self.draw(rng)).filter(|example| self.is_held_out(example)).take(n).collect()
    }

    /// How the strings are arranged in the training text.
    fn layout(&self) -> TextLayout {
        TextLayout::Lines
    }

    /// The values of the options that the task uses, by name.
    fn parameters(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// Tests a model on new strings.
    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult;
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn generators_differ_by_purpose_and_seed() {
        let first = |purpose, seed| rng(purpose, seed).random::<u64>();
        assert_eq!(first("test", 1), first("test", 1));
        assert_ne!(first("test", 1), first("train", 1));
        assert_ne!(first("test", 1), first("test", 2));
    }
}
