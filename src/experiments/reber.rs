//! Strings of the embedded Reber grammar (Hochreiter & Schmidhuber 1997, experiment 1), separate or as one continuous stream
//! (Gers et al. 1999).

use rand::RngExt;

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TestResult, TextLayout};

pub const REBER: Experiment = Experiment {
    name: "reber",
    summary: "strings of the embedded Reber grammar: the second-to-last letter repeats the second",
    criterion: "the most likely symbol is legal at every position of 256 new strings",
    published: "LSTM 1997: 100 % of trials solved, after 8,440 to 39,740 strings",
    extra_options: &[],
    kind: Kind::Task {
        setup: |_| Setup { hidden: 16, batch: 16, seq_len: 48, steps: 6000, lr: 1e-2, ..Setup::default() },
        task: |_| Ok(Box::new(Reber { continual: false })),
    },
};

pub const CONTINUAL_REBER: Experiment = Experiment {
    name: "continual-reber",
    summary: "the same strings in one stream, without separators or state resets",
    criterion: "loss within 0.005 nats of 0.4043, and no illegal prediction in ten streams of 100,000 symbols",
    published: "Gers et al. 1999: solved with forget gates, not by the LSTM of 1997",
    extra_options: &[],
    kind: Kind::Task {
        setup: |options| Setup {
            scheme: options.init_scheme("lstm1997"),
            steps: 6000,
            lr: 1e-2,
            check_every: 250,
            ..Setup::default()
        },
        task: |_| Ok(Box::new(Reber { continual: true })),
    },
};

/// The entropy of the continual strings: on average seven fair binary choices in twelve characters.
const ENTROPY: f64 = 7.0 * std::f64::consts::LN_2 / 12.0;

/// Symbols at the beginning of a stream that are not tested: a model that was never reset has not seen the zero state.
const WARM_UP: usize = 100;

/// For each node of the grammar, the possible letters and the nodes that they lead to. Strings start at node 1.
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
    fn append_string(&self, example: &mut Example, rng: &mut Rng) {
        let outer = if rng.random() { 'T' } else { 'P' };
        example.push_determined("B");
        example.push_one_of(outer, "TP");
        example.push_determined("B");
        let mut node = 1;
        while !GRAPH[node].is_empty() {
            let edges = GRAPH[node];
            let (letter, next) = edges[rng.random_range(0..edges.len())];
            example.push_one_of(letter, &edges.iter().map(|(letter, _)| *letter).collect::<String>());
            node = next;
        }
        example.push_determined("E");
        example.push_determined(&outer.to_string());
        example.push_determined("E");
        if !self.continual {
            example.push_determined("\n");
        }
    }

    /// A stream of strings of which `tested` characters, after the warm-up, are tested.
    fn stream(&self, rng: &mut Rng, tested: usize) -> Example {
        let mut example = Example::default();
        while example.chars.len() < WARM_UP {
            self.append_string(&mut example, rng);
        }
        example.allowed.iter_mut().for_each(String::clear);
        let end = example.chars.len() + tested;
        while example.chars.len() < end {
            self.append_string(&mut example, rng);
        }
        example
    }

    fn test_streams(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult {
        // The mean of a short check deviates from the entropy by chance.
        let (len, tolerance) = if check == Check::Full { (100_000, 0.005) } else { (5_000, 0.02) };
        let streams: Vec<_> = (0..10).map(|_| self.stream(rng, len)).collect();
        let results = evaluator.visit(&streams, |(nats, errors): &mut (f64, usize), example, at, probabilities| {
            *nats -= f64::from(evaluator.probability(probabilities, example.chars[at]).max(f32::MIN_POSITIVE)).ln();
            *errors += usize::from(!evaluator.is_correct(probabilities, &example.allowed[at]));
        });
        let tested = streams.iter().flat_map(|stream| &stream.allowed).filter(|allowed| !allowed.is_empty()).count();
        let loss = results.iter().map(|(nats, _)| nats).sum::<f64>() / tested as f64;
        let errors: usize = results.iter().map(|(_, errors)| errors).sum();
        let flawless = results.iter().filter(|(_, errors)| *errors == 0).count();
        let measured =
            format!("{loss:.4} nats, {errors} illegal predictions of {tested}, {flawless} of 10 streams without one");
        TestResult { passed: errors == 0 && (loss - ENTROPY).abs() <= tolerance, measured }
    }
}

impl Task for Reber {
    fn draw(&self, rng: &mut Rng) -> Example {
        let mut example = Example::default();
        self.append_string(&mut example, rng);
        example
    }

    fn layout(&self) -> TextLayout {
        if self.continual { TextLayout::Stream } else { TextLayout::Lines }
    }

    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult {
        if self.continual {
            return self.test_streams(evaluator, rng, check);
        }
        let correct = evaluator.accuracy(&self.draw_many(rng, 256));
        TestResult { passed: correct == 1.0, measured: format!("{:.1} % of 256 strings", 100.0 * correct) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::task::rng;

    #[test]
    fn strings_average_seven_choices_in_twelve_characters() {
        let mut rng = rng("reber", 3);
        let task = Reber { continual: true };
        let (mut chars, mut choices) = (0, 0);
        for _ in 0..20_000 {
            let example = task.draw(&mut rng);
            chars += example.chars.len();
            choices += example.allowed.iter().filter(|allowed| allowed.len() == 2).count();
        }
        let (chars, choices) = (chars as f64 / 20_000.0, choices as f64 / 20_000.0);
        assert!((chars - 12.0).abs() < 0.1 && (choices - 7.0).abs() < 0.1, "{chars} characters, {choices} choices");
    }
}
