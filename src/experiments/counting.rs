//! Strings that require counting: `a^n b^n` and `a^n b^n c^n` (Gers & Schmidhuber 2001).

use rand::RngExt;

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TestResult};
use crate::optim::{Optimizer, Schedule};

pub const ANBN: Experiment = Experiment {
    name: "anbn",
    summary: "aaabbb: as many b as a, trained on up to 10 of each",
    criterion: "every determined character correct for all n up to at least 50",
    published: "Gers & Schmidhuber 2001: peephole LSTM generalizes to n in the hundreds",
    extra_options: &[],
    kind: Kind::Task {
        setup: |_| Setup { cell: "peephole".into(), hidden: 4, ..setup() },
        task: |_| Ok(Box::new(Counting { letters: "ab", required_n: 50 })),
    },
};

pub const ANBNCN: Experiment = Experiment {
    name: "anbncn",
    summary: "aaabbbccc: as many b and c as a, trained on up to 10 of each",
    criterion: "every determined character correct for all n up to at least 18",
    published: "Gers & Schmidhuber 2001: peephole LSTM generalizes to n in the hundreds",
    extra_options: &[],
    kind: Kind::Task {
        setup: |_| Setup { cell: "peephole".into(), hidden: 8, ..setup() },
        task: |_| Ok(Box::new(Counting { letters: "abc", required_n: 18 })),
    },
};

/// Gradient descent with momentum, as in the paper. Adam scales small gradients up to full size, so that the recurrent output,
/// which grows with n, would eventually move gates that are already correct for all trained n.
fn setup() -> Setup {
    Setup {
        batch: 2,
        optimizer: Optimizer::Sgd,
        lr: 1.0,
        schedule: Schedule::Constant,
        clip: 0.3,
        forget_bias: 10.0,
        weight_decay: 0.003,
        check_every: 25,
        ..Setup::default()
    }
}

const MAX_TRAINED_N: usize = 10;
const MAX_TESTED_N: usize = 1000;

struct Counting {
    letters: &'static str,
    required_n: usize,
}

impl Counting {
    fn string(&self, n: usize) -> Example {
        let mut example = Example::default();
        for (i, letter) in self.letters.chars().enumerate() {
            for k in 0..n {
                // Before the second letter, n is unknown.
                if i == 0 || (i == 1 && k == 0) {
                    example.push_untested(letter);
                } else {
                    example.push_determined(&letter.to_string());
                }
            }
        }
        example.push_determined("\n");
        example
    }
}

impl Task for Counting {
    fn draw(&self, rng: &mut Rng) -> Example {
        self.string(rng.random_range(1..=MAX_TRAINED_N))
    }

    fn test(&self, evaluator: &Evaluator<'_>, _: &mut Rng, check: Check) -> TestResult {
        let max_n = if check == Check::Full { MAX_TESTED_N } else { self.required_n };
        let examples: Vec<_> = (1..=max_n).map(|n| self.string(n)).collect();
        let solved = evaluator.count_errors(&examples).iter().take_while(|errors| **errors == 0).count();
        TestResult { passed: solved >= self.required_n, measured: format!("n = 1 to {solved}") }
    }
}
