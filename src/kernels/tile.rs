//! The heart of the products: a tile of sums held in registers while it runs over a panel.
//!
//! Every sum is one chain of multiply-adds in the order of the runs, whatever the tile it falls in and wherever the chain is
//! put down to memory and taken up again. That is why the bits of a row do not depend on the rows beside it.

use super::lanes::Lanes;
use super::real::Real;

/// The widest panel of any instruction set.
const WIDEST: usize = 32;
/// Panels that a product of few rows runs over side by side, so that there are sums enough to hide the latency of one.
pub(super) const SIDE_BY_SIDE: usize = 4;
/// How far ahead a panel is fetched where it is read for the first time, in elements.
const AHEAD: usize = 512;

/// How the factors of a sum lie.
pub(super) trait Factors {
    /// Distance between the factors of neighbouring rows of a tile, in elements; `columns` is the width of a panel.
    fn row(columns: usize) -> usize;
    /// Distance between the factors of one row that follow each other in its sum.
    fn next(columns: usize) -> usize;
}

/// Rows of activations: a row's factors stand side by side.
pub(super) enum ByRow {}
impl Factors for ByRow {
    #[inline(always)]
    fn row(columns: usize) -> usize {
        columns
    }
    #[inline(always)]
    fn next(_: usize) -> usize {
        1
    }
}

/// Columns of activations: the factors that follow each other stand in the rows of a panel.
pub(super) enum ByColumn {}
impl Factors for ByColumn {
    #[inline(always)]
    fn row(_: usize) -> usize {
        1
    }
    #[inline(always)]
    fn next(columns: usize) -> usize {
        columns
    }
}

/// A piece of a sum: `n` rows of a panel, one after another, and the first factor of the tile's first row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<R> {
    pub a: *const R,
    pub b: *const R,
    pub n: usize,
}

/// Where sums go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<R> {
    /// The first element.
    pub c: *mut R,
    /// Distance between rows.
    pub c_row: usize,
    /// Columns that there are, a panel's at most.
    pub width: usize,
    /// What is added to every `a` of the runs.
    pub a_offset: usize,
    /// Whether sums begin at 0, not at what stands in `c`.
    pub fresh: bool,
}

/// `run` with the number of rows as a constant.
macro_rules! by_rows {
    ($tile:ident, $rows:ident, $runs:ident, $($n:literal)*) => {
        match $rows {
            $($n if $n <= L::ROWS => $tile.sized::<L, F, $n, V, FETCH>($runs),)*
            _ => {}
        }
    };
}

