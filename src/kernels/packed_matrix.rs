//! Weight matrices packed once per optimizer step and reused for every time step: `y = init + x w` on activations in
//! [panels](super::panel_buffer).
//!
//! A panel holds some columns of the matrix, as many as a panel of the output is wide; its rows are in the order of the input's panels,
//! so that a tile reads memory sequentially. Each element of a product is one chain of multiply-adds in that order: **each output row is
//! bitwise independent of the other rows in the batch.**

use std::ops::Range;

use super::accumulator_init::AccumulatorInit;
use super::aligned::AlignedBuffer;
use super::int8::{Int8Panels, Precision};
use super::matrix::Mat;
use super::micro_kernel::{RowMajor, Segment, Tile, TileInit, max_rows};
use super::panel_buffer::{PanelView, RowLayout};
use super::real::Real;
use crate::simd::{Isa, Simd, SimdKernel, SimdVec, dispatch_on};

/// Rows of the panels that are multiplied by all rows of activations before the next ones, so that the second and later tiles
/// read them from the L1 cache.
const DEPTH: usize = 128;
/// Panels per tile when there are few rows of activations: one panel would not give enough accumulators to hide the latency of an
/// addition.
const WIDE_PANELS: usize = 4;

/// A weight matrix in panels.
#[derive(Debug)]
pub struct PackedMatrix<R> {
    values: AlignedBuffer<R>,
    /// Replaces `values` once the matrix is quantized.
    int8: Option<Int8Panels>,
    input: RowLayout,
    output: RowLayout,
    isa: Isa,
    panel_width: usize,
}

impl<R: Real> PackedMatrix<R> {
    /// An `input x output` matrix of zeros for the active instruction set.
    pub fn new(input: RowLayout, output: RowLayout) -> Self {
        Self::for_isa(Isa::active(), input, output)
    }

    /// An `input x output` matrix of zeros for `isa`.
    ///
    /// # Panics
    /// If the size overflows.
    pub fn for_isa(isa: Isa, input: RowLayout, output: RowLayout) -> Self {
        let panel_width = R::panel_width(isa);
        let padded = |row: RowLayout| row.width.div_ceil(panel_width).checked_mul(row.parts)?.checked_mul(panel_width);
        let len = padded(input).zip(padded(output)).and_then(|(input, output)| input.checked_mul(output));
        assert!(len.is_some(), "packed weights of {input:?} x {output:?}");
        PackedMatrix { values: AlignedBuffer::zeros(len.unwrap_or(0)), int8: None, input, output, isa, panel_width }
    }

    /// Whether the matrix has no elements.
    pub fn is_empty(&self) -> bool {
        self.input.elements() * self.output.elements() == 0
    }

    /// Panels of its output.
    pub fn panels(&self) -> usize {
        self.output.panels(self.panel_width)
    }

    /// Elements of a panel: `panel_width` for each element of the input.
    fn panel_len(&self) -> usize {
        self.input.panels(self.panel_width) * self.panel_width * self.panel_width
    }

    /// Replaces the weights.
    ///
    /// # Panics
    /// If the matrix is quantized, or `weights` has another shape.
    pub fn pack(&mut self, weights: Mat<'_, R>) {
        assert!(self.int8.is_none(), "a quantized matrix cannot be packed again");
        let shape = (self.input.elements(), self.output.elements());
        assert_eq!((weights.rows(), weights.cols()), shape, "shape of packed weights");
        let (input, output, width, panel_len) = (self.input, self.output, self.panel_width, self.panel_len());
        // The rows of an input panel stay in the cache while they are distributed over all panels of the output.
        for input_panel in 0..input.panels(width) {
            for (panel, values) in self.values.chunks_exact_mut(panel_len).enumerate() {
                let square = &mut values[input_panel * width * width..][..width * width];
                let (rows, columns) = (input.panel_columns(width, input_panel), output.panel_columns(width, panel));
                pack_square(square, width, weights, rows, columns);
            }
        }
    }

    /// Quantizes the weights if `precision` is [`Precision::Int8`]; the matrix cannot be packed again afterwards.
    ///
    /// # Panics
    /// If a quantized matrix has more inputs than [`MAX_INT8_INPUTS`](super::MAX_INT8_INPUTS).
    pub fn convert(&mut self, precision: Precision) {
        if precision == Precision::Int8 && self.int8.is_none() && !self.is_empty() {
            self.int8 = Some(Int8Panels::quantize(&self.values, self.panel_len(), self.panel_width));
            self.values = AlignedBuffer::zeros(0);
        }
    }

    /// Size in bytes of the weights, which a product with one row reads once.
    pub fn bytes(&self) -> usize {
        self.int8.as_ref().map_or(size_of_val(&self.values[..]), Int8Panels::bytes)
    }

    /// The precision of the weights.
    pub fn precision(&self) -> Precision {
        if self.int8.is_some() { Precision::Int8 } else { Precision::F32 }
    }

