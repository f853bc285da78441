//! A symbol that must be remembered over many distractors (Hochreiter & Schmidhuber 1997, experiment 2).

use rand::RngExt;
use serde_json::{Value, json};

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TaskOptions, TestResult, TextLayout};
use crate::error::{Error, Result};

pub const LAG: Experiment = Experiment {
    name: "lag",
    summary: "b x ...distractors... e x: repeat the second symbol after q or more distractors",
    criterion: "the correct last symbol has a probability above 0.8 in each of 10,000 new strings",
    published: "LSTM 1997: solved at q = 50, 100, 200, 500, 1000 after 30,000 to 49,000 strings; the rnn fails at 100",
    extra_options: &["q", "noise"],
    kind: Kind::Task { setup, task: |options| Ok(Box::new(Lag::new(options)?)) },
};

const DEFAULT_Q: usize = 100;
const MAX_Q: usize = 10_000;
const MAX_Q_OF_SMALL_LAYER: usize = 300;
/// The maximum number of distractors beyond `q`.
const MAX_EXTRA: usize = 60;
const FIRST_DISTRACTOR: u32 = 0x4e00;
const SYMBOLS: [char; 2] = ['x', 'y'];

fn setup(options: &TaskOptions) -> Setup {
    let q = options.q.unwrap_or(DEFAULT_Q);
    let q_or_1 = q.max(1) as f64;
    Setup {
        hidden: if q > MAX_Q_OF_SMALL_LAYER { 32 } else { 16 },
        scheme: options.init_scheme("rnn"),
        seq_len: q + 4 + MAX_EXTRA,
        steps: (6 * q as u64).max(3000),
        // A step changes the weights of all distractors alike, and the cell state accumulates q of them.
        lr: (0.02 / q_or_1.sqrt()).min(0.5 / q_or_1).min(1e-2),
        // A forget gate of 1 - 1/(10 q) keeps nine tenths over q steps.
        forget_bias: (10.0 * q_or_1).ln(),
        check_every: 50,
        ..Setup::default()
    }
}

struct Lag {
    q: usize,
    noise: bool,
}

impl Lag {
    fn new(options: &TaskOptions) -> Result<Self> {
        let q = options.q.unwrap_or(DEFAULT_Q);
        if !(1..=MAX_Q).contains(&q) {
            return Err(Error::out_of_range("q", q, format!("1 to {MAX_Q}")));
        }
        Ok(Lag { q, noise: options.noise })
    }

    fn distractor(&self, rng: &mut Rng) -> char {
        if self.noise && rng.random_bool(0.1) {
            return SYMBOLS[rng.random_range(0..2)];
        }
        char::from_u32(FIRST_DISTRACTOR + rng.random_range(0..self.q) as u32).unwrap_or('?')
    }
}

impl Task for Lag {
    fn draw(&self, rng: &mut Rng) -> Example {
        let symbol = SYMBOLS[rng.random_range(0..2)];
        let mut extra = 0;
        while !rng.random_bool(0.1) {
            extra = (extra + 1) % (MAX_EXTRA + 1);
        }
        let mut example = Example::default();
        example.push_untested('b');
        example.push_untested(symbol);
        (0..self.q + extra).for_each(|_| example.push_untested(self.distractor(rng)));
        example.push_untested('e');
        example.push_determined(&symbol.to_string());
        example
    }

    fn layout(&self) -> TextLayout {
        TextLayout::Windows
    }

    fn parameters(&self) -> Vec<(&'static str, Value)> {
        vec![("q", json!(self.q)), ("noise", json!(self.noise))]
    }

    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult {
        let n = if check == Check::Full { 10_000 } else { 200 };
        let mut correct = 0;
        // In groups, to limit memory.
        for _ in 0..n / 200 {
            let examples = self.draw_many(rng, 200);
            let confident = evaluator.visit(&examples, |confident: &mut usize, example, at, probabilities| {
                *confident += usize::from(evaluator.probability(probabilities, example.chars[at]) > 0.8);
            });
            correct += confident.iter().sum::<usize>();
        }
        TestResult { passed: correct == n, measured: format!("{correct} of {n} strings") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::task::rng;

    #[test]
    fn the_last_symbol_repeats_the_second() {
        let task = Lag::new(&TaskOptions::default()).unwrap();
        for example in task.draw_many(&mut rng("strings", 2), 300) {
            let [first, symbol, distractors @ .., end, last] = &example.chars[..] else { panic!("{example:?}") };
            assert!(*first == 'b' && *end == 'e' && symbol == last && distractors.len() >= 100, "{example:?}");
            assert!("xy".contains(*symbol) && !distractors.iter().any(|c| "xybe".contains(*c)), "{example:?}");
        }
    }
}
