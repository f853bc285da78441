//! Sums, differences and products, character by character.

use rand::RngExt;

use super::{Experiment, Kind, Look, Rng, Sample, Setup, Subject, Task, Training, Variant, Verdict};
use crate::error::{Error, Result};

/// `12+345=357`.
pub const ARITHMETIC: Experiment = Experiment {
    name: "arithmetic",
    summary: "12+345=357, differences, and products with fewer digits (--size: digits)",
    criterion: "the whole answer right in 95 % of 1,000 sums and differences that the text does not have",
    published: "no figure of a paper",
    also: &["--size"],
    kind: Kind::Task {
        setup: |_| Setup {
            layers: 2,
            hidden: 128,
            batch: 32,
            seq_len: 64,
            steps: 10_000,
            lr: 4e-3,
            glance_every: 500,
            ..Setup::default()
        },
        task: |variant| Ok(Box::new(Arithmetic::new(variant)?)),
    },
};

const MOST_DIGITS: usize = 9;

struct Arithmetic {
    digits: usize,
}

impl Arithmetic {
    fn new(variant: &Variant) -> Result<Self> {
        match variant.size.unwrap_or(3) {
            digits @ 1..=MOST_DIGITS => Ok(Arithmetic { digits }),
            other => Err(Error::Usage(format!("--size must be 1 to {MOST_DIGITS} digits, not {other}"))),
        }
    }

    /// A sum, a difference or a product, as `kind` is 0, 1 or 2.
    fn line(&self, rng: &mut Rng, kind: usize) -> Sample {
        let of_two = kind < 2;
        let a = number(rng, if of_two { self.digits } else { self.digits.div_ceil(2) });
        let b = number(rng, if of_two { self.digits } else { (self.digits / 2).max(1) });
        let (sign, answer) = [('+', a + b), ('-', a - b), ('*', a * b)][kind];
        let mut sample = Sample::default();
        format!("{a}{sign}{b}=").chars().for_each(|c| sample.free(c));
        sample.determined(&format!("{answer}\n"));
        sample
    }
}

/// A number of up to that many digits, every length alike.
fn number(rng: &mut Rng, digits: usize) -> i64 {
    let digits = rng.random_range(1..=digits) as u32;
    rng.random_range(0..10i64.pow(digits))
}

impl Task for Arithmetic {
    fn draw(&self, rng: &mut Rng) -> Sample {
        // Of products there are so few that a tenth of the text is enough for them.
        let kind = if rng.random_bool(0.1) { 2 } else { rng.random_range(0..2) };
        self.line(rng, kind)
    }

    /// Products stay in the text: with few digits there are not enough of them to keep any back.
    fn is_kept_back(&self, sample: &Sample) -> bool {
        !sample.chars.contains(&'*') && sample.is_of_a_fifth()
    }

    fn training(&self) -> Training {
        Training::Lines
    }

    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, _: Look) -> Verdict {
        let mut of_kind = |kind: usize, n: usize| -> Vec<Sample> {
            let lines = std::iter::repeat_with(|| self.line(rng, kind));
            lines.filter(|line| kind == 2 || self.is_kept_back(line)).take(n).collect()
        };
        // No sum and no difference that the text has; it has all products, so that they prove nothing.
        let [sums, differences, products] = [(0, 500), (1, 500), (2, 100)].map(|(kind, n)| of_kind(kind, n));
        let right = [sums, differences, products].map(|lines| subject.share_right(&lines) * lines.len() as f64);
        let all = (right[0] + right[1]) / 1000.0;
        let measured = format!(
            "{:.1} % of 1000 lines never seen: {} of 500 sums, {} of 500 differences; {} of 100 products, all seen",
            100.0 * all,
            right[0].round(),
            right[1].round(),
            right[2].round()
        );
        Verdict { passed: all >= 0.95, measured }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::rng;

    #[test]
    fn answers_are_right_and_a_fifth_of_sums_and_differences_is_kept_back() {
        let (task, mut rng) = (Arithmetic { digits: 3 }, rng("arithmetic", 1));
        let mut kept_back = 0;
        for _ in 0..3000 {
            let sample = task.draw(&mut rng);
            let text: String = sample.chars.iter().collect();
            let (question, answer) = text.trim_end().split_once('=').unwrap();
            let at = question.find(['+', '-', '*']).unwrap();
            let [a, b, answer]: [i64; 3] = [&question[..at], &question[at + 1..], answer].map(|n| n.parse().unwrap());
            let right = match &question[at..=at] {
                "+" => a + b,
                "-" => a - b,
                _ => a * b,
            };
            assert_eq!(answer, right, "{text}");
            assert!(a < 1000 && b < 1000 && a >= 0 && b >= 0, "{text}");
            kept_back += usize::from(task.is_kept_back(&sample));
        }
        assert!((430..650).contains(&kept_back), "{kept_back} of 2700 sums and differences");
    }
}
