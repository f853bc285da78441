//! Weight gradients: `dw = x^T dy` over all rows of a window, from activations in [panels](super::blocked).
//!
//! The rows come in pieces, the streams of a shard at a step. Some of them are copied side by side, a panel at a time, so that a
//! tile runs over many rows without a break; panels are as wide as tiles, so the copy transposes nothing.
//!
//! Every element of `dw` is one chain of multiply-adds over the rows in the order in which they come: its bits depend neither
//! on how the rows are divided into pieces nor on which part of `dw` is computed at once.

use std::cell::RefCell;
use std::ops::Range;

use super::aligned::Aligned;
use super::blocked::{PanelView, RowLayout};
use super::isa::{Isa, isa};
use super::lanes::{Lanes, Work};
use super::real::Real;
use super::tile::{Begin, ByColumn, Run, Tile, WIDEST, most_rows};
use super::view::MatMut;

/// Rows of activations that are multiplied at once: a panel of `x` and one of `dy` lie in the first level of cache.
const DEPTH: usize = 64;
/// Pieces that they may come in.
const MOST_PIECES: usize = 64;
/// Panels of `x` that are multiplied at once: so often is a panel of `dy` used that was copied.
const X_PANELS: usize = 4;
/// Panels of `dy` that are multiplied at once: the squares that they make with those of `x` lie in the second level of cache.
const DY_PANELS: usize = 16;

/// Some rows that follow each other.
#[derive(Clone, Copy)]
struct Piece<'a, R> {
    x: PanelView<'a, R>,
    dy: PanelView<'a, R>,
    first: usize,
    n: usize,
}

impl<'a, R> Piece<'a, R> {
    fn of_x(&self, panel: usize) -> &'a [R] {
        self.cut(self.x.panel(0, panel))
    }
    fn of_dy(&self, panel: usize) -> &'a [R] {
        self.cut(self.dy.panel(0, panel))
    }
    fn cut(&self, panel: &'a [R]) -> &'a [R] {
        &panel[self.first * self.x.panel_width..][..self.n * self.x.panel_width]
    }
}

/// Up to [`DEPTH`] rows in pieces.
struct Chunk<'a, R> {
    pieces: [Option<Piece<'a, R>>; MOST_PIECES],
    len: usize,
    rows: usize,
}

impl<'a, R: Real> Chunk<'a, R> {
    fn new() -> Self {
        Chunk { pieces: [None; MOST_PIECES], len: 0, rows: 0 }
    }

    /// Rows that still find room.
    fn room(&self) -> usize {
        if self.len < MOST_PIECES { DEPTH - self.rows } else { 0 }
    }

    fn push(&mut self, piece: Piece<'a, R>) {
        self.pieces[self.len] = Some(piece);
        self.len += 1;
        self.rows += piece.n;
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece<'a, R>> {
        self.pieces[..self.len].iter().flatten()
    }
}

/// Copies of panels, [`DEPTH`] rows each, and the sums: the squares that a panel of `x` and one of `dy` make, each in one piece.
/// In `dw` itself the rows of a square would lie some power of two apart and push each other out of the cache.
struct Room<'a, R> {
    x: &'a mut [R],
    dy: &'a mut [R],
    sums: &'a mut [R],
}

/// Elements of each.
const OF_X: usize = X_PANELS * DEPTH * WIDEST;
const OF_DY: usize = DEPTH * WIDEST;
const OF_SUMS: usize = X_PANELS * DY_PANELS * WIDEST * WIDEST;

thread_local! {
    /// The bytes of a [`Room`], for as many as the widest type needs; allocated once a thread.
    static ROOM: RefCell<Aligned<u8>> = RefCell::new(Aligned::zeros((OF_X + OF_DY + OF_SUMS) * size_of::<f64>()));
}

