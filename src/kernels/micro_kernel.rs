//! The micro-kernel of the matrix products: keeps a tile of accumulators in registers while it runs over one or more panels.
//!
//! Every accumulator is one chain of multiply-adds in the order of the segments, whatever the shape of its tile, and even if the
//! chain is stored to memory and continued later. That is why each output row is bitwise independent of the other rows in the batch.

use super::real::Real;
use crate::simd::{MAX_PANEL_WIDTH, PANEL_VECTORS, SimdVec};

/// How far ahead a panel is prefetched when it is read for the first time, in elements.
const PREFETCH_DISTANCE: usize = 512;

/// The layout of the factors that are broadcast to the rows of a tile.
pub(super) trait FactorLayout {
    /// Distance between the factors of neighbouring tile rows, in elements.
    fn row_stride(panel_width: usize) -> usize;
    /// Distance between consecutive factors of the same tile row.
    fn depth_stride(panel_width: usize) -> usize;
}

/// For `x w`: a tile row is a row of a panel of `x`.
pub(super) enum RowMajor {}
impl FactorLayout for RowMajor {
    #[inline(always)]
    fn row_stride(panel_width: usize) -> usize {
        panel_width
    }
    #[inline(always)]
    fn depth_stride(_: usize) -> usize {
        1
    }
}

/// For `x^T dy`: a tile row is a column of a panel of `x`.
pub(super) enum ColumnMajor {}
impl FactorLayout for ColumnMajor {
    #[inline(always)]
    fn row_stride(_: usize) -> usize {
        1
    }
    #[inline(always)]
    fn depth_stride(panel_width: usize) -> usize {
        panel_width
    }
}

/// A range of the reduction dimension that is contiguous in both operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<R> {
    /// The first factor of the tile's first row.
    pub a: *const R,
    /// The first row of the first panel.
    pub b: *const R,
    /// Length: rows of each panel.
    pub len: usize,
}

/// The maximum number of rows of a tile of `panels` panels. With one panel, the accumulators, a row of the panel and a factor fill the
/// registers. With more panels, a full row would no longer fit, so a quarter of the registers is kept free and panels are used as
/// memory operands.
pub(super) const fn max_rows<R, V: SimdVec<R>>(panels: usize) -> usize {
    let vectors = panels * PANEL_VECTORS;
    if panels > 1 { (V::REGISTERS * 3 / 4) / vectors } else { (V::REGISTERS - 1 - vectors) / vectors }
}

/// The initial values of the accumulators of a tile.
#[derive(Clone, Copy, Debug)]
pub(super) enum TileInit<R> {
    /// Zeros.
    Zero,
    /// The values stored at the tile's place in the output.
    Output,
    /// The same row for every tile row.
    Row { row: *const R, panel_stride: usize },
    /// A row of a table for each tile row.
    Gather { table: *const R, indices: *const u32, panel_stride: usize },
}

/// A tile of the output, and how the operands of its sums are strided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<R> {
    /// The first element.
    pub c: *mut R,
    /// Distance between rows of `c`.
    pub c_row_stride: usize,
    /// Distance between panels of `c`.
    pub c_panel_stride: usize,
    /// Distance between the panels of every segment.
    pub b_panel_stride: usize,
    /// Added to `a` of every segment.
    pub a_offset: usize,
    pub init: TileInit<R>,
}

/// Calls [`Tile::accumulate`] with the number of rows as a constant.
macro_rules! accumulate_rows {
    ($tile:ident, $simd:ident, $rows:ident, $segments:ident, $($n:literal)*) => {
        match $rows {
            $($n if $n <= const { max_rows::<R, V>(P) } => $tile.accumulate::<V, F, $n, P, PREFETCH>($simd, $segments),)*
            _ => invalid_rows($rows),
        }
    };
}

#[cold]
fn invalid_rows(rows: usize) -> ! {
    unreachable!("a tile of {rows} rows")
}

