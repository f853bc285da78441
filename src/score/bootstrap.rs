//! The confidence interval for the difference between two models.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::error::{Error, Result};

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end, the 2.5th percentile.
    pub low: f64,
    /// The upper end, the 97.5th percentile.
    pub high: f64,
}

/// The mean of `a - b`, the surprisals of two models for each character of the same text, with its 95 % percentile interval by the
/// bootstrap (Efron & Tibshirani 1993). Each of the `rounds` resamples the text in blocks of `block` consecutive characters, which
/// preserves the correlation between neighbours (Künsch 1989). The same seed gives the same interval.
///
/// # Errors
/// [`Error::Usage`] if the lengths differ, if there are fewer than two blocks of characters, or if `block` or `rounds` is 0.
pub fn paired_bootstrap(a: &[f32], b: &[f32], block: usize, rounds: usize, seed: u64) -> Result<Interval> {
    let n = a.len();
    if n != b.len() {
        return Err(Error::Usage(format!("cannot compare {n} characters with {}", b.len())));
    }
    if block == 0 || rounds == 0 {
        return Err(Error::Usage("the block length and the number of bootstrap rounds must be at least 1".into()));
    }
    if n / 2 < block {
        return Err(Error::Usage(format!(
            "{n} characters are fewer than two blocks of {block}; use a smaller block length"
        )));
    }
    // Relative to the first difference, so that a constant difference has no rounding error.
    let difference = |(a, b): (&f32, &f32)| f64::from(*a) - f64::from(*b);
    let first = difference((&a[0], &b[0]));
    let mut sums = vec![0.0; n + 1];
    for (i, pair) in a.iter().zip(b).enumerate() {
        sums[i + 1] = sums[i] + difference(pair) - first;
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut part = |len: usize| {
        let from = rng.random_range(0..=n - len);
        sums[from + len] - sums[from]
    };
    let mut round = || (0..n / block).map(|_| part(block)).sum::<f64>() + part(n % block);
    let mut means: Vec<f64> = (0..rounds).map(|_| first + round() / n as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    let percentile = |p: f64| means[(p * (rounds - 1) as f64).round() as usize];
    Ok(Interval { mean: first + sums[n] / n as f64, low: percentile(0.025), high: percentile(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Autocorrelated numbers around `mean`.
    fn autocorrelated(mean: f32, n: usize, seed: u64) -> Vec<f32> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut last = 0.0;
        let next = |_| {
            last = 0.8 * last + rng.random_range(-1.0..1.0);
            mean + last
        };
        (0..n).map(next).collect()
    }

    /// The number of confidence intervals, out of `intervals`, that contain the true difference.
    fn hits(block: usize, intervals: u64) -> usize {
        let holds = |seed: &u64| {
            let (a, b) = (autocorrelated(1.3, 2000, 2 * seed), autocorrelated(1.0, 2000, 2 * seed + 1));
            let interval = paired_bootstrap(&a, &b, block, 400, *seed).unwrap();
            interval.low <= 0.3 && 0.3 <= interval.high
        };
        (0..intervals).filter(holds).count()
    }

    #[test]
    fn about_95_percent_of_intervals_contain_the_true_difference() {
        let hits = hits(60, 400);
        assert!((364..=394).contains(&hits), "{hits} of 400");
    }

    #[test]
    fn single_character_blocks_underestimate_the_interval() {
        let hits = hits(1, 60);
        assert!(hits < 40, "{hits} of 60");
    }

    #[test]
    fn a_constant_difference_has_an_interval_of_zero_width() {
        let b = autocorrelated(0.0, 1003, 1).iter().map(|x| (x * 64.0).round() / 64.0).collect::<Vec<_>>();
        let a: Vec<f32> = b.iter().map(|x| x + 0.375).collect();
        let interval = paired_bootstrap(&a, &b, 10, 50, 1).unwrap();
        assert_eq!(interval, Interval { mean: 0.375, low: 0.375, high: 0.375 });
        assert_eq!(paired_bootstrap(&b, &a, 10, 50, 1).unwrap().mean, -0.375);
    }

    #[test]
    fn the_seed_determines_the_interval_but_not_the_mean() {
        let (a, b) = (autocorrelated(1.0, 1000, 1), autocorrelated(1.0, 1000, 2));
        let [one, again, other] = [7, 7, 8].map(|seed| paired_bootstrap(&a, &b, 30, 100, seed).unwrap());
        assert_eq!(one, again);
        assert!(one.mean == other.mean && one.low != other.low && one.low < one.mean && one.mean < one.high);
        let mean = a.iter().zip(&b).map(|(a, b)| f64::from(a - b)).sum::<f64>() / 1000.0;
        assert!((one.mean - mean).abs() < 1e-6, "{} {mean}", one.mean);
    }

    #[test]
    fn rejects_texts_that_cannot_be_compared() {
        let message =
            |a: &[f32], b: &[f32], block, rounds| paired_bootstrap(a, b, block, rounds, 1).unwrap_err().to_string();
        assert!(message(&[1.0; 3], &[1.0; 4], 1, 9).contains("3 characters"));
        assert!(message(&[1.0; 7], &[1.0; 7], 4, 9).contains("two blocks of 4"));
        assert!(message(&[], &[], 1, 9).contains("two blocks"));
        assert!(message(&[1.0; 7], &[1.0; 7], 0, 9).contains("at least 1"));
        assert!(message(&[1.0; 7], &[1.0; 7], 2, 0).contains("at least 1"));
    }
}
