//! Matrix products of row-major matrices, by faer's blocked GEMM: weights by weights and by gathered rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut as FaerMut, MatRef, Par};

use super::blocked::{Axis, Blocked};
use super::isa;
use super::packed::Packed;
use super::real::Real;
use super::start::Start;
use super::view::{Mat, MatMut};

/// `dst = a * b`, or `dst += a * b`: `a` is `m x k`, `b` is `k x n`, `dst` is `m x n`.
///
/// Runs on the calling thread. Where `CHARLSTM_SIMD` forces an instruction set, our own packed product takes faer's place.
pub fn gemm<R: Real>(dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>, b: Mat<'_, R>) {
    assert_eq!((a.rows(), b.cols(), a.cols()), (dst.rows(), dst.cols(), b.rows()), "shapes of a matrix product");
    if isa::choice().forced {
        by_panels(dst, accumulate, a, b);
    } else {
        R::faer(dst, accumulate, a, b);
    }
}

/// The same by our own kernels, by way of panels.
fn by_panels<R: Real>(mut dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>, b: Mat<'_, R>) {
    let (m, k, n) = (a.rows(), a.cols(), b.cols());
    let (mut x, mut y) = (Blocked::new(Axis::plain(k), 1, m), Blocked::new(Axis::plain(n), 1, m));
    let mut row = vec![R::ZERO; k];
    for i in 0..m {
        row.iter_mut().enumerate().for_each(|(j, x)| *x = a.at(i, j));
        x.write(0, i, &row);
        y.write(0, i, dst.row(i));
    }
    let mut packed = Packed::new(Axis::plain(k), Axis::plain(n));
    packed.pack(b);
    let start = if accumulate { Start::Output } else { Start::Zero };
    packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), start);
    (0..m).for_each(|i| y.read(0, i, dst.row(i)));
}

pub(super) fn faer<R: faer::traits::ComplexField>(
    dst: MatMut<'_, R>,
    accumulate: bool,
    a: Mat<'_, R>,
    b: Mat<'_, R>,
    one: R,
) {
    let (rows, cols, stride) = (dst.rows(), dst.cols(), dst.stride());
    if rows == 0 || cols == 0 {
        return;
    }
    // By way of the transpose: `from_row_major_slice_with_stride_mut` of faer 0.24.4 swaps the strides.
    let dst = FaerMut::from_column_major_slice_with_stride_mut(dst.data, cols, rows, stride).transpose_mut();
    let beta = if accumulate { Accum::Add } else { Accum::Replace };
    matmul(dst, beta, view(a), view(b), one, Par::Seq);
}

/// One of the strides of a view is 1: it is row-major, or the transpose of a row-major matrix.
fn view<R>(m: Mat<'_, R>) -> MatRef<'_, R> {
    if m.col_stride() == 1 {
        MatRef::from_row_major_slice_with_stride(m.data, m.rows(), m.cols(), m.row_stride())
    } else {
        MatRef::from_row_major_slice_with_stride(m.data, m.cols(), m.rows(), m.col_stride()).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::reference;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_reference(
            m in 0usize..30, k in 0usize..30, n in 0usize..80, gap in 0usize..3, accumulate: bool, ta: bool, tb: bool,
        ) {
            let number = |i: usize| (i as f64 * 0.9).sin();
            let (a_rows, a_cols) = if ta { (k, m) } else { (m, k) };
            let (b_rows, b_cols) = if tb { (n, k) } else { (k, n) };
            let a: Vec<f64> = (0..a_rows * (a_cols + gap)).map(number).collect();
            let b: Vec<f64> = (7..7 + b_rows * (b_cols + gap)).map(number).collect();
            let a = Mat::strided(&a, a_rows, a_cols, a_cols + gap);
            let b = Mat::strided(&b, b_rows, b_cols, b_cols + gap);
            let (a, b) = (if ta { a.t() } else { a }, if tb { b.t() } else { b });
            let before: Vec<f64> = (3..3 + m * (n + gap)).map(number).collect();
            let (mut got, mut wanted) = (before.clone(), before);
            let mut ours = got.clone();
            gemm(MatMut::strided(&mut got, m, n, n + gap), accumulate, a, b);
            by_panels(MatMut::strided(&mut ours, m, n, n + gap), accumulate, a, b);
            reference::gemm(MatMut::strided(&mut wanted, m, n, n + gap), accumulate, a, b);
            for (g, w) in got.iter().chain(&ours).zip(wanted.iter().chain(&wanted)) {
                prop_assert!((g - w).abs() < 1e-12, "{} against {}", g, w);
            }
        }
    }
}
