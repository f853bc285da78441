//! Weights laid out once for many products: `y = start + x w` on activations in [panels](super::blocked).
//!
//! The columns of a matrix are cut into the panels of its output, its rows ordered as the panels of its input, so that a tile
//! reads straight through memory. Every element of a product is one chain of multiply-adds in the order of the input's panels:
//! **the bits of a row do not depend on the rows computed beside it.**

use std::ops::Range;

use super::aligned::Aligned;
use super::blocked::{PanelView, RowLayout};
use super::int8::{Int8, Precision};
use super::isa::{Isa, isa};
use super::lanes::{Lanes, Work};
use super::real::Real;
use super::start::AccumulatorInit;
use super::tile::{Begin, ByRow, Run, Tile, most_rows};
use super::view::Mat;

/// Rows of the panels that are multiplied with all rows of activations before going on, so that they are read from the first
/// level of cache from the second tile on.
const DEPTH: usize = 128;
/// Panels that few rows are multiplied with at once: they leave registers free, and one panel would not give them sums enough
/// to hide the latency of an addition.
const SIDE_BY_SIDE: usize = 4;

/// A matrix of weights in panels.
#[derive(Debug)]
pub struct PackedMatrix<R> {
    values: Aligned<R>,
    /// In place of `values`, where they were converted.
    int8: Option<Int8>,
    input: RowLayout,
    output: RowLayout,
    isa: Isa,
    panel_width: usize,
}

impl<R: Real> PackedMatrix<R> {
    /// Room for an `input x output` matrix, all zero, for the instruction set in force.
    pub fn new(input: RowLayout, output: RowLayout) -> Self {
        Self::for_isa(isa(), input, output)
    }

    /// Room for an `input x output` matrix, all zero, for `isa`; the portable path where the machine lacks it.
    pub fn for_isa(isa: Isa, input: RowLayout, output: RowLayout) -> Self {
        let isa = if isa.is_available() { isa } else { Isa::Portable };
        let panel_width = R::panel_width(isa);
        let elements = |row_layout: RowLayout| {
            row_layout.width.div_ceil(panel_width).checked_mul(row_layout.parts)?.checked_mul(panel_width)
        };
        let len = elements(input).zip(elements(output)).and_then(|(input, output)| input.checked_mul(output));
        assert!(len.is_some(), "packed weights of {input:?} x {output:?}");
        PackedMatrix { values: Aligned::zeros(len.unwrap_or(0)), int8: None, input, output, isa, panel_width }
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.input.elements() * self.output.elements() == 0
    }

    /// Panels of its output.
    pub fn panels(&self) -> usize {
        self.output.panels(self.panel_width)
    }

    /// Elements of a panel: `panel_width` for each element of its input.
    fn panel_len(&self) -> usize {
        self.input.panels(self.panel_width) * self.panel_width * self.panel_width
    }

    /// Takes in new weights of the same shape.
    pub fn pack(&mut self, weights: Mat<'_, R>) {
        assert!(self.int8.is_none(), "converted weights take in no new ones");
        let shape = (self.input.elements(), self.output.elements());
        assert_eq!((weights.rows(), weights.cols()), shape, "the shape of packed weights is fixed");
        let (input, output, panel_width, panel_len) = (self.input, self.output, self.panel_width, self.panel_len());
        // The rows of an input panel stay at hand while they are cut up for all panels of the output.
        for of_input in 0..input.panels(panel_width) {
            for (panel, values) in self.values.chunks_exact_mut(panel_len).enumerate() {
                let square = &mut values[of_input * panel_width * panel_width..][..panel_width * panel_width];
                let (rows, columns) =
                    (input.panel_columns(panel_width, of_input), output.panel_columns(panel_width, panel));
                pack_square(square, panel_width, weights, rows, columns);
            }
        }
    }

    /// Keeps the weights at that precision from now on. It takes in no new ones then.
    pub fn convert(&mut self, precision: Precision) {
        if precision == Precision::Int8 && self.int8.is_none() && !self.is_empty() {
            self.int8 = Some(Int8::of(&self.values, self.panel_len(), self.panel_width));
            self.values = Aligned::zeros(0);
        }
    }

    /// Bytes that a product with one row reads.
    pub fn bytes(&self) -> usize {
        self.int8.as_ref().map_or(size_of_val(&self.values[..]), Int8::bytes)
    }

    /// How exactly the weights are kept.
    pub fn precision(&self) -> Precision {
        if self.int8.is_some() { Precision::Int8 } else { Precision::F32 }
    }

