//! Matrix products of row-major matrices, by faer's blocked GEMM: weights by weights and by gathered rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut as FaerMut, MatRef, Par};

use super::blocked::{PanelBuffer, RowLayout};
use super::isa;
use super::packed::PackedMatrix;
use super::real::Real;
use super::start::AccumulatorInit;
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
    let (mut x, mut y) = (PanelBuffer::new(RowLayout::single(k), 1, m), PanelBuffer::new(RowLayout::single(n), 1, m));
    let mut row = vec![R::ZERO; k];
    for i in 0..m {
        row.iter_mut().enumerate().for_each(|(j, x)| *x = a.at(i, j));
        x.write(0, i, &row);
        y.write(0, i, dst.row(i));
    }
    let mut packed = PackedMatrix::new(RowLayout::single(k), RowLayout::single(n));
    packed.pack(b);
    let start = if accumulate { AccumulatorInit::Output } else { AccumulatorInit::Zero };
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
    use crate::kernels::guarded::{Guarded, Place, place, size};
    use crate::kernels::reference;
    use crate::kernels::testing::{reals, spaced};
    use proptest::prelude::*;

    /// A product's shape, and how its operands lie.
    #[derive(Clone, Copy, Debug)]
    struct Case {
        shape: (usize, usize, usize),
        gap: usize,
        accumulate: bool,
        transposed: (bool, bool),
        places: (Place, Place, Place),
    }

    /// Rows for a matrix of that shape in guarded memory, perhaps by way of its transpose.
    fn operand<R: Real>(
        (rows, cols): (usize, usize),
        phase: f64,
        transposed: bool,
        gap: usize,
        at: Place,
    ) -> Guarded<R> {
        let width = if transposed { rows } else { cols };
        Guarded::new(at, &spaced(&reals(rows * cols, phase), width, width + gap))
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
        let before = spaced(&reals::<R>(m * n, 0.3), n, n + gap);
        let (mut by_faer, mut ours) = (Guarded::new(places.2, &before), Guarded::new(places.2, &before));
        let mut wanted = before.clone();
        R::faer(MatMut::strided(&mut by_faer, m, n, n + gap), accumulate, a, b);
        by_panels(MatMut::strided(&mut ours, m, n, n + gap), accumulate, a, b);
        reference::gemm(MatMut::strided(&mut wanted, m, n, n + gap), accumulate, a, b);
        for got in [&by_faer, &ours] {
            prop_assert!(got.is_intact(), "written beside the output");
            for (i, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
                let near = (got.to_f64() - wanted.to_f64()).abs() <= epsilon * (k + 1) as f64;
                let same = bytemuck::bytes_of(got) == bytemuck::bytes_of(wanted);
                prop_assert!(if i % (n + gap) < n { near } else { same }, "{got:?} against {wanted:?}");
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference_and_stays_within_its_operands(
            shape in (size(40), size(40), size(80)), gap in 0usize..3, accumulate: bool, transposed: (bool, bool),
            places in (place(), place(), place()),
        ) {
            let case = Case { shape, gap, accumulate, transposed, places };
            check::<f32>(case, 1e-5)?;
            check::<f64>(case, 1e-13)?;
        }
    }
}