impl<R: Real> Tile<R> {
    /// Adds the products of the runs to `rows` rows. `V` is `L::VECTORS`, as a parameter since an array cannot take its length
    /// from a trait. `FETCH` asks for the panel ahead.
    ///
    /// # Safety
    /// `c` must hold `rows` rows of `width`; every run `n` rows of a panel at `b`, and at `a + a_offset` the factors of `rows`
    /// rows and `n` products as `F` lays them out. `L` as in [`Lanes`].
    #[inline(always)]
    pub unsafe fn run<L: Lanes<R>, F: Factors, const V: usize, const FETCH: bool>(self, rows: usize, runs: &[Run<R>]) {
        const { assert!(V == L::VECTORS && V * L::WIDTH <= WIDEST && L::ROWS <= 14) };
        let tile = self;
        // SAFETY: the caller's promise.
        unsafe { by_rows!(tile, rows, runs, 1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }

    /// # Safety
    /// As for [`Tile::run`], with `M` rows.
    #[inline(always)]
    unsafe fn sized<L: Lanes<R>, F: Factors, const M: usize, const V: usize, const FETCH: bool>(self, runs: &[Run<R>]) {
        if self.width == L::COLUMNS {
            // SAFETY: the caller's promise, with a full panel.
            unsafe { self.full::<L, F, M, V, FETCH>(runs) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.edge::<L, F, M, V>(runs) }
        }
    }

    /// Fewer columns than a panel: the tile is computed beside the matrix, and what belongs to it copied.
    ///
    /// # Safety
    /// As for [`Tile::run`], with `M` rows.
    #[inline(always)]
    unsafe fn edge<L: Lanes<R>, F: Factors, const M: usize, const V: usize>(self, runs: &[Run<R>]) {
        let mut edge = [[R::ZERO; WIDEST]; M];
        let Tile { c, c_row, width, .. } = self;
        // SAFETY: rows of `c` hold `width` elements, rows of `edge` hold `WIDEST`, which is at least a panel.
        unsafe {
            for (r, row) in edge.iter_mut().enumerate() {
                std::ptr::copy_nonoverlapping(c.add(r * c_row), row.as_mut_ptr(), width);
            }
            let inner = Tile { c: edge.as_mut_ptr().cast::<R>(), c_row: WIDEST, ..self };
            inner.full::<L, F, M, V, false>(runs);
            for (r, row) in edge.iter().enumerate() {
                std::ptr::copy_nonoverlapping(row.as_ptr(), c.add(r * c_row), width);
            }
        }
    }

    /// # Safety
    /// As for [`Tile::run`], with `M` rows of `c` as wide as a panel.
    #[inline(always)]
    unsafe fn full<L: Lanes<R>, F: Factors, const M: usize, const V: usize, const FETCH: bool>(self, runs: &[Run<R>]) {
        // SAFETY: every pointer below stays within what the caller promised; fetching takes any pointer.
        unsafe {
            let mut acc = [[L::splat(R::ZERO); V]; M];
            if !self.fresh {
                for (r, row) in acc.iter_mut().enumerate() {
                    for (v, x) in row.iter_mut().enumerate() {
                        *x = L::load(self.c.add(r * self.c_row + v * L::WIDTH));
                    }
                }
            }
            for run in runs {
                let (mut a, mut b) = (run.a.add(self.a_offset), run.b);
                for _ in 0..run.n {
                    let row: [L::V; V] = std::array::from_fn(|v| L::load(b.add(v * L::WIDTH)));
                    if FETCH {
                        (0..V).for_each(|v| L::fetch(b.wrapping_add(AHEAD + v * L::WIDTH)));
                    }
                    for (r, sums) in acc.iter_mut().enumerate() {
                        let x = L::splat(*a.add(r * F::row(L::COLUMNS)));
                        for (sum, w) in sums.iter_mut().zip(row) {
                            *sum = L::fma(x, w, *sum);
                        }
                    }
                    b = b.wrapping_add(L::COLUMNS);
                    a = a.wrapping_add(F::next(L::COLUMNS));
                }
            }
            for (r, row) in acc.iter().enumerate() {
                for (v, x) in row.iter().enumerate() {
                    L::store(self.c.add(r * self.c_row + v * L::WIDTH), *x);
                }
            }
        }
    }
}

/// Adds the products of few rows (`ByRow`) with [`SIDE_BY_SIDE`] panels, `panel` elements apart; the sums of a panel lie `c_panel`
/// apart, rows a panel's width.
///
/// # Safety
/// As for [`Tile::run`], for each of the panels, with `M` rows and full width.
#[inline(always)]
pub(super) unsafe fn side_by_side<R: Real, L: Lanes<R>, const M: usize, const V: usize>(
    runs: &[Run<R>],
    panel: usize,
    c: *mut R,
    c_panel: usize,
    fresh: bool,
) {
    // SAFETY: every pointer below stays within what the caller promised; fetching takes any pointer.
    unsafe {
        let mut acc = [[[L::splat(R::ZERO); V]; SIDE_BY_SIDE]; M];
        if !fresh {
            for (r, row) in acc.iter_mut().enumerate() {
                for (p, sums) in row.iter_mut().enumerate() {
                    for (v, x) in sums.iter_mut().enumerate() {
                        *x = L::load(c.add(p * c_panel + r * L::COLUMNS + v * L::WIDTH));
                    }
                }
            }
        }
        for run in runs {
            for k in 0..run.n {
                let factors: [L::V; M] = std::array::from_fn(|r| L::splat(*run.a.add(r * L::COLUMNS + k)));
                for p in 0..SIDE_BY_SIDE {
                    let b = run.b.add(p * panel + k * L::COLUMNS);
                    for v in 0..V {
                        let w = L::load(b.add(v * L::WIDTH));
                        L::fetch(b.wrapping_add(AHEAD + v * L::WIDTH));
                        for (row, x) in acc.iter_mut().zip(factors) {
                            row[p][v] = L::fma(x, w, row[p][v]);
                        }
                    }
                }
            }
        }
        for (r, row) in acc.iter().enumerate() {
            for (p, sums) in row.iter().enumerate() {
                for (v, x) in sums.iter().enumerate() {
                    L::store(c.add(p * c_panel + r * L::COLUMNS + v * L::WIDTH), *x);
                }
            }
        }
    }
}
