//! `y = x w + b` over many rows, and its gradients.

use crate::kernels::{Mat, MatMut, Real, gemm, vector};

/// `y = x w + b`: `x` is `rows x k`, `w` is `k x n`, `b` has `n` elements, `y` is `rows x n` without gaps.
pub fn forward<R: Real>(y: &mut [R], x: Mat<'_, R>, w: Mat<'_, R>, b: &[R]) {
    let n = w.cols();
    y.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(b));
    gemm(MatMut::new(y, x.rows(), n), true, x, w);
}

/// `dx = dy w^T`: `dy` is `rows x n`, `dx` is `rows x k` without gaps.
pub fn backward<R: Real>(dx: &mut [R], dy: Mat<'_, R>, w: Mat<'_, R>) {
    gemm(MatMut::new(dx, dy.rows(), w.rows()), false, dy, w.t());
}

/// `db += ` the sum of the rows of `dy`.
pub fn bias_gradient<R: Real>(db: &mut [R], dy: &[R]) {
    dy.chunks_exact(db.len()).for_each(|row| vector::add(db, row));
}

/// `dw += x^T dy`: `x` is `rows x k`, `dy` is `rows x n`, `dw` is `k x n` without gaps.
pub fn weight_gradient<R: Real>(dw: &mut [R], x: Mat<'_, R>, dy: Mat<'_, R>) {
    gemm(MatMut::new(dw, x.cols(), dy.cols()), true, x.t(), dy);
}
