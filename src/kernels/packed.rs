//! Weights laid out once for many products with few rows: the recurrence multiplies the same weights at every step.
//!
//! The matrix is cut into panels of as many columns as a tile is wide. A panel holds its rows one after another, the last
//! panel padded with zeros, so that a tile reads straight through memory. Every element of a product is one chain of
//! multiply-adds over `k` in ascending order, whatever the tile it falls in: **the bits of a row do not depend on the rows
//! computed beside it.**

use super::isa::{Isa, isa};
use super::lanes::{Lanes, Portable};
use super::real::Real;
use super::view::{Mat, MatMut};

/// The widest panel of any instruction set.
const WIDEST: usize = 64;
/// Bytes that panels are aligned to: a cache line, and a full AVX-512 register.
const ALIGNMENT: usize = 64;

/// A `k x n` matrix of weights in panels.
#[derive(Clone, Debug)]
pub struct Packed<R> {
    storage: Vec<R>,
    start: usize,
    k: usize,
    n: usize,
    isa: Isa,
    columns: usize,
}

impl<R: Real> Packed<R> {
    /// Room for a `k x n` matrix, all zero, for the instruction set in force.
    pub fn new(k: usize, n: usize) -> Self {
        Self::for_isa(isa(), k, n)
    }

    /// Room for a `k x n` matrix, all zero, for `isa`; the portable path where the machine lacks it.
    pub fn for_isa(isa: Isa, k: usize, n: usize) -> Self {
        let isa = if isa.is_available() { isa } else { Isa::Portable };
        let columns = R::panel_columns(isa);
        let slack = ALIGNMENT / size_of::<R>();
        let storage = vec![R::ZERO; n.div_ceil(columns) * columns * k + slack];
        let start = storage.as_ptr().align_offset(ALIGNMENT).min(slack);
        Packed { storage, start, k, n, isa, columns }
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.k == 0 || self.n == 0
    }

    /// A packed copy of `weights`.
    pub fn of(weights: Mat<'_, R>) -> Self {
        let mut packed = Self::new(weights.rows(), weights.cols());
        packed.pack(weights);
        packed
    }

    /// Takes in new weights of the same shape.
    pub fn pack(&mut self, weights: Mat<'_, R>) {
        assert_eq!((weights.rows(), weights.cols()), (self.k, self.n), "the shape of packed weights is fixed");
        let (k, n, columns) = (self.k, self.n, self.columns);
        let panels = &mut self.storage[self.start..];
        for (panel, j0) in panels.chunks_exact_mut((k * columns).max(1)).zip((0..n).step_by(columns)) {
            let width = columns.min(n - j0);
            for (kk, row) in panel.chunks_exact_mut(columns).enumerate() {
                if weights.col_stride() == 1 {
                    row[..width].copy_from_slice(&weights.data[kk * weights.row_stride() + j0..][..width]);
                } else {
                    for (j, value) in row[..width].iter_mut().enumerate() {
                        *value = weights.data[kk * weights.row_stride() + (j0 + j) * weights.col_stride()];
                    }
                }
            }
        }
    }

    /// `dst = a * weights`, or `dst += a * weights`.
    ///
    /// `a` is `rows x k`, `dst` is `rows x n`.
    pub fn multiply(&self, dst: MatMut<'_, R>, accumulate: bool, a: Mat<'_, R>) {
        assert_eq!((a.rows(), a.cols()), (dst.rows(), self.k), "left operand of a packed product");
        assert_eq!(dst.cols(), self.n, "columns of a packed product");
        let product = Product { dst, accumulate, a, panels: &self.storage[self.start..], columns: self.columns };
        R::packed(self.isa, product);
    }
}

/// A product whose dimensions were checked.
pub struct Product<'a, R> {
    dst: MatMut<'a, R>,
    accumulate: bool,
    a: Mat<'a, R>,
    panels: &'a [R],
    columns: usize,
}

pub(super) fn run_f32(isa: Isa, product: Product<'_, f32>) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            // SAFETY: `Packed` is made for an instruction set only where the machine has it.
            unsafe { x86::avx512(product) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            // SAFETY: `Packed` is made for an instruction set only where the machine has it.
            unsafe { x86::avx2(product) }
        }
        _ => run_portable(product),
    }
}

