//! Naive implementations of the kernels, with which the tests compare every instruction set.

use super::matrix::{Mat, MatMut};
use super::real::Real;

/// `dst = a * b`, or `dst += a * b`.
pub fn gemm<R: Real>(mut dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>, b: Mat<'_, R>) {
    for i in 0..dst.rows() {
        for j in 0..dst.cols() {
            let before = if accumulate { dst.row(i)[j] } else { R::ZERO };
            dst.row(i)[j] = (0..a.cols()).fold(before, |sum, k| sum + a.at(i, k) * b.at(k, j));
        }
    }
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The negative logarithm of the softmax of `logits` at `target`, in nats.
pub fn cross_entropy(logits: &[f64], target: usize) -> f64 {
    logits.iter().map(|x| (x - logits[target]).exp()).sum::<f64>().ln()
}
