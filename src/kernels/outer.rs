//! Weight gradients: `dw += x^T dy` over all rows of a window, from activations in [panels](super::blocked) and without a copy.
//!
//! Every element of `dw` is one chain of multiply-adds over the rows in the order in which they come: its bits depend neither
//! on how the rows are divided into pieces nor on which part of `dw` is computed at once.

use std::ops::Range;

use super::blocked::{Axis, Rows};
use super::isa::isa;
use super::lanes::{Lanes, Work};
use super::real::Real;
use super::tile::{ByColumn, From, Run, Tile, most_rows};
use super::view::MatMut;

/// Rows of activations that are multiplied at once: a panel of `x` and one of `dy` lie in the first level of cache.
const DEPTH: usize = 128;
/// Pieces that they may come in.
const MOST_PIECES: usize = 64;
/// Panels of `dy` that are multiplied at once: with `dw` they lie in the second level of cache.
const PANELS: usize = 16;

/// Some rows that follow each other.
#[derive(Clone, Copy)]
struct Piece<'a, R> {
    x: Rows<'a, R>,
    dy: Rows<'a, R>,
    first: usize,
    n: usize,
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

    fn has_room_for(&self, n: usize) -> bool {
        self.len < MOST_PIECES && self.rows + n <= DEPTH
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

/// Part of a product whose dimensions were checked: some rows of `dw`, some panels of its columns, some rows of activations.
pub struct Part<'a, 'b, R> {
    dw: &'b mut [R],
    units: Range<usize>,
    columns: Axis,
    panels: Range<usize>,
    chunk: &'b Chunk<'a, R>,
}

/// `dw += x^T dy` for the rows `units` of `dw`, which has as many columns as `columns` has elements.
///
/// `steps` gives `x` and `dy` of one step after another (of the streams of one shard after another within a step). The elements
/// of a row of `x` are the rows of `dw`.
pub fn outer<'a, R: Real>(
    dw: MatMut<'_, R>,
    units: Range<usize>,
    columns: Axis,
    steps: impl Iterator<Item = (Rows<'a, R>, Rows<'a, R>)> + Clone,
) {
    let isa = isa();
    assert_eq!(
        (dw.rows(), dw.cols(), dw.stride()),
        (units.len(), columns.elements(), columns.elements()),
        "shape of dw"
    );
    let all = columns.panels(R::lanes(isa));
    for first in (0..all).step_by(PANELS) {
        let panels = first..all.min(first + PANELS);
        let mut chunk = Chunk::new();
        let mut flush = |chunk: &mut Chunk<'a, R>| {
            R::outer(isa, Part { dw: dw.data, units: units.clone(), columns, panels: panels.clone(), chunk });
            *chunk = Chunk::new();
        };
        for (x, dy) in steps.clone() {
            check(R::lanes(isa), all, units.end, &x, &dy);
            for first in (0..x.rows).step_by(DEPTH) {
                let n = DEPTH.min(x.rows - first);
                if !chunk.has_room_for(n) {
                    flush(&mut chunk);
                }
                chunk.push(Piece { x, dy, first, n });
            }
        }
        flush(&mut chunk);
    }
}

fn check<R: Real>(lanes: usize, panels: usize, units: usize, x: &Rows<'_, R>, dy: &Rows<'_, R>) {
    x.check();
    dy.check();
    assert!(x.steps == 1 && dy.steps == 1 && x.rows == dy.rows, "rows of a weight gradient");
    assert!(x.lanes == lanes && dy.lanes == lanes, "panels of another instruction set");
    assert!(dy.panels == panels && x.panels * lanes >= units, "panels of a weight gradient");
}

