//! Two or three widely separated symbols whose order determines the class (Hochreiter & Schmidhuber 1997, experiment 6).

use std::ops::Range;

use rand::RngExt;

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TestResult, TextLayout};

pub const ORDER: Experiment = Experiment {
    name: "order",
    summary: "E....X....Y....B followed by a letter for the order of X and Y among distractors",
    criterion: "at most 3 errors in 2,560 new strings",
    published: "LSTM 1997: solved after 31,390 strings",
    extra_options: &[],
    kind: Kind::Task {
        // The paper's cell, which has no forget gate.
        setup: |_| Setup { cell: "lstm1997".into(), ..setup() },
        task: |_| Ok(Box::new(Order { positions: &[10..21, 50..61] })),
    },
};

pub const ORDER3: Experiment = Experiment {
    name: "order3",
    summary: "the same with three symbols and eight classes",
    criterion: "at most 3 errors in 2,560 new strings",
    published: "LSTM 1997: solved after 571,100 strings",
    extra_options: &[],
    kind: Kind::Task { setup: |_| setup(), task: |_| Ok(Box::new(Order { positions: &[10..21, 33..44, 66..77] })) },
};

fn setup() -> Setup {
    Setup { seq_len: 112, steps: 5000, lr: 5e-3, forget_bias: 4.0, ..Setup::default() }
}

const CLASSES: [char; 8] = ['Q', 'R', 'S', 'U', 'V', 'A', 'B', 'C'];

struct Order {
    positions: &'static [Range<usize>],
}

impl Task for Order {
    fn draw(&self, rng: &mut Rng) -> Example {
        let len = rng.random_range(100..=110);
        let mut chars: Vec<char> = (0..len).map(|_| ['a', 'b', 'c', 'd'][rng.random_range(0..4)]).collect();
        (chars[0], chars[len - 1]) = ('E', 'B');
        let mut class = 0;
        for position in self.positions {
            let is_y: bool = rng.random();
            chars[rng.random_range(position.clone())] = if is_y { 'Y' } else { 'X' };
            class = 2 * class + usize::from(is_y);
        }
        let mut example = Example::default();
        chars.into_iter().for_each(|c| example.push_untested(c));
        example.push_determined(&CLASSES[class].to_string());
        example
    }

    fn layout(&self) -> TextLayout {
        TextLayout::Windows
    }

    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, check: Check) -> TestResult {
        let (n, max_errors) = if check == Check::Full { (2560, 3) } else { (320, 0) };
        let errors: usize = evaluator.count_errors(&self.draw_many(rng, n)).iter().sum();
        TestResult { passed: errors <= max_errors, measured: format!("{errors} wrong of {n}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::task::rng;

    #[test]
    fn the_class_encodes_the_order_of_the_symbols() {
        for (positions, classes) in [(&[10..21, 50..61][..], "QRSU"), (&[10..21, 33..44, 66..77][..], "QRSUVABC")] {
            let positions: &'static [Range<usize>] = Box::leak(positions.into());
            for example in (Order { positions }).draw_many(&mut rng("strings", 2), 300) {
                let text: String = example.chars.iter().collect();
                let symbols: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| "XY".contains(*c)).collect();
                assert_eq!(symbols.len(), positions.len(), "{text}");
                assert!(symbols.iter().zip(positions).all(|((at, _), range)| range.contains(at)), "{text}");
                let class = symbols.iter().fold(0, |class, (_, c)| 2 * class + usize::from(*c == 'Y'));
                assert!(text.starts_with('E') && text[..text.len() - 1].ends_with('B'), "{text}");
                assert_eq!(text.chars().last(), classes.chars().nth(class), "{text}");
            }
        }
    }
}
