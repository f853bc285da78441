//! Softmax and cross-entropy of a row of logits.

use super::real::Real;
use crate::simd::{Simd, SimdKernel, dispatch};

/// Number of partial sums: fixed, so that the bits do not depend on the width of the registers.
const PARTIAL_SUMS: usize = 16;

/// Replaces logits by their exponentials, scaled so that the largest is 1; returns the largest logit and the sum.
struct Exponentials<'a, R>(&'a mut [R]);

impl<R: Real> SimdKernel for Exponentials<'_, R> {
    type Output = (R, R);

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> (R, R) {
        let row = self.0;
        let larger = |a: R, b: R| if b > a { b } else { a };
        let mut tops = [row[0]; PARTIAL_SUMS];
        for chunk in row.chunks(PARTIAL_SUMS) {
            tops.iter_mut().zip(chunk).for_each(|(top, x)| *top = larger(*top, *x));
        }
        let top = tops.into_iter().fold(row[0], larger);
        let mut sums = [R::ZERO; PARTIAL_SUMS];
        for chunk in row.chunks_mut(PARTIAL_SUMS) {
            for (x, sum) in chunk.iter_mut().zip(&mut sums) {
                *x = (*x - top).exp::<S>();
                *sum += *x;
            }
        }
        (top, sums.into_iter().sum())
    }
}

/// Replaces `logits` by its softmax.
pub fn softmax<R: Real>(logits: &mut [R]) {
    let (_, sum) = dispatch(Exponentials(logits));
    let scale = R::ONE / sum;
    logits.iter_mut().for_each(|p| *p *= scale);
}

/// Cross-entropy of one prediction, `-ln softmax(logits)[target]`, in nats. Replaces `logits` by its gradient times `weight`,
/// `weight * (softmax - onehot(target))`. A NaN logit gives NaN.
pub fn cross_entropy<R: Real>(logits: &mut [R], target: usize, weight: R) -> f64 {
    let picked = logits[target];
    let (top, sum) = dispatch(Exponentials(logits));
    let scale = weight / sum;
    logits.iter_mut().for_each(|p| *p *= scale);
    logits[target] -= weight;
    sum.to_f64().ln() + (top.to_f64() - picked.to_f64())
}

/// Replaces `logits` by their exponentials, scaled so that the largest is 1. Returns `ln sum exp(logits)` in nats, from which the
/// cross-entropy of a character is obtained by subtracting its logit, and the sum of the scaled exponentials.
pub fn log_sum_exp<R: Real>(logits: &mut [R]) -> (f64, f64) {
    let (top, sum) = dispatch(Exponentials(logits));
    (sum.to_f64().ln() + top.to_f64(), sum.to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::reference;
    use crate::kernels::testing::{Guarded, numbers, placement, size};
    use crate::simd::{Isa, dispatch_on};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn matches_the_reference_and_stays_within_the_row(n in size(70), at in placement()) {
            let logits = numbers(n.max(1), 0.1);
            let wide: Vec<f64> = logits.iter().map(|x| f64::from(*x)).collect();
            for isa in Isa::available() {
                let mut row = Guarded::new(at, &logits);
                let (top, sum) = dispatch_on(isa, Exponentials(&mut row[..]));
                prop_assert!(row.is_intact() && top == logits.iter().copied().fold(logits[0], f32::max));
                for (target, exponential) in row.iter().enumerate() {
                    let loss = f64::from(sum / exponential).ln();
                    prop_assert!((loss - reference::cross_entropy(&wide, target)).abs() < 1e-5, "{isa:?}");
                }
            }
        }
    }

    fn logits() -> Vec<f32> {
        (0..37).map(|i| (i as f32 * 0.77).sin() * 4.0).collect()
    }

    #[test]
    fn loss_and_gradient_match_the_reference() {
        let wide: Vec<f64> = logits().iter().map(|&x| f64::from(x)).collect();
        for target in 0..37 {
            let mut row = logits();
            let loss = cross_entropy(&mut row, target, 0.5);
            assert!((log_sum_exp(&mut logits()).0 - f64::from(logits()[target]) - loss).abs() < 1e-12);
            assert!((loss - reference::cross_entropy(&wide, target)).abs() < 1e-5);
            assert!(row.iter().sum::<f32>().abs() < 1e-6, "the gradient of a row sums to zero");
            let p = (-reference::cross_entropy(&wide, target)).exp();
            assert!((f64::from(row[target]) - 0.5 * (p - 1.0)).abs() < 1e-6);
        }
    }

    #[test]
    fn softmax_of_huge_logits_is_finite() {
        let mut row = [1e30f32, -1e30, 1e30, 0.0];
        softmax(&mut row);
        assert_eq!(row, [0.5, 0.0, 0.5, 0.0].map(|p: f32| if p == 0.0 { row[1] } else { p }));
        assert!(row[1] < 1e-30);
    }

    #[test]
    fn a_nan_logit_gives_nan() {
        let mut row = logits();
        row[5] = f32::NAN;
        assert!(cross_entropy(&mut row, 3, 1.0).is_nan());
        let mut first = logits();
        first[0] = f32::NAN;
        assert!(cross_entropy(&mut first, 3, 1.0).is_nan());
    }
}
