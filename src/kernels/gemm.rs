//! Products of row-major matrices by faer: embeddings with weights, and their gradients.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut as FaerMut, MatRef, Par};

use super::accumulator_init::AccumulatorInit;
use super::matrix::{Mat, MatMut};
use super::packed_matrix::PackedMatrix;
use super::panel_buffer::{PanelBuffer, RowLayout};
use super::real::Real;
use crate::simd::Isa;

/// `dst = a * b`, or `dst += a * b` if `accumulate`: `a` is `m x k`, `b` is `k x n`, `dst` is `m x n`.
///
/// Runs on the calling thread. If `CHARLSTM_SIMD` forces an instruction set, which faer would ignore, our packed product is used.
///
/// # Panics
/// If the shapes do not match.
pub fn gemm<R: Real>(dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>, b: Mat<'_, R>) {
    assert_eq!((a.rows(), b.cols(), a.cols()), (dst.rows(), dst.cols(), b.rows()), "shapes of a matrix product");
    if Isa::is_forced() { packed_gemm(dst, accumulate, a, b) } else { faer_gemm(dst, accumulate, a, b) }
}

fn packed_gemm<R: Real>(mut dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>, b: Mat<'_, R>) {
    let (m, k, n) = (a.rows(), a.cols(), b.cols());
    let (input, output) = (RowLayout::single(k), RowLayout::single(n));
    let (mut x, mut y) = (PanelBuffer::new(input, 1, m), PanelBuffer::new(output, 1, m));
    let mut row = vec![R::ZERO; k];
    for i in 0..m {
        row.iter_mut().enumerate().for_each(|(j, x)| *x = a.at(i, j));
        x.write(0, i, &row);
        y.write(0, i, dst.row(i));
    }
    let mut packed = PackedMatrix::new(input, output);
    packed.pack(b);
    let init = if accumulate { AccumulatorInit::Output } else { AccumulatorInit::Zero };
    packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), init);
    (0..m).for_each(|i| y.read(0, i, dst.row(i)));
}

fn faer_gemm<R: Real>(dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>, b: Mat<'_, R>) {
    let (rows, cols, stride) = (dst.rows(), dst.cols(), dst.stride());
    if rows == 0 || cols == 0 {
        return;
    }
    // Via the transpose, because `from_row_major_slice_with_stride_mut` of faer 0.24.4 swaps the strides.
    let dst = FaerMut::from_column_major_slice_with_stride_mut(dst.data, cols, rows, stride).transpose_mut();
    let beta = if accumulate { Accum::Add } else { Accum::Replace };
    matmul(dst, beta, faer_view(a), faer_view(b), R::ONE, Par::Seq);
}

/// One of the strides of a matrix is 1: it is row-major, or the transpose of a row-major matrix.
fn faer_view<R>(m: Mat<'_, R>) -> MatRef<'_, R> {
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
    use crate::kernels::testing::{Guarded, Placement, numbers, placement, size, spaced};
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    struct Case {
        shape: (usize, usize, usize),
        gap: usize,
        accumulate: bool,
        transposed: (bool, bool),
        places: (Placement, Placement, Placement),
    }

    /// A matrix in guarded memory, optionally transposed.
    fn operand<R: Real>(
        (rows, cols): (usize, usize),
        phase: f64,
        transposed: bool,
        gap: usize,
        at: Placement,
    ) -> Guarded<R> {
        let width = if transposed { rows } else { cols };
        Guarded::new(at, &spaced(&numbers(rows * cols, phase), width, width + gap))
    }

    fn view<R: Real>((rows, cols): (usize, usize), transposed: bool, gap: usize, data: &[R]) -> Mat<'_, R> {
        if transposed {
            Mat::strided(data, cols, rows, rows + gap).t()
        } else {
            Mat::strided(data, rows, cols, cols + gap)
        }
    }

    fn check<R: Real>(case: Case, epsilon: f64) -> Result<(), TestCaseError> {
        let Case { shape: (m, k, n), gap, accumulate, transposed: (ta, tb), places } = case;
        let a = operand::<R>((m, k), 0.1, ta, gap, places.0);
        let b = operand::<R>((k, n), 0.2, tb, gap, places.1);
        let (a, b) = (view((m, k), ta, gap, &a), view((k, n), tb, gap, &b));
        let before = spaced(&numbers::<R>(m * n, 0.3), n, n + gap);
        let (mut by_faer, mut ours) = (Guarded::new(places.2, &before), Guarded::new(places.2, &before));
        let mut expected = before.clone();
        faer_gemm(MatMut::strided(&mut by_faer, m, n, n + gap), accumulate, a, b);
        packed_gemm(MatMut::strided(&mut ours, m, n, n + gap), accumulate, a, b);
        reference::gemm(MatMut::strided(&mut expected, m, n, n + gap), accumulate, a, b);
        for got in [&by_faer, &ours] {
            prop_assert!(got.is_intact(), "written outside the output");
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let near = (got.to_f64() - expected.to_f64()).abs() <= epsilon * (k + 1) as f64;
                let same = bytemuck::bytes_of(got) == bytemuck::bytes_of(expected);
                prop_assert!(if i % (n + gap) < n { near } else { same }, "{got:?} against {expected:?}");
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn matches_the_reference_and_stays_within_its_operands(
            shape in (size(40), size(40), size(80)), gap in 0usize..3, accumulate: bool, transposed: (bool, bool),
            places in (placement(), placement(), placement()),
        ) {
            let case = Case { shape, gap, accumulate, transposed, places };
            check::<f32>(case, 1e-5)?;
            check::<f64>(case, 1e-13)?;
        }
    }
}
