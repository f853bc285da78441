//! Sums, differences and products, character by character.

use rand::RngExt;
use serde_json::{Value, json};

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind, Setup};
use super::task::{Check, Rng, Task, TaskOptions, TestResult};
use crate::error::{Error, Result};

pub const ARITHMETIC: Experiment = Experiment {
    name: "arithmetic",
    summary: "12+345=357: sums, differences, and products of fewer digits (size: maximum number of digits)",
    criterion: "95 % of 1,000 sums and differences that are not in the training text answered correctly",
    published: "no published figure",
    extra_options: &["size"],
    kind: Kind::Task {
        setup: |_| Setup { layers: 2, hidden: 128, steps: 10_000, lr: 4e-3, check_every: 500, ..Setup::default() },
        task: |options| Ok(Box::new(Arithmetic::new(options)?)),
    },
};

const MAX_DIGITS: usize = 9;

struct Arithmetic {
    digits: usize,
}

impl Arithmetic {
    fn new(options: &TaskOptions) -> Result<Self> {
        match options.size.unwrap_or(3) {
            digits @ 1..=MAX_DIGITS => Ok(Arithmetic { digits }),
            digits => Err(Error::out_of_range("size", digits, format!("1 to {MAX_DIGITS} digits"))),
        }
    }

    fn line(&self, rng: &mut Rng, operator: char) -> Example {
        let (digits_of_a, digits_of_b) = match operator {
            '*' => (self.digits.div_ceil(2), (self.digits / 2).max(1)),
            _ => (self.digits, self.digits),
        };
        let (a, b) = (random_number(rng, digits_of_a), random_number(rng, digits_of_b));
        let answer = match operator {
            '+' => a + b,
            '-' => a - b,
            _ => a * b,
        };
        let mut example = Example::default();
        format!("{a}{operator}{b}=").chars().for_each(|c| example.push_untested(c));
        example.push_determined(&format!("{answer}\n"));
        example
    }
}

/// A number of up to `digits` digits; every length is equally likely.
fn random_number(rng: &mut Rng, digits: usize) -> i64 {
    let digits = rng.random_range(1..=digits) as u32;
    rng.random_range(0..10i64.pow(digits))
}

impl Task for Arithmetic {
    fn draw(&self, rng: &mut Rng) -> Example {
        // There are so few products that a tenth of the text covers them.
        let operator = if rng.random_bool(0.1) { '*' } else { ['+', '-'][rng.random_range(0..2)] };
        self.line(rng, operator)
    }

    /// No products are held out: with few digits there are not enough of them.
    fn is_held_out(&self, example: &Example) -> bool {
        !example.chars.contains(&'*') && example.is_in_held_out_fifth()
    }

    fn parameters(&self) -> Vec<(&'static str, Value)> {
        vec![("size", json!(self.digits))]
    }

    fn test(&self, evaluator: &Evaluator<'_>, rng: &mut Rng, _: Check) -> TestResult {
        let mut count_correct = |operator, n| {
            let lines = std::iter::repeat_with(|| self.line(rng, operator));
            let usable = |line: &Example| operator == '*' || self.is_held_out(line);
            let lines: Vec<Example> = lines.filter(usable).take(n).collect();
            evaluator.count_errors(&lines).iter().filter(|errors| **errors == 0).count()
        };
        let [sums, differences, products] =
            [('+', 500), ('-', 500), ('*', 100)].map(|(operator, n)| count_correct(operator, n));
        let correct = (sums + differences) as f64 / 1000.0;
        let mut measured = format!("{:.1} % of 1000 unseen lines: {sums} of 500 sums, ", 100.0 * correct);
        measured += &format!("{differences} of 500 differences; {products} of 100 products, all seen");
        TestResult { passed: correct >= 0.95, measured }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::task::rng;

    #[test]
    fn answers_are_correct_and_a_fifth_of_sums_and_differences_is_held_out() {
        let (task, mut rng) = (Arithmetic { digits: 3 }, rng("arithmetic", 1));
        let mut held_out = 0;
        for _ in 0..3000 {
            let example = task.draw(&mut rng);
            let text: String = example.chars.iter().collect();
            let (question, answer) = text.trim_end().split_once('=').unwrap();
            let at = question.find(['+', '-', '*']).unwrap();
            let [a, b, answer]: [i64; 3] = [&question[..at], &question[at + 1..], answer].map(|n| n.parse().unwrap());
            let expected = match &question[at..=at] {
                "+" => a + b,
                "-" => a - b,
                _ => a * b,
            };
            assert_eq!(answer, expected, "{text}");
            assert!(a < 1000 && b < 1000 && a >= 0 && b >= 0, "{text}");
            held_out += usize::from(task.is_held_out(&example));
        }
        assert!((430..650).contains(&held_out), "{held_out} of 2700 sums and differences");
    }
}