/// Runs `f` with this thread's room; what stands in it is of no meaning.
fn with_room<R: Real, T>(f: impl FnOnce(Room<'_, R>) -> T) -> T {
    ROOM.with_borrow_mut(|bytes| {
        let (x, rest) = bytemuck::cast_slice_mut(bytes).split_at_mut(OF_X);
        let (dy, rest) = rest.split_at_mut(OF_DY);
        f(Room { x, dy, sums: &mut rest[..OF_SUMS] })
    })
}

/// Puts pieces of a panel side by side.
fn gather<'a, R: Real>(to: &mut [R], pieces: impl Iterator<Item = &'a [R]>) {
    let mut end = 0;
    for piece in pieces {
        to[end..][..piece.len()].copy_from_slice(piece);
        end += piece.len();
    }
}

/// Part of a product whose dimensions were checked: some rows of `dw`, some panels of its columns, some rows of activations.
pub struct Part<'a, 'b, 'r, R> {
    units: Range<usize>,
    panels: Range<usize>,
    chunk: &'b Chunk<'a, R>,
    room: &'b mut Room<'r, R>,
}

/// `dw = x^T dy` for the rows `units` of `dw`, which has as many columns as `columns` has elements.
///
/// `steps` gives `x` and `dy` of one step after another (of the streams of one shard after another within a step). The elements
/// of a row of `x` are the rows of `dw`.
pub fn weight_gradient<'a, R: Real>(
    dw: MatMut<'_, R>,
    units: Range<usize>,
    columns: RowLayout,
    steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)> + Clone,
) {
    with_room(|room| product(isa(), room, dw, units, columns, steps));
}

/// [`weight_gradient`] on an instruction set, in some room.
fn product<'a, R: Real>(
    isa: Isa,
    mut room: Room<'_, R>,
    dw: MatMut<'_, R>,
    units: Range<usize>,
    columns: RowLayout,
    steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)> + Clone,
) {
    let width = columns.elements();
    assert_eq!((dw.rows(), dw.cols(), dw.stride()), (units.len(), width, width), "shape of dw");
    let panel_width = R::panel_width(isa);
    let mut start = units.start;
    while start < units.end {
        let end = units.end.min((start / panel_width + X_PANELS) * panel_width);
        let dw = &mut dw.data[(start - units.start) * width..(end - units.start) * width];
        let all = columns.panels(panel_width);
        for first in (0..all).step_by(DY_PANELS) {
            let panels = first..all.min(first + DY_PANELS);
            room.sums[..panels.len() * X_PANELS * panel_width * panel_width].fill(R::ZERO);
            sum(isa, start..end, all, panels.clone(), steps.clone(), &mut room);
            spread(dw, start..end, columns, panels, room.sums, panel_width);
        }
        start = end;
    }
}

/// Adds the rows of all steps to the sums of some panels; there are `all` panels of `dy`.
fn sum<'a, R: Real>(
    isa: Isa,
    units: Range<usize>,
    all: usize,
    panels: Range<usize>,
    steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)>,
    room: &mut Room<'_, R>,
) {
    let mut chunk = Chunk::new();
    let mut flush = |chunk: &mut Chunk<'a, R>| {
        R::weight_gradient(isa, Part { units: units.clone(), panels: panels.clone(), chunk, room });
        *chunk = Chunk::new();
    };
    for (x, dy) in steps {
        check(R::panel_width(isa), all, units.end, &x, &dy);
        let mut first = 0;
        while first < x.rows {
            let n = chunk.room().min(x.rows - first);
            chunk.push(Piece { x, dy, first, n });
            first += n;
            if chunk.room() == 0 {
                flush(&mut chunk);
            }
        }
    }
    if chunk.rows > 0 {
        flush(&mut chunk);
    }
}

fn check<R: Real>(panel_width: usize, panels: usize, units: usize, x: &PanelView<'_, R>, dy: &PanelView<'_, R>) {
    x.check();
    dy.check();
    assert!(x.steps == 1 && dy.steps == 1 && x.rows == dy.rows, "rows of a weight gradient");
    assert!(x.panel_width == panel_width && dy.panel_width == panel_width, "panels of another instruction set");
    assert!(dy.panels == panels && x.panels * panel_width >= units, "panels of a weight gradient");
}

