//! Intervals that differ by one step (Gers & Schmidhuber 2000).

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Verdict};

/// 49 or 50 steps from one mark to the next.
pub const TIMING: Experiment = Experiment {
    name: "timing",
    summary: "x every 49 or 50 steps, and a letter that says which it was",
    criterion: "every letter right in 1,000 fresh strings",
    published: "Gers & Schmidhuber 2000: peepholes are needed",
    also: &[],
    kind: Kind::Task {
        setup: |_| Setup {
            cell: "peephole".into(),
            hidden: 16,
            batch: 32,
            seq_len: 176,
            steps: 6000,
            lr: 1e-2,
            forget_bias: 4.0,
            ..Setup::default()
        },
        task: |_| Ok(Box::new(Timing)),
    },
};

const INTERVALS: [(usize, &str); 2] = [(49, "s"), (50, "l")];

struct Timing;

impl Task for Timing {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let mut sample = Sample::default();
        // Where the first mark stands says nothing.
        (0..rng.random_range(0..=20)).for_each(|_| sample.free('-'));
        sample.free('x');
        for round in 0..3 {
            let (steps, letter) = INTERVALS[rng.random_range(0..2)];
            // The letter of the interval before stands in the way of the first step.
            (round.min(1)..steps - 1).for_each(|_| sample.free('-'));
            sample.free('x');
            sample.determined(letter);
        }
        sample
    }

    fn training(&self) -> Training {
        Training::Windows
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        let n = if look == Look::Test { 1000 } else { 200 };
        let samples = self.draws(rng, n);
        let right = subject.share_right(&samples);
        Verdict { passed: right == 1.0, measured: format!("{:.1} % of {n} strings", 100.0 * right) }
    }
}