    /// `y = init + x w` for some panels of the output.
    ///
    /// `y` holds those panels of the steps of `x`: `(T, panel, B, lane)`, where steps are `step_stride` elements apart.
    ///
    /// # Panics
    /// If an operand has another shape, or is too short.
    pub fn multiply(
        &self,
        panels: Range<usize>,
        y: &mut [R],
        step_stride: usize,
        x: PanelView<'_, R>,
        init: AccumulatorInit<'_, R>,
    ) {
        Product::new(self, panels, y, step_stride, x, init).compute();
    }
}

/// Packs the columns `columns` of the rows `rows` into a square of a panel.
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

/// A product whose operands [`Product::new`] has checked. The unsafe code below relies on that.
struct Product<'a, R> {
    matrix: &'a PackedMatrix<R>,
    panels: Range<usize>,
    y: &'a mut [R],
    step_stride: usize,
    x: PanelView<'a, R>,
    init: AccumulatorInit<'a, R>,
}

impl<'a, R: Real> Product<'a, R> {
    /// Panics unless `x`, `y` and `init` hold all rows of all steps, in panels of the matrix.
    fn new(
        matrix: &'a PackedMatrix<R>,
        panels: Range<usize>,
        y: &'a mut [R],
        step_stride: usize,
        x: PanelView<'a, R>,
        init: AccumulatorInit<'a, R>,
    ) -> Self {
        let panel_width = matrix.panel_width;
        assert!(panels.end <= matrix.panels(), "panels {panels:?} of {}", matrix.panels());
        let x_fits = x.panel_width == panel_width && x.panels == matrix.input.panels(panel_width);
        assert!(x_fits, "the input of a packed product");
        x.check();
        let step_len = panels.len().checked_mul(x.rows).and_then(|rows| rows.checked_mul(panel_width));
        let last_step = x.steps.saturating_sub(1).checked_mul(step_stride);
        let end = last_step.zip(step_len).and_then(|(last_step, step_len)| last_step.checked_add(step_len));
        let is_empty = x.steps == 0 || step_len == Some(0);
        assert!(is_empty || end.is_some_and(|end| end <= y.len()), "the output of a packed product");
        init.check(x.steps * x.rows, matrix.panels(), panel_width);
        Product { matrix, panels, y, step_stride, x, init }
    }

    fn compute(self) {
        let Product { matrix, x, step_stride, .. } = self;
        if x.panels == 0 || matrix.int8.is_some() {
            self.init.write(self.panels.clone(), self.y, step_stride, (x.steps, x.rows, matrix.panel_width));
        }
        match &matrix.int8 {
            Some(int8) => int8.multiply_add(self.panels, self.y, step_stride, x),
            None => dispatch_on(matrix.isa, self),
        }
    }

    /// Multiplies all panels, several at a time if there are few rows.
    #[inline(always)]
    fn multiply_panels<V: SimdVec<R>>(self, simd: V) {
        let Product { matrix, panels, mut y, step_stride, x, init } = self;
        assert!(matrix.panel_width == V::PANEL_WIDTH, "panels of another instruction set");
        if x.rows == 0 || x.steps == 0 {
            return;
        }
        let panel_len = matrix.panel_len();
        let mut weights = &matrix.values[panels.start * panel_len..panels.end * panel_len];
        let mut first_panel = panels.start;
        let few_rows = x.rows <= const { max_rows::<R, V>(WIDE_PANELS) };
        while !weights.is_empty() {
            let panels = if few_rows && weights.len() >= WIDE_PANELS * panel_len { WIDE_PANELS } else { 1 };
            let (these, others) = weights.split_at(panels * panel_len);
            let strip = Strip { y: y.as_mut_ptr(), step_stride, x, weights: these, first_panel, panel_len, init };
            // SAFETY: `Product::new` checked that `x`, `y` and `init` hold all rows of all steps, of these panels too.
            unsafe {
                match panels {
                    1 => strip.multiply::<V, 1>(simd),
                    _ => strip.multiply::<V, WIDE_PANELS>(simd),
                }
            }
            weights = others;
            first_panel += panels;
            y = &mut y[panels * x.rows * V::PANEL_WIDTH..];
        }
    }
}

impl<R: Real> SimdKernel for Product<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.multiply_panels(R::vectors(simd));
    }
}

/// The part of a product that one or [`WIDE_PANELS`] panels of weights contribute.
struct Strip<'a, R> {
    y: *mut R,
    step_stride: usize,
    x: PanelView<'a, R>,
    weights: &'a [R],
    first_panel: usize,
    panel_len: usize,
    init: AccumulatorInit<'a, R>,
}

