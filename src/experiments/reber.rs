//! Strings of the embedded Reber grammar (Hochreiter & Schmidhuber 1997, experiment 1), and the same without end (Gers et al.
//! 1999).

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Verdict};

/// The strings one after another, the state zero at the beginning of each.
pub const REBER: Experiment = Experiment {
    name: "reber",
    summary: "strings of the embedded Reber grammar: the second letter comes back before the last",
    criterion: "the most likely symbol is legal at every place of 256 fresh strings",
    published: "LSTM 1997: 100 % of trials, after 8,440 to 39,740 strings",
    also: &[],
    kind: Kind::Task {
        setup: |_| Setup { hidden: 16, batch: 16, seq_len: 48, steps: 6000, lr: 1e-2, ..Setup::default() },
        task: |_| Ok(Box::new(Reber { continual: false })),
    },
};

/// The strings without separator or reset.
pub const CONTINUAL: Experiment = Experiment {
    name: "continual-reber",
    summary: "the same strings without end: nothing says where one ends, and no state is reset",
    criterion: "loss within 0.005 nats of 0.4043, and ten streams of 100,000 symbols without an illegal prediction",
    published: "Gers et al. 1999: forget gates solve it, the LSTM of 1997 does not",
    also: &[],
    kind: Kind::Task {
        setup: |variant| Setup {
            scheme: variant.scheme("lstm1997"),
            hidden: 32,
            batch: 32,
            seq_len: 64,
            steps: 6000,
            lr: 1e-2,
            glance_every: 250,
            ..Setup::default()
        },
        task: |_| Ok(Box::new(Reber { continual: true })),
    },
};

/// The entropy of the continual strings: seven fair choices in twelve characters on average.
const ENTROPY: f64 = 7.0 * std::f64::consts::LN_2 / 12.0;

/// Symbols that a stream has given before it is judged: a net that was never reset does not know the zero state.
const WARM_UP: usize = 100;

/// From each node, the letters and the nodes that they lead to. The first is node 1, the last one has no way on.
const GRAPH: [&[(char, usize)]; 7] = [
    &[],
    &[('T', 2), ('P', 3)],
    &[('S', 2), ('X', 4)],
    &[('T', 3), ('V', 5)],
    &[('X', 3), ('S', 6)],
    &[('P', 4), ('V', 6)],
    &[],
];

struct Reber {
    continual: bool,
}

impl Reber {
    fn append(&self, sample: &mut Sample, rng: &mut Rng) {
        let outer = if rng.random() { "T" } else { "P" };
        sample.determined("B");
        sample.one_of(if outer == "T" { 'T' } else { 'P' }, "TP");
        sample.determined("B");
        let mut node = 1;
        while !GRAPH[node].is_empty() {
            let ways = GRAPH[node];
            let (letter, next) = ways[rng.random_range(0..ways.len())];
            sample.one_of(letter, &ways.iter().map(|(letter, _)| *letter).collect::<String>());
            node = next;
        }
        sample.determined("E");
        sample.determined(outer);
        sample.determined("E");
        if !self.continual {
            sample.determined("\n");
        }
    }
}

impl Task for Reber {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let mut sample = Sample::default();
        self.append(&mut sample, rng);
        sample
    }

    fn training(&self) -> Training {
        if self.continual { Training::Stream } else { Training::Lines }
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        if self.continual {
            return self.judge_streams(subject, rng, look);
        }
        let samples = self.draws(rng, 256);
        let right = subject.share_right(&samples);
        Verdict { passed: right == 1.0, measured: format!("{:.1} % of 256 strings", 100.0 * right) }
    }
}

impl Reber {
    fn judge_streams(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        let length = if look == Look::Test { 100_000 } else { 5_000 };
        let stream = |_| {
            let mut sample = Sample::default();
            while sample.chars.len() < WARM_UP {
                self.append(&mut sample, rng);
            }
            sample.allowed.iter_mut().for_each(String::clear);
            let first = sample.chars.len();
            while sample.chars.len() < first + length {
                self.append(&mut sample, rng);
            }
            sample
        };
        let samples: Vec<_> = (0..10).map(stream).collect();
        let found = subject.follow(&samples, |(nats, wrong): &mut (f64, usize), sample, at, probabilities| {
            *nats -= f64::from(subject.of(probabilities, sample.chars[at]).max(f32::MIN_POSITIVE)).ln();
            *wrong += usize::from(!subject.is_right(probabilities, &sample.allowed[at]));
        });
        let asked = samples.iter().flat_map(|sample| &sample.allowed).filter(|allowed| !allowed.is_empty()).count();
        let loss = found.iter().map(|(nats, _)| nats).sum::<f64>() / asked as f64;
        let wrong: usize = found.iter().map(|(_, wrong)| wrong).sum();
        let sound = found.iter().filter(|(_, wrong)| *wrong == 0).count();
        // Chance alone moves the mean of a short glance by more than the bound.
        let bound = if look == Look::Test { 0.005 } else { 0.02 };
        Verdict {
            passed: wrong == 0 && (loss - ENTROPY).abs() <= bound,
            measured: format!(
                "{loss:.4} nats, {wrong} illegal predictions of {asked}, {sound} of 10 streams without one"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::rng;

    #[test]
    fn strings_have_seven_choices_in_twelve_characters() {
        let mut rng = rng("reber", 3);
        let task = Reber { continual: true };
        let (mut chars, mut choices) = (0, 0);
        for _ in 0..20_000 {
            let sample = task.draw(&mut rng);
            chars += sample.chars.len();
            choices += sample.allowed.iter().filter(|allowed| allowed.len() == 2).count();
        }
        let (chars, choices) = (chars as f64 / 20_000.0, choices as f64 / 20_000.0);
        assert!((chars - 12.0).abs() < 0.1 && (choices - 7.0).abs() < 0.1, "{chars} characters, {choices} choices");
    }
}
