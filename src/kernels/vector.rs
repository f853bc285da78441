//! Operations on flat slices. The order of summation depends only on the length.

use super::real::Real;
use crate::simd::{Simd, SimdKernel, dispatch};

/// Number of partial sums.
const PARTIAL_SUMS: usize = 16;
/// Elements that [`all_within`] checks before it can stop.
const CHUNK: usize = 1 << 12;

struct SumOfSquares<'a, R>(&'a [R]);

impl<R: Real> SimdKernel for SumOfSquares<'_, R> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let mut sums = [0.0f64; PARTIAL_SUMS];
        for chunk in self.0.chunks(PARTIAL_SUMS) {
            for (x, sum) in chunk.iter().zip(&mut sums) {
                let x = x.to_f64();
                *sum = x.fma::<S>(x, *sum);
            }
        }
        sums.into_iter().sum()
    }
}

/// The sum of squares, in `f64`.
pub fn sum_of_squares<R: Real>(x: &[R]) -> f64 {
    dispatch(SumOfSquares(x))
}

struct Add<'a, R>(&'a mut [R], &'a [R]);

impl<R: Real> SimdKernel for Add<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (y, x) in self.0.iter_mut().zip(self.1) {
            *y += *x;
        }
    }
}

/// `y += x`, element by element.
pub fn add<R: Real>(y: &mut [R], x: &[R]) {
    assert_eq!(y.len(), x.len(), "lengths of the operands of a sum");
    dispatch(Add(y, x));
}

struct AddRows<'a, R> {
    y: &'a mut [R],
    rows: &'a [R],
    width: usize,
}

impl<R: Real> SimdKernel for AddRows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (i, y) in self.y.chunks_mut(PARTIAL_SUMS).enumerate() {
            let mut sums = [R::ZERO; PARTIAL_SUMS];
            sums[..y.len()].copy_from_slice(y);
            for row in self.rows.chunks_exact(self.width) {
                let row = &row[i * PARTIAL_SUMS..];
                if let Some(row) = row.first_chunk::<PARTIAL_SUMS>() {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
                } else {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
                }
            }
            y.copy_from_slice(&sums[..y.len()]);
        }
    }
}

/// `y += ` the sum of rows of `width` elements, of which only the first `y.len()` are used.
pub fn add_rows<R: Real>(y: &mut [R], rows: &[R], width: usize) {
    assert!(y.len() <= width && rows.len().is_multiple_of(width.max(1)), "rows of a sum");
    dispatch(AddRows { y, rows, width });
}

struct AddProducts<'a, R> {
    y: &'a mut [R],
    a: &'a [R],
    b: &'a [R],
    width: usize,
}

impl<R: Real> SimdKernel for AddProducts<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (a, b) in self.a.chunks_exact(self.width.max(1)).zip(self.b.chunks_exact(self.width.max(1))) {
            for ((y, a), b) in self.y.iter_mut().zip(a).zip(b) {
                *y = a.fma::<S>(*b, *y);
            }
        }
    }
}

/// `y += ` the sum of `a * b`, element by element, over rows of `width` elements, of which only the first `y.len()` are used.
pub fn add_products<R: Real>(y: &mut [R], a: &[R], b: &[R], width: usize) {
    assert!(
        y.len() <= width && a.len() == b.len() && a.len().is_multiple_of(width.max(1)),
        "rows of a sum of products"
    );
    dispatch(AddProducts { y, a, b, width });
}

struct Scatter<'a, R> {
    table: &'a mut [R],
    rows: &'a [R],
    width: usize,
    slots: &'a [u32],
}

impl<R: Real> SimdKernel for Scatter<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (row, slot) in self.rows.chunks_exact(self.width.max(1)).zip(self.slots) {
            let sum = &mut self.table[*slot as usize * self.width..][..self.width];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
        }
    }
}

/// Adds rows of `width` elements to rows of a table: `table[slots[i]] += rows[i]`.
pub fn scatter_add<R: Real>(table: &mut [R], rows: &[R], width: usize, slots: &[u32]) {
    assert_eq!(rows.len(), slots.len() * width, "a slot for each row");
    dispatch(Scatter { table, rows, width, slots });
}

struct AllWithin<'a, R>(&'a [R], R);

impl<R: Real> SimdKernel for AllWithin<'_, R> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> bool {
        let within = |x: &R| (*x <= self.1) & (*x >= -self.1);
        self.0.chunks(CHUNK).all(|chunk| chunk.iter().fold(true, |all, x| all & within(x)))
    }
}