impl<R: Real> Work<R> for Part<'_, '_, R> {
    /// Every panel of units, every panel of columns, every tile.
    #[inline(always)]
    unsafe fn run<L: Lanes<R>, const V: usize>(self) {
        let Part { dw, units, columns, panels, chunk } = self;
        let stride = columns.elements();
        assert!(dw.len() >= units.len() * stride, "dw is too short");
        let mut runs = [Run { a: std::ptr::null(), b: std::ptr::null(), n: 0 }; MOST_PIECES];
        let mut unit = units.start;
        while unit < units.end {
            let (panel, lane) = (unit / L::COLUMNS, unit % L::COLUMNS);
            let n = (L::COLUMNS - lane).min(units.end - unit);
            let rows = &mut dw[(unit - units.start) * stride..][..n * stride];
            let tiles = n.div_ceil(const { most_rows::<R, L>(1) });
            for of_columns in panels.clone() {
                for (run, piece) in runs.iter_mut().zip(chunk.pieces()) {
                    let skip = piece.first * L::COLUMNS;
                    let (x, dy) = (&piece.x.panel(0, panel)[skip..], &piece.dy.panel(0, of_columns)[skip..]);
                    (run.a, run.b, run.n) = (x.as_ptr(), dy.as_ptr(), piece.n);
                }
                let place = columns.elements_of(L::COLUMNS, of_columns);
                for tile in 0..tiles {
                    let (r0, r1) = (tile * n / tiles, (tile + 1) * n / tiles);
                    let at = Tile {
                        c: rows[r0 * stride + place.start..].as_mut_ptr(),
                        c_row: stride,
                        c_panel: 0,
                        b_panel: 0,
                        width: place.len(),
                        a_offset: lane + r0,
                        from: From::Output,
                    };
                    // SAFETY: `rows` holds `n` rows of `stride` elements, of which `place` lies within one; each run holds `piece.n`
                    // rows of both panels, and a row of a panel the lanes `lane + r0..lane + r1`.
                    unsafe {
                        if tile == 0 {
                            at.run::<L, ByColumn, V, 1, true>(r1 - r0, &runs[..chunk.len]);
                        } else {
                            at.run::<L, ByColumn, V, 1, false>(r1 - r0, &runs[..chunk.len]);
                        }
                    }
                }
            }
            unit += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocked::Blocked;
    use super::super::view::Mat;
    use super::*;
    use crate::kernels::reference;
    use proptest::prelude::*;

    fn numbers(n: usize, phase: f64) -> Vec<f64> {
        (0..n).map(|i| (i as f64 * 0.7 + phase).sin()).collect()
    }

    /// Rows `first..first + n` of every step of `values`, `(steps, streams, axis)`.
    fn cut<R: Real>(axis: Axis, steps: usize, streams: usize, first: usize, n: usize, values: &[f64]) -> Blocked<R> {
        let mut blocked = Blocked::new(axis, steps, n);
        for (t, stream) in (0..steps).flat_map(|t| (0..n).map(move |stream| (t, stream))) {
            let from = &values[(t * streams + first + stream) * axis.elements()..][..axis.elements()];
            blocked.write(t, stream, &from.iter().map(|x| R::from_f64(*x)).collect::<Vec<_>>());
        }
        blocked
    }

    /// The gradient from shards of that many streams, in tiles of `tile` rows.
    fn gradient<R: Real>(x: &[f64], dy: &[f64], units: usize, columns: Axis, shards: &[usize], tile: usize) -> Vec<R> {
        let streams: usize = shards.iter().sum();
        let steps = x.len() / units / streams;
        let mut first = 0;
        let shards: Vec<_> = shards
            .iter()
            .map(|&n| {
                let of = |axis, values| cut::<R>(axis, steps, streams, first, n, values);
                let shard = (of(Axis::plain(units), x), of(columns, dy));
                first += n;
                shard
            })
            .collect();
        let pairs = (0..steps).flat_map(|t| shards.iter().map(move |(x, dy)| (x.all(t..t + 1), dy.all(t..t + 1))));
        let mut dw = vec![R::ONE; units * columns.elements()];
        for (i, rows) in dw.chunks_mut(tile * columns.elements()).enumerate() {
            let n = rows.len() / columns.elements();
            outer(MatMut::new(rows, n, columns.elements()), i * tile..i * tile + n, columns, pairs.clone());
        }
        dw
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(
            steps in 1usize..5, streams in 1usize..200, units in 1usize..70, parts in 1usize..4, width in 1usize..70,
        ) {
            let columns = Axis { parts, width };
            let (rows, n) = (steps * streams, columns.elements());
            let (x, dy) = (numbers(rows * units, 0.1), numbers(rows * n, 0.2));
            let mut wanted = vec![1.0; units * n];
            let wide = Mat::new(&dy, rows, n);
            reference::gemm(MatMut::new(&mut wanted, units, n), true, Mat::new(&x, rows, units).t(), wide);
            let double = gradient::<f64>(&x, &dy, units, columns, &[streams], units);
            let single = gradient::<f32>(&x, &dy, units, columns, &[streams], units);
            for ((double, single), wanted) in double.iter().zip(single).zip(wanted) {
                prop_assert!((double - wanted).abs() < 1e-10, "{double} against {wanted}");
                prop_assert!((f64::from(single) - wanted).abs() < 1e-5 * (rows + 1) as f64, "{single} against {wanted}");
            }
        }
    }

    #[test]
    fn the_bits_depend_neither_on_the_cut_nor_on_the_tiles() {
        let (units, columns, steps, streams) = (75, Axis { parts: 4, width: 75 }, 9, 35);
        let (x, dy) = (numbers(steps * streams * units, 0.1), numbers(steps * streams * columns.elements(), 0.2));
        let whole = gradient::<f32>(&x, &dy, units, columns, &[35], units);
        for (shards, tile) in [(vec![17, 18], 75), (vec![1, 30, 4], 64), (vec![5; 7], 13), (vec![1; 35], 1)] {
            assert!(gradient::<f32>(&x, &dy, units, columns, &shards, tile) == whole, "{shards:?}, tiles of {tile}");
        }
    }
}
