//! Weight gradients: `dw = x^T dy` over all rows of a window, from activations in [panels](super::panel_buffer).
//!
//! The rows of several time steps are gathered, one panel at a time, so that a tile runs over many rows without a break. A tile is as
//! wide as a panel, so gathering does not transpose.
//!
//! Each element of `dw` is one chain of multiply-adds over the rows in their order: its bits depend neither on how the rows are divided
//! into steps and shards, nor on which part of `dw` is computed at once.

use std::cell::RefCell;
use std::ops::Range;

use super::aligned::AlignedBuffer;
use super::matrix::MatMut;
use super::micro_kernel::{ColumnMajor, Segment, Tile, TileInit, max_rows};
use super::panel_buffer::{PanelView, RowLayout};
use super::real::Real;
use crate::simd::{Isa, MAX_PANEL_WIDTH, Simd, SimdKernel, SimdVec, dispatch_on};

/// Rows of activations that are multiplied at once: a panel of `x` and one of `dy` fit in the L1 cache.
const DEPTH: usize = 64;
/// The maximum number of slices that these rows are gathered from.
const MAX_SLICES: usize = 64;
/// Panels of `x` that are multiplied at once: the number of times that each gathered panel of `dy` is reused.
const X_PANELS: usize = 4;
/// Panels of `dy` that are multiplied at once: their sums with the panels of `x` fit the L2 cache.
const DY_PANELS: usize = 16;

/// Consecutive rows of one step.
#[derive(Clone, Copy)]
struct RowSlice<'a, R> {
    x: PanelView<'a, R>,
    dy: PanelView<'a, R>,
    first: usize,
    len: usize,
}

impl<'a, R> RowSlice<'a, R> {
    fn x_panel(&self, panel: usize) -> &'a [R] {
        self.slice(self.x.panel(0, panel))
    }
    fn dy_panel(&self, panel: usize) -> &'a [R] {
        self.slice(self.dy.panel(0, panel))
    }
    fn slice(&self, panel: &'a [R]) -> &'a [R] {
        &panel[self.first * self.x.panel_width..][..self.len * self.x.panel_width]
    }
}

/// Up to [`DEPTH`] rows, to be gathered from up to [`MAX_SLICES`] slices.
struct RowBatch<'a, R> {
    slices: [Option<RowSlice<'a, R>>; MAX_SLICES],
    len: usize,
    rows: usize,
}

impl<'a, R: Real> RowBatch<'a, R> {
    fn new() -> Self {
        RowBatch { slices: [None; MAX_SLICES], len: 0, rows: 0 }
    }

    /// How many more rows can be pushed as one slice.
    fn free_rows(&self) -> usize {
        if self.len < MAX_SLICES { DEPTH - self.rows } else { 0 }
    }

    fn push(&mut self, slice: RowSlice<'a, R>) {
        self.slices[self.len] = Some(slice);
        self.len += 1;
        self.rows += slice.len;
    }

    fn slices(&self) -> impl Iterator<Item = &RowSlice<'a, R>> {
        self.slices[..self.len].iter().flatten()
    }
}

/// Gathered panels of [`DEPTH`] rows, and the sums: a contiguous square for each pair of a panel of `x` and one of `dy`. In `dw` itself,
/// the rows of a square would often be a power of two apart and evict each other from the cache.
struct Scratch<'a, R> {
    x: &'a mut [R],
    dy: &'a mut [R],
    sums: &'a mut [R],
}

const X_LEN: usize = X_PANELS * DEPTH * MAX_PANEL_WIDTH;
const DY_LEN: usize = DEPTH * MAX_PANEL_WIDTH;
const SUMS_LEN: usize = X_PANELS * DY_PANELS * MAX_PANEL_WIDTH * MAX_PANEL_WIDTH;

thread_local! {
    static SCRATCH: RefCell<AlignedBuffer<u8>> =
        RefCell::new(AlignedBuffer::zeros((X_LEN + DY_LEN + SUMS_LEN) * size_of::<f64>()));
}

/// `dw = x^T dy` for the rows `units` of `dw`; `columns` is the layout of its rows.
///
/// `steps` yields `x` and `dy` of consecutive steps (and of consecutive shards within a step). The elements of a row of `x` are the rows
/// of `dw`.
///
/// # Panics
/// If an operand has another shape.
pub fn weight_gradient<'a, R: Real>(
    dw: MatMut<'_, R>,
    units: Range<usize>,
    columns: RowLayout,
    steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)> + Clone,
) {
    SCRATCH.with_borrow_mut(|bytes| {
        let (x, rest) = bytemuck::cast_slice_mut(bytes).split_at_mut(X_LEN);
        let (dy, rest) = rest.split_at_mut(DY_LEN);
        let scratch = Scratch { x, dy, sums: &mut rest[..SUMS_LEN] };
        weight_gradient_on(Isa::active(), scratch, dw, units, columns, steps);
    });
}