/// Brings the squares of some panels to their place in `dw`, which begins with the first of `units`.
fn spread<R: Real>(
    dw: &mut [R],
    units: Range<usize>,
    columns: RowLayout,
    panels: Range<usize>,
    sums: &[R],
    panel_width: usize,
) {
    let of_units = units.start / panel_width;
    for (unit, row) in units.zip(dw.chunks_exact_mut(columns.elements())) {
        let (panel, lane) = (unit / panel_width - of_units, unit % panel_width);
        for (of_columns, squares) in panels.clone().zip(sums.chunks_exact(X_PANELS * panel_width * panel_width)) {
            let place = columns.panel_columns(panel_width, of_columns);
            let len = place.len();
            row[place].copy_from_slice(&squares[(panel * panel_width + lane) * panel_width..][..len]);
        }
    }
}

impl<R: Real> Work<R> for Part<'_, '_, '_, R> {
    /// Every panel of columns, every panel of units, every tile.
    #[inline(always)]
    unsafe fn run<L: Lanes<R>, const V: usize>(self) {
        let Part { units, panels, chunk, room } = self;
        let (panel_len, square) = (DEPTH * L::COLUMNS, L::COLUMNS * L::COLUMNS);
        let of_units = units.start / L::COLUMNS..units.end.div_ceil(L::COLUMNS);
        assert!(of_units.len() <= X_PANELS && panels.len() <= DY_PANELS, "too many panels at once");
        for (panel, copy) in of_units.clone().zip(room.x.chunks_exact_mut(panel_len)) {
            gather(copy, chunk.pieces().map(|piece| piece.of_x(panel)));
        }
        for (of_columns, squares) in panels.zip(room.sums.chunks_exact_mut(X_PANELS * square)) {
            gather(room.dy, chunk.pieces().map(|piece| piece.of_dy(of_columns)));
            let copies = room.x.chunks_exact(panel_len).zip(squares.chunks_exact_mut(square));
            for (panel, (x, sums)) in of_units.clone().zip(copies) {
                let first = units.start.max(panel * L::COLUMNS) - panel * L::COLUMNS;
                let n = units.end.min((panel + 1) * L::COLUMNS) - panel * L::COLUMNS - first;
                let tiles = n.div_ceil(const { most_rows::<R, L>(1) });
                for tile in 0..tiles {
                    let (r0, r1) = (first + tile * n / tiles, first + (tile + 1) * n / tiles);
                    let at = Tile {
                        c: sums[r0 * L::COLUMNS..r1 * L::COLUMNS].as_mut_ptr(),
                        c_row: L::COLUMNS,
                        c_panel: 0,
                        b_panel: 0,
                        a_offset: r0,
                        from: Begin::Output,
                    };
                    let run = Run { a: x.as_ptr(), b: room.dy.as_ptr(), n: chunk.rows };
                    // SAFETY: `c` was cut to `r1 - r0` rows of a panel; both copies hold `chunk.rows` rows, `DEPTH` at most, and
                    // a row the lanes `r0..r1`, `L::COLUMNS` at most.
                    unsafe { at.run::<L, ByColumn, V, 1, false>(r1 - r0, std::iter::once(run)) };
                }
            }
        }
    }
}

#[cfg(test)]
mod edges;

#[cfg(test)]
mod tests {
    use super::super::blocked::PanelBuffer;
    use super::*;
    use crate::kernels::testing::numbers;

    /// Rows `first..first + n` of every step of `values`, `(steps, streams, row_layout)`.
    fn cut(
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
                let of = |row_layout, values| cut(row_layout, steps, streams, first, n, values);
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
    fn the_bits_depend_neither_on_the_cut_nor_on_the_tiles() {
        let (units, columns, steps, streams) = (165, RowLayout { parts: 4, width: 165 }, 9, 35);
        let (x, dy) = (numbers(steps * streams * units, 0.1), numbers(steps * streams * columns.elements(), 0.2));
        let whole = gradient(&x, &dy, units, columns, &[35], units);
        for (shards, tile) in [(vec![17, 18], 165), (vec![1, 30, 4], 64), (vec![5; 7], 13), (vec![1; 35], 1)] {
            assert!(gradient(&x, &dy, units, columns, &shards, tile) == whole, "{shards:?}, tiles of {tile}");
        }
    }
}
