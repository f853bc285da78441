//! A symbol that must be remembered over many distractors (Hochreiter & Schmidhuber 1997, experiment 2).

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Variant, Verdict};
use crate::error::{Error, Result};

/// `b x ...distractors... e x`.
pub const LAG: Experiment = Experiment {
    name: "lag",
    summary: "b x ...distractors... e x: the second symbol comes back after --q distractors and more",
    criterion: "the right symbol has a probability over 0.8 at the end of each of 10,000 fresh strings",
    published: "LSTM 1997: solved at q = 50, 100, 200, 500, 1000 after 30,000 to 49,000 strings; the rnn fails at 100",
    also: &["--q", "--noise"],
    kind: Kind::Task { setup, task: |variant| Ok(Box::new(Lag::new(variant)?)) },
};

/// Distractors by default.
pub(super) const Q: usize = 100;
const MOST: usize = 10_000;
/// Up to this many distractors a few units suffice.
const FEW: usize = 300;
/// Characters beyond `q` and the four symbols that the window has room for; longer strings are drawn again.
const ROOM: usize = 60;
/// Distractors are characters from here on.
const FIRST: u32 = 0x4e00;
/// The two symbols to remember.
const SYMBOLS: [char; 2] = ['x', 'y'];

fn setup(variant: &Variant) -> Setup {
    let q = variant.q.unwrap_or(Q);
    let most = q.max(1) as f64;
    Setup {
        hidden: if q > FEW { 32 } else { 16 },
        scheme: variant.scheme("rnn"),
        batch: 32,
        seq_len: q + 4 + ROOM,
        steps: (6 * q as u64).max(3000),
        // A step moves the weights of all distractors alike, and a string adds up as many of them in its cell state.
        lr: (0.02 / most.sqrt()).min(0.5 / most).min(1e-2),
        // A forget gate of 1 - 1/(10 q) keeps nine tenths over q steps.
        forget_bias: (10.0 * most).ln(),
        glance_every: 50,
        ..Setup::default()
    }
}

struct Lag {
    q: usize,
    noise: bool,
}

impl Lag {
    fn new(variant: &Variant) -> Result<Self> {
        let q = variant.q.unwrap_or(Q);
        if !(1..=MOST).contains(&q) {
            return Err(Error::Usage(format!("--q must be 1 to {MOST}, not {q}")));
        }
        Ok(Lag { q, noise: variant.noise })
    }

    /// One of the distractors, or with noise one of the symbols themselves now and then.
    fn distractor(&self, rng: &mut Rng) -> char {
        if self.noise && rng.random_bool(0.1) {
            return SYMBOLS[rng.random_range(0..2)];
        }
        char::from_u32(FIRST + rng.random_range(0..self.q) as u32).unwrap_or('?')
    }
}

impl Task for Lag {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let symbol = SYMBOLS[rng.random_range(0..2)];
        let mut more = 0;
        while !rng.random_bool(0.1) {
            more = (more + 1) % (ROOM + 1);
        }
        let mut sample = Sample::default();
        sample.free('b');
        sample.free(symbol);
        (0..self.q + more).for_each(|_| sample.free(self.distractor(rng)));
        sample.free('e');
        sample.determined(&symbol.to_string());
        sample
    }

    fn training(&self) -> Training {
        Training::Windows
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        let n = if look == Look::Test { 10_000 } else { 200 };
        let (mut right, mut done) = (0, 0);
        // In groups, so that long strings of many do not stand in memory at once.
        while done < n {
            let samples = self.draws(rng, 200.min(n - done));
            let sure = subject.follow(&samples, |sure: &mut usize, sample, at, probabilities| {
                *sure += usize::from(subject.of(probabilities, sample.chars[at]) > 0.8);
            });
            right += sure.iter().sum::<usize>();
            done += samples.len();
        }
        Verdict { passed: right == n, measured: format!("{right} of {n} strings") }
    }
}
