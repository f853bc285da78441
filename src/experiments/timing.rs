//! Intervals that differ by one step (Gers & Schmidhuber 2000).

use rand::RngExt;

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TestResult, TextLayout};

pub const TIMING: Experiment = Experiment {
    name: "timing",
    summary: "an x every 49 or 50 steps, followed by a letter for the length of the interval",
    criterion: "every letter correct in 1,000 strings that are not in the training text",
    published: "Gers & Schmidhuber 2000: peepholes are needed",
    extra_options: &[],
    kind: Kind::Task {
        setup: |options| Setup {
            cell: "peephole".into(),
            scheme: options.init_scheme("lstm"),
            hidden: 16,
            seq_len: MAX_START + 1 + INTERVALS * 51,
            steps: 6000,
            lr: 1e-2,
            forget_bias: 4.0,
            ..Setup::default()
        },
        task: |_| Ok(Box::new(Timing)),
    },
};

/// Intervals per string: enough for the held-out fifth of all strings to fill a test.
const INTERVALS: usize = 8;
/// The last possible position of the first x.
const MAX_START: usize = 20;
/// The steps of each interval, and its letter.
const LETTERS: [(usize, &str); 2] = [(49, "s"), (50, "l")];

struct Timing;

impl Task for Timing {
    fn draw(&self, rng: &mut Rng) -> Example {
        let mut example = Example::default();
        (0..rng.random_range(0..=MAX_START)).for_each(|_| example.push_untested('-'));
        example.push_untested('x');
        for interval in 0..INTERVALS {
            let (steps, letter) = LETTERS[rng.random_range(0..2)];
            // The letter of the previous interval takes the place of the first step.
            (interval.min(1)..steps - 1).for_each(|_| example.push_untested('-'));
            example.push_untested('x');
            example.push_determined(letter);
        }
        example
    }

    fn is_held_out(&self, example: &Example) -> bool {
        example.is_in_held_out_fifth()
    }

    fn layout(&self) -> TextLayout {
        TextLayout::Windows
    }

    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult {
        let n = if check == Check::Full { 1000 } else { 200 };
        let correct = evaluator.accuracy(&self.draw_held_out(rng, n));
        TestResult { passed: correct == 1.0, measured: format!("{:.1} % of {n} unseen strings", 100.0 * correct) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::task::rng;

    #[test]
    fn the_letter_after_an_x_encodes_the_interval() {
        for example in Timing.draw_many(&mut rng("strings", 2), 300) {
            let text: String = example.chars.iter().collect();
            let marks: Vec<usize> = text.match_indices('x').map(|(at, _)| at).collect();
            for pair in marks.windows(2) {
                let letter = if pair[1] - pair[0] == 49 { "s" } else { "l" };
                assert!([49, 50].contains(&(pair[1] - pair[0])) && text[pair[1] + 1..].starts_with(letter), "{text}");
            }
            assert_eq!(marks.len(), 9, "{text}");
        }
    }
}
