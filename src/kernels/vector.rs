//! Operations over flat slices. Each sums in an order that depends on the length alone.

use super::isa::{Kernel, Mode, vectorize};
use super::real::Real;

/// Partial sums kept side by side.
const LANES: usize = 16;

struct SumOfSquares<'a, R>(&'a [R]);

impl<R: Real> Kernel for SumOfSquares<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn run<M: Mode>(self) -> f64 {
        let mut sums = [0.0f64; LANES];
        for chunk in self.0.chunks(LANES) {
            for (x, sum) in chunk.iter().zip(&mut sums) {
                let x = x.to_f64();
                *sum = x.fma::<M>(x, *sum);
            }
        }
        sums.into_iter().sum()
    }
}

/// The sum of squares, in `f64`.
pub fn sum_of_squares<R: Real>(x: &[R]) -> f64 {
    vectorize(SumOfSquares(x))
}

/// `y += x`, element by element.
pub fn add<R: Real>(y: &mut [R], x: &[R]) {
    assert_eq!(y.len(), x.len(), "lengths of a sum");
    for (y, x) in y.iter_mut().zip(x) {
        *y += *x;
    }
}

/// Whether every element lies in `-limit..=limit`; NaN does not.
pub fn all_within<R: Real>(x: &[R], limit: R) -> bool {
    x.iter().all(|x| *x <= limit && *x >= -limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_squares_are_taken_in_double_precision() {
        let x = vec![0.1f32; 1003];
        let wanted = 1003.0 * f64::from(0.1f32).powi(2);
        assert!((sum_of_squares(&x) - wanted).abs() < 1e-12);
    }

    #[test]
    fn what_is_out_of_bounds_is_found_anywhere() {
        let mut x = vec![1.0f32; 33];
        assert!(all_within(&x, 1.0));
        for bad in [f32::INFINITY, f32::NAN, -1.5] {
            x[32] = bad;
            assert!(!all_within(&x, 1.0));
        }
    }
}