    /// `y = start + x w` for the columns of some panels.
    ///
    /// `y` holds those panels of the steps of `x`: a panel's rows at a step follow each other, the panels follow each other,
    /// and the steps begin `step_stride` elements apart.
    pub fn multiply(
        &self,
        panels: Range<usize>,
        y: &mut [R],
        step_stride: usize,
        x: PanelView<'_, R>,
        start: AccumulatorInit<'_, R>,
    ) {
        let panel_len = self.panel_len();
        assert!(panels.end <= self.panels(), "panels {panels:?} of {}", self.panels());
        assert!(
            x.panel_width == self.panel_width && x.panels == self.input.panels(self.panel_width),
            "the input of a packed product"
        );
        x.check();
        let of_step = panels.len().checked_mul(x.rows).and_then(|rows| rows.checked_mul(self.panel_width));
        let last = x.steps.saturating_sub(1).checked_mul(step_stride);
        let end = last.zip(of_step).and_then(|(last, of_step)| last.checked_add(of_step));
        assert!(
            of_step == Some(0) || x.steps == 0 || end.is_some_and(|end| end <= y.len()),
            "the output of a packed product"
        );
        start.check(x.steps * x.rows, self.panels(), self.panel_width);
        if x.panels == 0 || self.int8.is_some() {
            start.write(panels.clone(), y, step_stride, (x.steps, x.rows, self.panel_width));
        }
        if let Some(int8) = &self.int8 {
            return int8.multiply(panels, panel_len, y, step_stride, x);
        }
        let weights = &self.values[panels.start * panel_len..panels.end * panel_len];
        R::packed(self.isa, Product { y, step_stride, x, weights, first: panels.start, panel_len, start });
    }
}

/// A square of a panel: the columns `columns` of the rows `rows`.
fn pack_square<R: Real>(
    square: &mut [R],
    panel_width: usize,
    weights: Mat<'_, R>,
    rows: Range<usize>,
    columns: Range<usize>,
) {
    if weights.col_stride() == 1 {
        for (to, row) in square.chunks_exact_mut(panel_width).zip(rows) {
            to[..columns.len()].copy_from_slice(&weights.row(row)[columns.clone()]);
        }
    } else {
        let weights = weights.t();
        for (place, column) in columns.enumerate() {
            let from = &weights.row(column)[rows.clone()];
            for (to, value) in square[place..].iter_mut().step_by(panel_width).zip(from) {
                *to = *value;
            }
        }
    }
}

/// A product whose dimensions were checked.
pub struct Product<'a, R> {
    y: &'a mut [R],
    step_stride: usize,
    x: PanelView<'a, R>,
    weights: &'a [R],
    /// The first panel.
    first: usize,
    panel_len: usize,
    start: AccumulatorInit<'a, R>,
}

impl<R: Real> Work<R> for Product<'_, R> {
    /// Every panel, every tile of rows.
    #[inline(always)]
    unsafe fn run<L: Lanes<R>, const V: usize>(self) {
        let Product { y, step_stride, x, weights, mut first, panel_len, start } = self;
        assert!(x.panel_width == L::COLUMNS, "panels of another instruction set");
        assert!(panel_len == x.panels * L::COLUMNS * L::COLUMNS, "panels of another input");
        if x.rows * x.steps * weights.len() == 0 {
            return;
        }
        let few = x.rows <= const { most_rows::<R, L>(SIDE_BY_SIDE) };
        let (mut y, mut weights) = (y, weights);
        while !weights.is_empty() {
            let panels = if few && weights.len() >= SIDE_BY_SIDE * panel_len { SIDE_BY_SIDE } else { 1 };
            let (these, others) = weights.split_at(panels * panel_len);
            let product = Panels { y: y.as_mut_ptr(), step_stride, x, weights: these, first, panel_len, start };
            // SAFETY: `PackedMatrix::multiply` checked that `x` and `y` hold all rows of all steps, of these panels too, and `start` what
            // each begins with.
            unsafe {
                match panels {
                    1 => product.run::<L, V, 1>(),
                    _ => product.run::<L, V, SIDE_BY_SIDE>(),
                }
            }
            weights = others;
            first += panels;
            y = &mut y[panels * x.rows * L::COLUMNS..];
        }
    }
}

/// A product with the panels of a tile.
struct Panels<'a, R> {
    y: *mut R,
    step_stride: usize,
    x: PanelView<'a, R>,
    weights: &'a [R],
    first: usize,
    panel_len: usize,
    start: AccumulatorInit<'a, R>,
}

