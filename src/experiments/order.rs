//! Two or three symbols far apart, whose order decides the class (Hochreiter & Schmidhuber 1997, experiment 6).

use std::ops::Range;

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Verdict};

/// Two symbols, four classes.
pub const ORDER: Experiment = Experiment {
    name: "order",
    summary: "E....X....Y....B and a letter for the order of X and Y among distractors",
    criterion: "at most 3 wrong of 2,560 fresh strings",
    published: "LSTM 1997: solved after 31,390 strings",
    also: &[],
    kind: Kind::Task {
        // The paper's own cell: nothing that it remembers fades.
        setup: |_| Setup { cell: "lstm1997".into(), ..setup() },
        task: |_| Ok(Box::new(Order { places: &[10..21, 50..61] })),
    },
};

/// Three symbols, eight classes.
pub const ORDER3: Experiment = Experiment {
    name: "order3",
    summary: "the same with three symbols and eight classes",
    criterion: "at most 3 wrong of 2,560 fresh strings",
    published: "LSTM 1997: solved after 571,100 strings",
    also: &[],
    kind: Kind::Task { setup: |_| setup(), task: |_| Ok(Box::new(Order { places: &[10..21, 33..44, 66..77] })) },
};

fn setup() -> Setup {
    Setup { hidden: 32, batch: 32, seq_len: 112, steps: 5000, lr: 5e-3, forget_bias: 4.0, ..Setup::default() }
}

const CLASSES: [char; 8] = ['Q', 'R', 'S', 'U', 'V', 'A', 'B', 'C'];

struct Order {
    places: &'static [Range<usize>],
}

impl Task for Order {
    fn draw(&self, rng: &mut Rng) -> Sample {
        let length = rng.random_range(100..=110);
        let mut chars: Vec<char> = (0..length).map(|_| ['a', 'b', 'c', 'd'][rng.random_range(0..4)]).collect();
        (chars[0], chars[length - 1]) = ('E', 'B');
        let mut class = 0;
        for place in self.places {
            let second: bool = rng.random();
            chars[rng.random_range(place.clone())] = if second { 'Y' } else { 'X' };
            class = 2 * class + usize::from(second);
        }
        let mut sample = Sample::default();
        chars.into_iter().for_each(|c| sample.free(c));
        sample.determined(&CLASSES[class].to_string());
        sample
    }

    fn training(&self) -> Training {
        Training::Windows
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict {
        let n = if look == Look::Test { 2560 } else { 320 };
        let samples = self.draws(rng, n);
        let wrong: usize = subject.wrong(&samples).iter().sum();
        let most = if look == Look::Test { 3 } else { 0 };
        Verdict { passed: wrong <= most, measured: format!("{wrong} wrong of {n}") }
    }
}
