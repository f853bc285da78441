//! Strings that must be counted: `a^n b^n` and `a^n b^n c^n` (Gers & Schmidhuber 2001).

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Verdict};
use crate::optim::{Optimizer, Schedule};

/// `a^n b^n`.
pub const ANBN: Experiment = Experiment {
    name: "anbn",
    summary: "aaabbb: as many b as a, learned up to 10 of each",
    criterion: "every determined character right for every n up to 50 at least",
    published: "Gers & Schmidhuber 2001: peephole LSTM goes on to n in the hundreds",
    also: &[],
    kind: Kind::Task {
        setup: |_| Setup { cell: "peephole".into(), hidden: 4, ..setup() },
        task: |_| Ok(Box::new(Counting { letters: "ab", wanted: 50 })),
    },
};

/// `a^n b^n c^n`.
pub const ANBNCN: Experiment = Experiment {
    name: "anbncn",
    summary: "aaabbbccc: as many b and c as a, learned up to 10 of each",
    criterion: "every determined character right for every n up to 18 at least",
    published: "Gers & Schmidhuber 2001: peephole LSTM goes on to n in the hundreds",
    also: &[],
    kind: Kind::Task {
        setup: |_| Setup { cell: "peephole".into(), hidden: 8, ..setup() },
        task: |_| Ok(Box::new(Counting { letters: "abc", wanted: 18 })),
    },
};

/// Gradient descent with momentum, as in the paper: Adam brings every small gradient up to full size, and so the output that is
/// fed back, and grows with n, comes to move gates that were already right for all n that are trained. What the net does not need
/// decays.
fn setup() -> Setup {
    Setup {
        batch: 2,
        seq_len: 64,
        steps: 5000,
        optimizer: Optimizer::Sgd,
        lr: 1.0,
        schedule: Schedule::Constant,
        clip: 0.3,
        forget_bias: 10.0,
        weight_decay: 0.003,
        glance_every: 25,
        ..Setup::default()
    }
}

/// The largest n that is trained.
const TRAINED: usize = 10;
/// The largest n that is tried.
const MOST: usize = 1000;

struct Counting {
    letters: &'static str,
    wanted: usize,
}

impl Counting {
    fn string(&self, n: usize) -> Sample {
        let mut sample = Sample::default();
        for (i, letter) in self.letters.chars().enumerate() {
            for k in 0..n {
                // How many there are is free, and open until the second letter.
                if i == 0 || (i == 1 && k == 0) {
                    sample.free(letter);
                } else {
                    sample.determined(&letter.to_string());
                }
            }
        }
        sample.determined("\n");
        sample
    }
}

impl Task for Counting {
    fn draw(&self, rng: &mut Rng) -> Sample {
        self.string(rng.random_range(1..=TRAINED))
    }

    fn training(&self) -> Training {
        Training::Lines
    }

    fn judge(&self, subject: &Subject<'_>, _: &mut Rng, look: Look) -> Verdict {
        let most = if look == Look::Test { MOST } else { self.wanted };
        let samples: Vec<_> = (1..=most).map(|n| self.string(n)).collect();
        let reached = subject.wrong(&samples).iter().take_while(|wrong| **wrong == 0).count();
        Verdict { passed: reached >= self.wanted, measured: format!("n = 1 to {reached}") }
    }
}