impl<R: Real> Strip<'_, R> {
    /// Computes every tile of rows of all time steps.
    ///
    /// # Safety
    /// `x`, `y` and `init` must hold all rows of all steps, and `weights` `P` panels.
    #[inline(always)]
    unsafe fn multiply<V: SimdVec<R>, const P: usize>(&self, simd: V) {
        let x = &self.x;
        // Tiles as even as possible: 16 rows are 8 + 8, not 14 + 2.
        let tiles = x.rows.div_ceil(const { max_rows::<R, V>(P) });
        let panels_at_once = DEPTH / V::PANEL_WIDTH;
        for first in (0..x.panels).step_by(panels_at_once) {
            let depth = panels_at_once.min(x.panels - first);
            for t in 0..x.steps {
                let segments = self.segments::<V>(t, first..first + depth);
                for i in 0..tiles {
                    let (r0, r1) = (i * x.rows / tiles, (i + 1) * x.rows / tiles);
                    let a_offset = r0 * V::PANEL_WIDTH;
                    let tile = Tile {
                        c: self.y.wrapping_add(t * self.step_stride + a_offset),
                        c_row_stride: V::PANEL_WIDTH,
                        c_panel_stride: x.rows * V::PANEL_WIDTH,
                        b_panel_stride: self.panel_len,
                        a_offset,
                        init: match first {
                            0 => self.init.for_tile(self.first_panel, t * x.rows + r0),
                            _ => TileInit::Output,
                        },
                    };
                    // SAFETY: the caller's guarantee, for rows `r0..r1`; `panel_len` is `x.panels * PANEL_WIDTH` rows.
                    unsafe {
                        if t == 0 && i == 0 {
                            tile.run::<V, RowMajor, P, true>(simd, r1 - r0, segments.clone());
                        } else {
                            tile.run::<V, RowMajor, P, false>(simd, r1 - r0, segments.clone());
                        }
                    }
                }
            }
        }
    }

    /// Some panels of the input at a step, each with the rows of the weights that it is multiplied by.
    #[inline(always)]
    fn segments<V: SimdVec<R>>(&self, t: usize, panels: Range<usize>) -> impl Iterator<Item = Segment<R>> + Clone {
        let (x, b) = (self.x, self.weights.as_ptr());
        let a = x.data.as_ptr().wrapping_add(t * x.step_stride);
        panels.map(move |panel| Segment {
            a: a.wrapping_add(x.panel_offset(panel)),
            b: b.wrapping_add(panel * V::PANEL_WIDTH * V::PANEL_WIDTH),
            len: V::PANEL_WIDTH,
        })
    }
}

#[cfg(test)]
mod guard_page_tests;

#[cfg(test)]
mod tests {
    use super::super::panel_buffer::PanelBuffer;
    use super::*;
    use crate::kernels::testing::{from_panels, numbers, to_panels};
    use proptest::prelude::*;

    /// All of `x w` in one call.
    fn product(isa: Isa, rows: usize, x: &[f32], weights: Mat<'_, f32>) -> Vec<f32> {
        let (input, output) = (RowLayout::single(weights.rows()), RowLayout::single(weights.cols()));
        let mut packed = PackedMatrix::for_isa(isa, input, output);
        packed.pack(weights);
        let (x, mut y) = (to_panels(isa, input, 1, rows, x), PanelBuffer::for_isa(isa, output, 1, rows));
        packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), AccumulatorInit::Zero);
        from_panels(&y)
    }

    proptest! {
        #[test]
        fn each_output_row_is_bitwise_independent_of_the_others(rows in 1usize..30, k in 1usize..300, n in 1usize..140) {
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
    fn panels_computed_one_by_one_equal_the_whole() {
        let (input, output) = (RowLayout::single(40), RowLayout { parts: 3, width: 50 });
        let (x, w) = (numbers(7 * 40, 0.1), numbers(40 * 150, 0.2));
        let x = to_panels(Isa::active(), input, 1, 7, &x);
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
    fn rejects_a_step_stride_that_overflows() {
        let packed = PackedMatrix::<f32>::new(RowLayout::single(8), RowLayout::single(8));
        let (x, mut y) = (PanelBuffer::new(RowLayout::single(8), 4, 1), vec![0.0; 1000]);
        packed.multiply(0..packed.panels(), &mut y, usize::MAX / 3 + 1, x.all(0..4), AccumulatorInit::Zero);
    }

    #[test]
    #[should_panic(expected = "packed weights of")]
    fn rejects_a_size_that_overflows() {
        let wide = RowLayout { parts: 1 << 16, width: 1 << 16 };
        PackedMatrix::<f32>::new(wide, wide);
    }

    #[test]
    #[should_panic(expected = "the output of a packed product")]
    fn rejects_an_output_that_is_too_short() {
        let packed = PackedMatrix::<f32>::new(RowLayout::single(8), RowLayout::single(8));
        let x = PanelBuffer::new(RowLayout::single(8), 1, 2);
        packed.multiply(0..packed.panels(), &mut [0.0; 3], 0, x.all(0..1), AccumulatorInit::Zero);
    }
}
