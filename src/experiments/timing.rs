//! Intervals that differ by one step (Gers & Schmidhuber 2000).

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Verdict};

/// 49 or 50 steps from one mark to the next.
pub const TIMING: Experiment = Experiment {
    name: "timing",
    summary: "x every 49 or 50 steps, and a letter that says which it was",
    criterion: "every letter right in 1,000 strings that the text does not have",
    published: "Gers & Schmidhuber 2000: peepholes are needed",
    also: &[],
    kind: Kind::Task {
        setup: |variant| Setup {
            cell: "peephole".into(),
            scheme: variant.scheme("lstm"),
            hidden: 16,
            batch: 32,
            seq_len: LATEST + 1 + ROUNDS * 51,
            steps: 6000,
            lr: 1e-2,
            forget_bias: 4.0,
            ..Setup::default()
        },
        task: |_| Ok(Box::new(Timing)),
    },
};

/// Intervals of a string: so many that a fifth of all strings is more than a test asks for.
const ROUNDS: usize = 8;
/// Where the first mark stands at the latest.
const LATEST: usize = 20;
const INTERVALS: [(usize, &str); 2] = [(49, "s"), (50, "l")];

struct Timing;

impl Task for Timing {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let mut sample = Sample::default();
        // Where the first mark stands says nothing.
        (0..rng.random_range(0..=LATEST)).for_each(|_| sample.free('-'));
        sample.free('x');
        for round in 0..ROUNDS {
            let (steps, letter) = INTERVALS[rng.random_range(0..2)];
            // The letter of the interval before stands in the way of the first step.
            (round.min(1)..steps - 1).for_each(|_| sample.free('-'));
            sample.free('x');
            sample.determined(letter);
        }
        sample
    }

    fn is_kept_back(&self, sample: &Sample) -> bool {
        sample.is_of_a_fifth()
    }

    fn training(&self) -> Training {
        Training::Windows
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        let n = if look == Look::Test { 1000 } else { 200 };
        let unseen = std::iter::repeat_with(|| self.draw(rng)).filter(|sample| self.is_kept_back(sample));
        let samples: Vec<_> = unseen.take(n).collect();
        let right = subject.share_right(&samples);
        Verdict { passed: right == 1.0, measured: format!("{:.1} % of {n} unseen strings", 100.0 * right) }
    }
}