pub(super) fn run_portable<R: Real>(product: Product<'_, R>) {
    // SAFETY: the portable lanes need no instruction set of their own.
    unsafe { run::<R, Portable, 2>(product) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512};
    use super::{Product, run};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) fn avx512(product: Product<'_, f32>) {
        // SAFETY: this function is compiled with the features that the lanes need.
        unsafe { run::<f32, Avx512, 4>(product) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(product: Product<'_, f32>) {
        // SAFETY: this function is compiled with the features that the lanes need.
        unsafe { run::<f32, Avx2, 2>(product) }
    }
}

/// Every panel, every tile of rows. `V` is `L::VECTORS`, as a parameter since an array cannot take its length from a trait.
///
/// # Safety
/// The instruction set of `L` must be available and enabled in the caller.
#[inline(always)]
unsafe fn run<R: Real, L: Lanes<R>, const V: usize>(product: Product<'_, R>) {
    const { assert!(V == L::VECTORS && V * L::WIDTH <= WIDEST) };
    let Product { dst, accumulate, a, panels, columns } = product;
    let (rows, n, k) = (dst.rows(), dst.cols(), a.cols());
    let (c_row, c) = (dst.stride(), dst.data.as_mut_ptr());
    assert_eq!(columns, V * L::WIDTH, "panels of another instruction set");
    assert!(panels.len() >= n.div_ceil(columns) * columns * k, "panels are too short");
    // Tiles as even as can be: 16 rows are 6 + 5 + 5, not 6 + 6 + 4.
    let tiles = rows.div_ceil(L::ROWS).max(1);
    for (panel, j0) in (0..n).step_by(columns).enumerate() {
        let b = &panels[panel * columns * k..][..columns * k];
        let width = columns.min(n - j0);
        for tile in 0..tiles {
            let (r0, r1) = (tile * rows / tiles, (tile + 1) * rows / tiles);
            let at = Tile {
                k,
                a: a.data.as_ptr().wrapping_add(r0 * a.row_stride()),
                a_row: a.row_stride(),
                a_col: a.col_stride(),
                b: b.as_ptr(),
                c: c.wrapping_add(r0 * c_row + j0),
                c_row,
                width,
                accumulate,
            };
            // SAFETY: the views were checked to hold rows `r0..r1` and all `k` and `width` columns; the panel was cut to
            // `columns * k` elements just above; `dst` is borrowed mutably for the whole product.
            unsafe {
                match r1 - r0 {
                    1 => at.run::<L, 1, V>(),
                    2 => at.run::<L, 2, V>(),
                    3 => at.run::<L, 3, V>(),
                    4 => at.run::<L, 4, V>(),
                    5 => at.run::<L, 5, V>(),
                    6 => at.run::<L, 6, V>(),
                    _ => {}
                }
            }
        }
    }
}

struct Tile<R> {
    k: usize,
    a: *const R,
    a_row: usize,
    a_col: usize,
    b: *const R,
    c: *mut R,
    c_row: usize,
    width: usize,
    accumulate: bool,
}

impl<R: Real> Tile<R> {
    /// # Safety
    /// `a` must hold `M` rows of `k`, `c` `M` rows of `width`, `b` a whole panel of `k` rows; `L` as in [`Lanes`].
    #[inline(always)]
    unsafe fn run<L: Lanes<R>, const M: usize, const V: usize>(self) {
        if self.width == V * L::WIDTH {
            // SAFETY: the caller's promise, with a full panel.
            unsafe { self.tile::<L, M, V>() }
        } else {
            // SAFETY: the caller's promise; the tile works on `edge`, which is as wide as a panel.
            unsafe { self.edge::<L, M, V>() }
        }
    }

    /// The last panel: its tile is computed beside the matrix, and what belongs to it copied.
    ///
    /// # Safety
    /// As for [`Tile::run`].
    #[inline(always)]
    unsafe fn edge<L: Lanes<R>, const M: usize, const V: usize>(self) {
        let mut edge = [[R::ZERO; WIDEST]; M];
        let Tile { c, c_row, width, .. } = self;
        // SAFETY: rows of `c` hold `width` elements, rows of `edge` hold `WIDEST`, which is at least a panel.
        unsafe {
            for (r, row) in edge.iter_mut().enumerate() {
                std::ptr::copy_nonoverlapping(c.add(r * c_row), row.as_mut_ptr(), width);
            }
            let inner = Tile { c: edge.as_mut_ptr().cast::<R>(), c_row: WIDEST, ..self };
            inner.tile::<L, M, V>();
            for (r, row) in edge.iter().enumerate() {
                std::ptr::copy_nonoverlapping(row.as_ptr(), c.add(r * c_row), width);
            }
        }
    }

    /// # Safety
    /// As for [`Tile::run`], with rows of `c` as wide as a panel.
    #[inline(always)]
    unsafe fn tile<L: Lanes<R>, const M: usize, const V: usize>(&self) {
        // SAFETY: every pointer below stays within what the caller promised: `a` within `M` rows of `k`, `b` within
        // `k * V * WIDTH`, `c` within `M` rows of `V * WIDTH`.
        unsafe {
            let mut acc = [[L::splat(R::ZERO); V]; M];
            if self.accumulate {
                for (r, row) in acc.iter_mut().enumerate() {
                    for (v, x) in row.iter_mut().enumerate() {
                        *x = L::load(self.c.add(r * self.c_row + v * L::WIDTH));
                    }
                }
            }
            let mut b = self.b;
            let mut a = self.a;
            for _ in 0..self.k {
                let row: [L::V; V] = std::array::from_fn(|v| L::load(b.add(v * L::WIDTH)));
                for (r, sums) in acc.iter_mut().enumerate() {
                    let x = L::splat(*a.add(r * self.a_row));
                    for (sum, w) in sums.iter_mut().zip(row) {
                        *sum = L::fma(x, w, *sum);
                    }
                }
                b = b.wrapping_add(V * L::WIDTH);
                a = a.wrapping_add(self.a_col);
            }
            for (r, row) in acc.iter().enumerate() {
                for (v, x) in row.iter().enumerate() {
                    L::store(self.c.add(r * self.c_row + v * L::WIDTH), *x);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::reference;
    use proptest::prelude::*;

    /// Numbers that differ from place to place, without a generator.
    fn numbers(n: usize, phase: f64) -> Vec<f32> {
        (0..n).map(|i| ((i as f64 * 0.7 + phase).sin() * 1.5) as f32).collect()
    }

    proptest! {
        #[test]
        fn every_path_agrees_with_the_reference(
            rows in 0usize..20, k in 0usize..40, n in 1usize..150, gap in 0usize..3, accumulate: bool, transposed: bool,
        ) {
            let a = numbers(rows * (k + gap) + 1, 0.1);
            let w = numbers(k * n, 0.2);
            let before = numbers(rows * (n + gap) + 1, 0.3);
            let a = Mat::strided(&a, rows, k, k + gap);
            let w = if transposed { Mat::new(&w, n, k).t() } else { Mat::new(&w, k, n) };
            let mut wanted = before.clone();
            reference::gemm(MatMut::strided(&mut wanted, rows, n, n + gap), accumulate, a, w);
            for isa in Isa::available() {
                let mut packed = Packed::for_isa(isa, k, n);
                packed.pack(w);
                let mut got = before.clone();
                packed.multiply(MatMut::strided(&mut got, rows, n, n + gap), accumulate, a);
                for (g, w) in got.iter().zip(&wanted) {
                    prop_assert!((g - w).abs() <= 1e-5 * (k + 1) as f32, "{isa:?}: {g} against {w}");
                }
            }
        }

        #[test]
        fn the_bits_of_a_row_do_not_depend_on_the_rows_beside_it(rows in 1usize..30, k in 1usize..50, n in 1usize..140) {
            let (a, w) = (numbers(rows * k, 0.4), numbers(k * n, 0.5));
            for isa in Isa::available() {
                let mut packed = Packed::for_isa(isa, k, n);
                packed.pack(Mat::new(&w, k, n));
                let mut together = vec![0.0; rows * n];
                packed.multiply(MatMut::new(&mut together, rows, n), false, Mat::new(&a, rows, k));
                for r in 0..rows {
                    let mut alone = vec![0.0; n];
                    packed.multiply(MatMut::new(&mut alone, 1, n), false, Mat::new(&a[r * k..][..k], 1, k));
                    prop_assert_eq!(&alone[..], &together[r * n..][..n], "{:?}, row {} of {}", isa, r, rows);
                }
            }
        }
    }

    #[test]
    fn doubles_take_the_portable_path() {
        let (a, w) = ([1.0f64, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 0.25]);
        let mut got = [0.0; 4];
        Packed::of(Mat::new(&w, 2, 2)).multiply(MatMut::new(&mut got, 2, 2), false, Mat::new(&a, 2, 2));
        assert_eq!(got, [4.5, -0.5, 9.5, -2.0]);
    }

    #[test]
    fn panels_begin_on_a_cache_line() {
        let packed = Packed::<f32>::new(3, 100);
        assert_eq!(packed.storage[packed.start..].as_ptr().align_offset(ALIGNMENT), 0);
    }
}