impl<R: Real> Tile<R> {
    /// Accumulates the products of the segments with `P` panels in `rows` rows. `PREFETCH` prefetches the panels.
    ///
    /// # Safety
    /// `c` and `init` must be valid for `rows` rows of every panel. Every segment must hold `len` rows of every panel at `b`, and at
    /// `a + a_offset` the factors of `rows` rows and `len` products in the layout `F`.
    ///
    /// # Panics
    /// If `rows` is 0 or more than [`max_rows`].
    #[inline(always)]
    pub unsafe fn run<V: SimdVec<R>, F: FactorLayout, const P: usize, const PREFETCH: bool>(
        self,
        simd: V,
        rows: usize,
        segments: impl Iterator<Item = Segment<R>> + Clone,
    ) {
        const { assert!(V::PANEL_WIDTH <= MAX_PANEL_WIDTH && max_rows::<R, V>(P) <= 14) };
        let tile = self;
        // SAFETY: the caller's guarantee.
        unsafe { accumulate_rows!(tile, simd, rows, segments, 1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }

    /// # Safety
    /// As for [`Tile::run`], with `M` rows.
    #[inline(always)]
    unsafe fn accumulate<V: SimdVec<R>, F: FactorLayout, const M: usize, const P: usize, const PREFETCH: bool>(
        self,
        simd: V,
        segments: impl Iterator<Item = Segment<R>> + Clone,
    ) {
        // SAFETY: every pointer below stays within what the caller guarantees.
        unsafe {
            let mut sums = [[[simd.splat(R::ZERO); PANEL_VECTORS]; P]; M];
            match self.init {
                TileInit::Zero => {}
                TileInit::Output => {
                    for (r, row) in sums.iter_mut().enumerate() {
                        load_row(simd, row, self.c.add(r * self.c_row_stride), self.c_panel_stride);
                    }
                }
                TileInit::Row { row: from, panel_stride } => {
                    for row in &mut sums {
                        load_row(simd, row, from, panel_stride);
                    }
                }
                TileInit::Gather { table, indices, panel_stride } => {
                    for (r, row) in sums.iter_mut().enumerate() {
                        load_row(simd, row, table.add(*indices.add(r) as usize * V::PANEL_WIDTH), panel_stride);
                    }
                }
            }
            for segment in segments {
                let (mut a, mut b) = (segment.a.add(self.a_offset), segment.b);
                // Unrolled by two to reduce loop overhead.
                for _ in 0..segment.len / 2 {
                    multiply_add::<R, V, F, M, P, PREFETCH>(simd, &mut sums, a, b, self.b_panel_stride);
                    let a2 = a.wrapping_add(F::depth_stride(V::PANEL_WIDTH));
                    let b2 = b.wrapping_add(V::PANEL_WIDTH);
                    multiply_add::<R, V, F, M, P, PREFETCH>(simd, &mut sums, a2, b2, self.b_panel_stride);
                    a = a.wrapping_add(2 * F::depth_stride(V::PANEL_WIDTH));
                    b = b.wrapping_add(2 * V::PANEL_WIDTH);
                }
                if segment.len % 2 == 1 {
                    multiply_add::<R, V, F, M, P, PREFETCH>(simd, &mut sums, a, b, self.b_panel_stride);
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (p, panel) in row.iter().enumerate() {
                    for (v, sum) in panel.iter().enumerate() {
                        let to = self.c.add(r * self.c_row_stride + p * self.c_panel_stride + v * V::WIDTH);
                        simd.store(to, *sum);
                    }
                }
            }
        }
    }
}

/// Loads a row of `P` panels that are `panel_stride` elements apart.
///
/// # Safety
/// `from` must be valid for reads of that row.
#[inline(always)]
unsafe fn load_row<R: Real, V: SimdVec<R>, const P: usize>(
    simd: V,
    row: &mut [[V::Register; PANEL_VECTORS]; P],
    from: *const R,
    panel_stride: usize,
) {
    for (p, vectors) in row.iter_mut().enumerate() {
        for (v, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: the caller's guarantee.
            *vector = unsafe { simd.load(from.add(p * panel_stride + v * V::WIDTH)) };
        }
    }
}

/// Multiplies one row of the panels with its factors.
///
/// # Safety
/// As for [`Tile::run`], at `a` and `b`.
#[inline(always)]
unsafe fn multiply_add<R, V, F, const M: usize, const P: usize, const PREFETCH: bool>(
    simd: V,
    sums: &mut [[[V::Register; PANEL_VECTORS]; P]; M],
    a: *const R,
    b: *const R,
    b_panel_stride: usize,
) where
    R: Real,
    V: SimdVec<R>,
    F: FactorLayout,
{
    // SAFETY: the caller's guarantee.
    unsafe {
        let mut row = [[simd.splat(R::ZERO); PANEL_VECTORS]; P];
        for (p, panel) in row.iter_mut().enumerate() {
            for (v, w) in panel.iter_mut().enumerate() {
                let at = b.wrapping_add(p * b_panel_stride + v * V::WIDTH);
                *w = simd.load(at);
                if PREFETCH {
                    simd.prefetch(at.wrapping_add(PREFETCH_DISTANCE));
                }
            }
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let x = simd.splat(*a.add(r * F::row_stride(V::PANEL_WIDTH)));
            for (sums, row) in sums.iter_mut().zip(row) {
                for (sum, w) in sums.iter_mut().zip(row) {
                    *sum = simd.mul_add(x, w, *sum);
                }
            }
        }
    }
}