fn weight_gradient_on<'a, R: Real>(
    isa: Isa,
    mut scratch: Scratch<'_, R>,
    dw: MatMut<'_, R>,
    units: Range<usize>,
    columns: RowLayout,
    steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)> + Clone,
) {
    let row_len = columns.elements();
    assert_eq!((dw.rows(), dw.cols(), dw.stride()), (units.len(), row_len, row_len), "shape of dw");
    let panel_width = R::panel_width(isa);
    let mut start = units.start;
    while start < units.end {
        let end = units.end.min((start / panel_width + X_PANELS) * panel_width);
        let dw = &mut dw.data[(start - units.start) * row_len..(end - units.start) * row_len];
        let dy_panels = columns.panels(panel_width);
        for first in (0..dy_panels).step_by(DY_PANELS) {
            let panels = first..dy_panels.min(first + DY_PANELS);
            scratch.sums[..panels.len() * X_PANELS * panel_width * panel_width].fill(R::ZERO);
            accumulate(isa, start..end, dy_panels, panels.clone(), steps.clone(), &mut scratch);
            copy_sums(dw, start..end, columns, panels, scratch.sums, panel_width);
        }
        start = end;
    }
}

/// Adds the rows of all steps to the sums of some of the `dy_panels` panels of `dy`.
fn accumulate<'a, R: Real>(
    isa: Isa,
    units: Range<usize>,
    dy_panels: usize,
    panels: Range<usize>,
    steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)>,
    scratch: &mut Scratch<'_, R>,
) {
    let mut batch = RowBatch::new();
    let mut flush = |batch: &mut RowBatch<'a, R>| {
        dispatch_on(isa, AddProducts { units: units.clone(), panels: panels.clone(), batch, scratch });
        *batch = RowBatch::new();
    };
    for (x, dy) in steps {
        check(R::panel_width(isa), dy_panels, units.end, &x, &dy);
        let mut first = 0;
        while first < x.rows {
            let len = batch.free_rows().min(x.rows - first);
            batch.push(RowSlice { x, dy, first, len });
            first += len;
            if batch.free_rows() == 0 {
                flush(&mut batch);
            }
        }
    }
    if batch.rows > 0 {
        flush(&mut batch);
    }
}

fn check<R: Real>(panel_width: usize, dy_panels: usize, units: usize, x: &PanelView<'_, R>, dy: &PanelView<'_, R>) {
    x.check();
    dy.check();
    assert!(x.steps == 1 && dy.steps == 1 && x.rows == dy.rows, "rows of a weight gradient");
    assert!(x.panel_width == panel_width && dy.panel_width == panel_width, "panels of another instruction set");
    assert!(dy.panels == dy_panels && x.panels * panel_width >= units, "panels of a weight gradient");
}

/// Copies the sums of some panels to `dw`, whose rows are `units`.
fn copy_sums<R: Real>(
    dw: &mut [R],
    units: Range<usize>,
    columns: RowLayout,
    panels: Range<usize>,
    sums: &[R],
    panel_width: usize,
) {
    let first_panel = units.start / panel_width;
    for (unit, row) in units.zip(dw.chunks_exact_mut(columns.elements())) {
        let (panel, lane) = (unit / panel_width - first_panel, unit % panel_width);
        for (dy_panel, squares) in panels.clone().zip(sums.chunks_exact(X_PANELS * panel_width * panel_width)) {
            let to = columns.panel_columns(panel_width, dy_panel);
            let len = to.len();
            row[to].copy_from_slice(&squares[(panel * panel_width + lane) * panel_width..][..len]);
        }
    }
}

/// Adds the products of a batch of rows to the sums of some panels. The operands have been checked.
struct AddProducts<'a, 'b, 's, R> {
    units: Range<usize>,
    panels: Range<usize>,
    batch: &'b RowBatch<'a, R>,
    scratch: &'b mut Scratch<'s, R>,
}