impl<R: Real> Panels<'_, R> {
    /// Every tile of rows of all steps.
    ///
    /// # Safety
    /// `x`, `y` and `start` must hold all rows of all steps, `weights` `P` panels; `L` as in [`Lanes`].
    #[inline(always)]
    unsafe fn run<L: Lanes<R>, const V: usize, const P: usize>(&self) {
        let x = &self.x;
        // Tiles as even as can be: 16 rows are 8 + 8, not 14 + 2.
        let tiles = x.rows.div_ceil(const { most_rows::<R, L>(P) });
        let at_once = DEPTH / L::COLUMNS;
        for first in (0..x.panels).step_by(at_once) {
            let depth = at_once.min(x.panels - first);
            for t in 0..x.steps {
                let runs = self.runs::<L>(t, first..first + depth);
                for tile in 0..tiles {
                    let (r0, r1) = (tile * x.rows / tiles, (tile + 1) * x.rows / tiles);
                    let a_offset = r0 * L::COLUMNS;
                    let at = Tile {
                        c: self.y.wrapping_add(t * self.step_stride + a_offset),
                        c_row: L::COLUMNS,
                        c_panel: x.rows * L::COLUMNS,
                        b_panel: self.panel_len,
                        a_offset,
                        from: if first == 0 { self.start.of_tile(self.first, t * x.rows + r0) } else { Begin::Output },
                    };
                    // SAFETY: the caller's promise, for rows `r0..r1`; `panel_len` is `x.panels * COLUMNS` rows.
                    unsafe {
                        if t == 0 && tile == 0 {
                            at.run::<L, ByRow, V, P, true>(r1 - r0, runs.clone());
                        } else {
                            at.run::<L, ByRow, V, P, false>(r1 - r0, runs.clone());
                        }
                    }
                }
            }
        }
    }

    /// The runs of a step: some panels of the input, one after another.
    #[inline(always)]
    fn runs<L: Lanes<R>>(&self, t: usize, panels: Range<usize>) -> impl Iterator<Item = Run<R>> + Clone {
        let (x, b) = (self.x, self.weights.as_ptr());
        let a = x.data.as_ptr().wrapping_add(t * x.step_stride);
        panels.map(move |panel| Run {
            a: a.wrapping_add(x.panel_at(panel)),
            b: b.wrapping_add(panel * L::COLUMNS * L::COLUMNS),
            n: L::COLUMNS,
        })
    }
}

#[cfg(test)]
mod edges;

#[cfg(test)]
mod tests {
    use super::super::blocked::PanelBuffer;
    use super::*;
    use crate::kernels::testing::{blocked, numbers, plain};
    use proptest::prelude::*;

    /// All of `x w` by one call.
    fn product(isa: Isa, rows: usize, x: &[f32], weights: Mat<'_, f32>) -> Vec<f32> {
        let (input, output) = (RowLayout::single(weights.rows()), RowLayout::single(weights.cols()));
        let mut packed = PackedMatrix::for_isa(isa, input, output);
        packed.pack(weights);
        let (x, mut y) = (blocked(isa, input, 1, rows, x), PanelBuffer::for_isa(isa, output, 1, rows));
        packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), AccumulatorInit::Zero);
        plain(&y, 1, rows)
    }

    proptest! {
        #[test]
        fn the_bits_of_a_row_do_not_depend_on_the_rows_beside_it(rows in 1usize..30, k in 1usize..300, n in 1usize..140) {
            let (x, w) = (numbers(rows * k, 0.4), numbers(k * n, 0.5));
            let w = Mat::new(&w, k, n);
            for isa in Isa::available() {
                let together = product(isa, rows, &x, w);
                for r in 0..rows {
                    let alone = product(isa, 1, &x[r * k..][..k], w);
                    prop_assert_eq!(&alone[..], &together[r * n..][..n], "{:?}, row {} of {}", isa, r, rows);
                }
            }
        }
    }

    #[test]
    fn panels_can_be_computed_one_by_one() {
        let (input, output) = (RowLayout::single(40), RowLayout { parts: 3, width: 50 });
        let (x, w) = (numbers(7 * 40, 0.1), numbers(40 * 150, 0.2));
        let x = blocked(isa(), input, 1, 7, &x);
        let mut packed = PackedMatrix::new(input, output);
        packed.pack(Mat::new(&w, 40, 150));
        let (mut whole, mut pieces) = (PanelBuffer::<f32>::new(output, 1, 7), PanelBuffer::<f32>::new(output, 1, 7));
        packed.multiply(0..packed.panels(), whole.step_mut(0), 0, x.all(0..1), AccumulatorInit::Zero);
        let len = pieces.shape().panel_len();
        for (panel, y) in pieces.step_mut(0).chunks_exact_mut(len).enumerate() {
            packed.multiply(panel..panel + 1, y, 0, x.all(0..1), AccumulatorInit::Zero);
        }
        assert_eq!(whole.step(0), pieces.step(0));
    }

    #[test]
    #[should_panic(expected = "the output of a packed product")]
    fn steps_beyond_all_memory_are_refused() {
        let packed = PackedMatrix::<f32>::new(RowLayout::single(8), RowLayout::single(8));
        let (x, mut y) = (PanelBuffer::new(RowLayout::single(8), 4, 1), vec![0.0; 1000]);
        packed.multiply(0..packed.panels(), &mut y, usize::MAX / 3 + 1, x.all(0..4), AccumulatorInit::Zero);
    }

    #[test]
    #[should_panic(expected = "packed weights of")]
    fn a_size_beyond_all_numbers_is_refused() {
        let wide = RowLayout { parts: 1 << 16, width: 1 << 16 };
        PackedMatrix::<f32>::new(wide, wide);
    }

    #[test]
    #[should_panic(expected = "the output of a packed product")]
    fn an_output_that_is_too_short_is_refused() {
        let packed = PackedMatrix::<f32>::new(RowLayout::single(8), RowLayout::single(8));
        let x = PanelBuffer::new(RowLayout::single(8), 1, 2);
        packed.multiply(0..packed.panels(), &mut [0.0; 3], 0, x.all(0..1), AccumulatorInit::Zero);
    }
}