/// Whether every element is in `-limit..=limit`; false for NaN.
pub fn all_within<R: Real>(x: &[R], limit: R) -> bool {
    dispatch(AllWithin(x, limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{Guarded, numbers, placement, size};
    use crate::simd::{Isa, dispatch_on};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn matches_plain_loops_and_stays_within_its_operands(
            len in size(70), gap in 0usize..20, rows in 0usize..5, (y_at, a_at, b_at) in (placement(), placement(), placement()),
        ) {
            let width = len + gap;
            let (y, a, b) = (numbers::<f32>(len, 0.1), numbers(rows * width, 0.2), numbers(rows * width, 0.3));
            let (all_a, all_b) = (Guarded::new(a_at, &a), Guarded::new(b_at, &b));
            let column = |j: usize| (0..rows).map(move |row| row * width + j);
            let expected: Vec<_> = (0..len).map(|j| column(j).fold(y[j], |sum, i| sum + a[i])).collect();
            let products: Vec<_> = (0..len).map(|j| column(j).fold(y[j], |sum, i| sum + a[i] * b[i])).collect();
            let slots: Vec<u32> = (0..rows as u32).rev().collect();
            let slots = Guarded::new(b_at, &slots);
            for isa in Isa::available() {
                let [mut sums, mut sums_of_products, mut sum] = [(); 3].map(|()| Guarded::new(y_at, &y));
                let mut table = Guarded::new(y_at, &b);
                dispatch_on(isa, AddRows { y: &mut sums, rows: &all_a, width });
                dispatch_on(isa, AddProducts { y: &mut sums_of_products, a: &all_a, b: &all_b, width });
                dispatch_on(isa, Add(&mut sum, &Guarded::new(a_at, &y)));
                dispatch_on(isa, Scatter { table: &mut table, rows: &all_a, width, slots: &slots });
                prop_assert!([&sums, &sums_of_products, &sum, &table].iter().all(|y| y.is_intact()));
                prop_assert_eq!(&sums[..], &expected[..]);
                prop_assert!(sums_of_products.iter().zip(&products).all(|(got, expected)| (got - expected).abs() < 1e-5));
                prop_assert!(sum.iter().zip(&y).all(|(sum, y)| *sum == y + y));
                for (i, got) in table.iter().enumerate() {
                    let from = (rows - 1 - i / width) * width + i % width;
                    prop_assert_eq!(*got, b[i] + a[from]);
                }
                let squares: f64 = a.iter().map(|x| f64::from(*x).powi(2)).sum();
                prop_assert!((dispatch_on(isa, SumOfSquares(&all_a[..])) - squares).abs() < 1e-9);
                prop_assert!(dispatch_on(isa, AllWithin(&all_a[..], 1.5)));
            }
        }
    }

    #[test]
    fn sums_squares_in_double_precision() {
        let x = vec![0.1f32; 1003];
        let expected = 1003.0 * f64::from(0.1f32).powi(2);
        assert!((sum_of_squares(&x) - expected).abs() < 1e-12);
    }

    #[test]
    fn finds_invalid_elements_at_any_index() {
        for at in [0, 32, CHUNK, 2 * CHUNK + 6] {
            let mut x = vec![1.0f32; 2 * CHUNK + 7];
            assert!(all_within(&x, 1.0));
            for bad in [f32::INFINITY, f32::NAN, -1.5] {
                x[at] = bad;
                assert!(!all_within(&x, 1.0), "{bad} at {at}");
            }
        }
    }

    #[test]
    fn sums_rows_in_order() {
        for (len, width) in [(1, 1), (5, 8), (16, 16), (20, 32), (32, 32)] {
            let rows: Vec<f32> = (0..7 * width).map(|i| (i as f32 * 0.7).sin()).collect();
            let (mut sums, slots) = (vec![0.25; len], [2, 0, 2, 1, 1, 2, 0]);
            add_rows(&mut sums, &rows, width);
            let mut table = vec![0.25; 3 * width];
            scatter_add(&mut table, &rows, width, &slots);
            for (j, sum) in sums.into_iter().enumerate() {
                assert_eq!(sum, (0..7).fold(0.25, |sum, row| sum + rows[row * width + j]));
                for slot in 0..3 {
                    let of_slot = (0..7).filter(|row| slots[*row] == slot as u32);
                    let expected = of_slot.fold(0.25, |sum, row| sum + rows[row * width + j]);
                    assert_eq!(table[slot * width + j], expected);
                }
            }
        }
    }
}