impl<R: Real> AddProducts<'_, '_, '_, R> {
    #[inline(always)]
    fn add<V: SimdVec<R>>(self, simd: V) {
        let AddProducts { units, panels, batch, scratch } = self;
        let (panel_len, square) = (DEPTH * V::PANEL_WIDTH, V::PANEL_WIDTH * V::PANEL_WIDTH);
        let x_panels = units.start / V::PANEL_WIDTH..units.end.div_ceil(V::PANEL_WIDTH);
        assert!(x_panels.len() <= X_PANELS && panels.len() <= DY_PANELS, "too many panels at once");
        for (panel, copy) in x_panels.clone().zip(scratch.x.chunks_exact_mut(panel_len)) {
            gather(copy, batch.slices().map(|slice| slice.x_panel(panel)));
        }
        for (dy_panel, squares) in panels.zip(scratch.sums.chunks_exact_mut(X_PANELS * square)) {
            gather(scratch.dy, batch.slices().map(|slice| slice.dy_panel(dy_panel)));
            let copies = scratch.x.chunks_exact(panel_len).zip(squares.chunks_exact_mut(square));
            for (panel, (x, sums)) in x_panels.clone().zip(copies) {
                let first = units.start.max(panel * V::PANEL_WIDTH) - panel * V::PANEL_WIDTH;
                let n = units.end.min((panel + 1) * V::PANEL_WIDTH) - panel * V::PANEL_WIDTH - first;
                let tiles = n.div_ceil(const { max_rows::<R, V>(1) });
                for i in 0..tiles {
                    let (r0, r1) = (first + i * n / tiles, first + (i + 1) * n / tiles);
                    let tile = Tile {
                        c: sums[r0 * V::PANEL_WIDTH..r1 * V::PANEL_WIDTH].as_mut_ptr(),
                        c_row_stride: V::PANEL_WIDTH,
                        c_panel_stride: 0,
                        b_panel_stride: 0,
                        a_offset: r0,
                        init: TileInit::Output,
                    };
                    let segment = Segment { a: x.as_ptr(), b: scratch.dy.as_ptr(), len: batch.rows };
                    // SAFETY: `c` was cut to `r1 - r0` rows of a panel; both copies hold `batch.rows` rows (at most `DEPTH`), and
                    // each row holds the lanes `r0..r1`, at most `PANEL_WIDTH`.
                    unsafe { tile.run::<V, ColumnMajor, 1, false>(simd, r1 - r0, std::iter::once(segment)) };
                }
            }
        }
    }
}

impl<R: Real> SimdKernel for AddProducts<'_, '_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.add(R::vectors(simd));
    }
}

fn gather<'a, R: Real>(to: &mut [R], slices: impl Iterator<Item = &'a [R]>) {
    let mut end = 0;
    for slice in slices {
        to[end..][..slice.len()].copy_from_slice(slice);
        end += slice.len();
    }
}

#[cfg(test)]
mod guard_page_tests;

#[cfg(test)]
mod tests {
    use super::super::panel_buffer::PanelBuffer;
    use super::*;
    use crate::kernels::testing::numbers;

    /// Rows `first..first + n` of every step of `values`, `(steps, streams, row_layout)`.
    fn slice_streams(
        row_layout: RowLayout,
        steps: usize,
        streams: usize,
        first: usize,
        n: usize,
        values: &[f32],
    ) -> PanelBuffer<f32> {
        let mut blocked = PanelBuffer::new(row_layout, steps, n);
        for (t, stream) in (0..steps).flat_map(|t| (0..n).map(move |stream| (t, stream))) {
            blocked.write(
                t,
                stream,
                &values[(t * streams + first + stream) * row_layout.elements()..][..row_layout.elements()],
            );
        }
        blocked
    }

    /// The gradient from shards of that many streams, in tiles of `tile` rows.
    fn gradient(x: &[f32], dy: &[f32], units: usize, columns: RowLayout, shards: &[usize], tile: usize) -> Vec<f32> {
        let streams: usize = shards.iter().sum();
        let steps = x.len() / units / streams;
        let mut first = 0;
        let shards: Vec<_> = shards
            .iter()
            .map(|&n| {
                let of = |row_layout, values| slice_streams(row_layout, steps, streams, first, n, values);
                let shard = (of(RowLayout::single(units), x), of(columns, dy));
                first += n;
                shard
            })
            .collect();
        let pairs = (0..steps).flat_map(|t| shards.iter().map(move |(x, dy)| (x.all(t..t + 1), dy.all(t..t + 1))));
        let mut dw = vec![1.0; units * columns.elements()];
        for (i, rows) in dw.chunks_mut(tile * columns.elements()).enumerate() {
            let n = rows.len() / columns.elements();
            weight_gradient(MatMut::new(rows, n, columns.elements()), i * tile..i * tile + n, columns, pairs.clone());
        }
        dw
    }

    #[test]
    fn bits_depend_neither_on_the_shards_nor_on_the_tiles() {
        let (units, columns, steps, streams) = (165, RowLayout { parts: 4, width: 165 }, 9, 35);
        let (x, dy) = (numbers(steps * streams * units, 0.1), numbers(steps * streams * columns.elements(), 0.2));
        let whole = gradient(&x, &dy, units, columns, &[35], units);
        for (shards, tile) in [(vec![17, 18], 165), (vec![1, 30, 4], 64), (vec![5; 7], 13), (vec![1; 35], 1)] {
            assert!(gradient(&x, &dy, units, columns, &shards, tile) == whole, "{shards:?}, tiles of {tile}");
        }
    }
}
