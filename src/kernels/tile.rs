//! The heart of the products: a tile of sums held in registers while it runs over a panel.
//!
//! Every sum is one chain of multiply-adds in the order of the runs, whatever the tile it falls in and wherever the chain is
//! put down to memory and taken up again. That is why the bits of a row do not depend on the rows beside it.

use super::lanes::Lanes;
use super::real::Real;

/// The widest panel of any instruction set.
pub(super) const WIDEST: usize = 32;
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

/// A piece of a sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<R> {
    /// The first factor of the tile's first row.
    pub a: *const R,
    /// The first row of the first panel; the others follow it.
    pub b: *const R,
    /// Rows of the panels.
    pub n: usize,
}

/// Rows of a tile of `panels` panels at most: with its sums, a row of every panel and a factor, the registers are used up.
/// Where that leaves less than a row, the panels' rows are read as they are used.
pub(super) const fn most_rows<R, L: Lanes<R>>(panels: usize) -> usize {
    let wide = panels * L::VECTORS;
    let held = (L::REGISTERS - 1 - wide) / wide;
    let read = (L::REGISTERS * 3 / 4) / wide;
    if panels > 1 { read } else { held }
}

/// Where sums begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin<R> {
    /// At 0.
    Zero,
    /// With what stands where they go.
    Output,
    /// Every row with the same one.
    Row {
        /// Its first element.
        at: *const R,
        /// Distance between its elements of a panel and those of the next.
        panel: usize,
    },
    /// Each with a row of a table.
    Table {
        /// The table's first element.
        at: *const R,
        /// The row of the table for each row of the tile.
        slots: *const u32,
        /// Distance between its elements of a panel and those of the next.
        panel: usize,
    },
}

/// Where sums go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<R> {
    /// The first element.
    pub c: *mut R,
    /// Distance between rows.
    pub c_row: usize,
    /// Distance between the columns of a panel and those of the next.
    pub c_panel: usize,
    /// Distance between a panel and the next.
    pub b_panel: usize,
    /// What is added to every `a` of the runs.
    pub a_offset: usize,
    /// Where sums begin.
    pub from: Begin<R>,
}

/// The tile with the number of rows as a constant.
macro_rules! by_rows {
    ($tile:ident, $rows:ident, $runs:ident, $($n:literal)*) => {
        match $rows {
            $($n if $n <= const { most_rows::<R, L>(P) } => $tile.sized::<L, F, $n, V, P, FETCH>($runs),)*
            _ => {}
        }
    };
}

impl<R: Real> Tile<R> {
    /// Adds the products of the runs with `P` panels to `rows` rows, [`most_rows`] at most. `V` is `L::VECTORS`, as a parameter
    /// since an array cannot take its length from a trait. `FETCH` asks for the panel ahead.
    ///
    /// # Safety
    /// `c`, and what `from` points to, must hold `rows` rows of every panel; every run `n` rows of every panel at `b`, and at
    /// `a + a_offset` the factors of `rows` rows and `n` products as `F` lays them out. `L` as in [`Lanes`].
    #[inline(always)]
    pub unsafe fn run<L: Lanes<R>, F: Factors, const V: usize, const P: usize, const FETCH: bool>(
        self,
        rows: usize,
        runs: impl Iterator<Item = Run<R>> + Clone,
    ) {
        const { assert!(V == L::VECTORS && V * L::WIDTH <= WIDEST && most_rows::<R, L>(P) <= 14) };
        debug_assert!((1..=most_rows::<R, L>(P)).contains(&rows), "{rows} rows of {P} panels");
        let tile = self;
        // SAFETY: the caller's promise.
        unsafe { by_rows!(tile, rows, runs, 1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }

    /// # Safety
    /// As for [`Tile::run`], with `M` rows.
    #[inline(always)]
    unsafe fn sized<L: Lanes<R>, F: Factors, const M: usize, const V: usize, const P: usize, const FETCH: bool>(
        self,
        runs: impl Iterator<Item = Run<R>> + Clone,
    ) {
        // SAFETY: every pointer below stays within what the caller promised; fetching takes any pointer.
        unsafe {
            let mut sums = [[[L::splat(R::ZERO); V]; P]; M];
            match self.from {
                Begin::Zero => {}
                Begin::Output => {
                    for (r, row) in sums.iter_mut().enumerate() {
                        load::<R, L, V, P>(row, self.c.add(r * self.c_row), self.c_panel);
                    }
                }
                Begin::Row { at, panel } => {
                    for row in &mut sums {
                        load::<R, L, V, P>(row, at, panel);
                    }
                }
                Begin::Table { at, slots, panel } => {
                    for (r, row) in sums.iter_mut().enumerate() {
                        load::<R, L, V, P>(row, at.add(*slots.add(r) as usize * L::COLUMNS), panel);
                    }
                }
            }
            for run in runs {
                let (mut a, mut b) = (run.a.add(self.a_offset), run.b);
                // Two at a time, which saves a part of the counting.
                for _ in 0..run.n / 2 {
                    add::<R, L, F, M, V, P, FETCH>(&mut sums, a, b, self.b_panel);
                    let (a2, b2) = (a.wrapping_add(F::next(L::COLUMNS)), b.wrapping_add(L::COLUMNS));
                    add::<R, L, F, M, V, P, FETCH>(&mut sums, a2, b2, self.b_panel);
                    (a, b) = (a.wrapping_add(2 * F::next(L::COLUMNS)), b.wrapping_add(2 * L::COLUMNS));
                }
                if run.n % 2 == 1 {
                    add::<R, L, F, M, V, P, FETCH>(&mut sums, a, b, self.b_panel);
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (p, panel) in row.iter().enumerate() {
                    for (v, sum) in panel.iter().enumerate() {
                        L::store(self.c.add(r * self.c_row + p * self.c_panel + v * L::WIDTH), *sum);
                    }
                }
            }
        }
    }
}

/// A row of the panels, `panel` elements apart.
///
/// # Safety
/// `from` must hold it; `L` as in [`Lanes`].
#[inline(always)]
unsafe fn load<R: Real, L: Lanes<R>, const V: usize, const P: usize>(
    row: &mut [[L::V; V]; P],
    from: *const R,
    panel: usize,
) {
    for (p, vectors) in row.iter_mut().enumerate() {
        for (v, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *vector = unsafe { L::load(from.add(p * panel + v * L::WIDTH)) };
        }
    }
}

/// One row of the panels, times its factors.
///
/// # Safety
/// As for [`Tile::run`], at `a` and `b`.
#[inline(always)]
unsafe fn add<R: Real, L: Lanes<R>, F: Factors, const M: usize, const V: usize, const P: usize, const FETCH: bool>(
    sums: &mut [[[L::V; V]; P]; M],
    a: *const R,
    b: *const R,
    b_panel: usize,
) {
    // SAFETY: the caller's promise; fetching takes any pointer.
    unsafe {
        let mut row = [[L::splat(R::ZERO); V]; P];
        for (p, panel) in row.iter_mut().enumerate() {
            for (v, w) in panel.iter_mut().enumerate() {
                let at = b.wrapping_add(p * b_panel + v * L::WIDTH);
                *w = L::load(at);
                if FETCH {
                    L::fetch(at.wrapping_add(AHEAD));
                }
            }
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let x = L::splat(*a.add(r * F::row(L::COLUMNS)));
            for (sums, row) in sums.iter_mut().zip(row) {
                for (sum, w) in sums.iter_mut().zip(row) {
                    *sum = L::fma(x, w, *sum);
                }
            }
        }
    }
}
