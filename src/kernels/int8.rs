//! Weights quantized to 8 bits, for generation: a quarter of the memory traffic, which limits the speed of small batches.
//!
//! A column `w` of the weights is stored as `q = round(w / s)` in -127..=127 with `s = max |w| / 127`. A row of activations is quantized
//! to `p = round(x / t)` in the same way for each product, since not every cell bounds its output. The product is `s t sum(p q)`, of
//! which the sum is an exact integer: its bits depend neither on the instruction set nor on the order.

use std::cell::RefCell;
use std::ops::Range;

use super::aligned::AlignedBuffer;
use super::panel_buffer::PanelView;
use super::real::Real;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx512Vnni, Isa};
use crate::simd::{MAX_PANEL_WIDTH, Simd, SimdKernel, dispatch};

/// Number of rows whose weights are adjacent within a column. One VNNI instruction sums this many products.
const GROUP: usize = 4;
/// The offset that makes quantized activations unsigned, as VNNI requires.
const OFFSET: i32 = 128;
/// The largest quantized weight or activation.
const LARGEST: f32 = 127.0;

/// The maximum number of inputs of a quantized matrix: the sum of so many products of two numbers up to 127 fits in an `i32`. The offset of the
/// activations is added and subtracted with wrapping arithmetic, which is exact.
pub const MAX_INT8_INPUTS: usize = (i32::MAX / (127 * 127)) as usize;

/// The precision of the weights at inference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point, as trained.
    #[default]
    F32,
    /// 8-bit integers with a scale for each column.
    Int8,
}

#[derive(Debug)]
pub(super) struct Int8Panels {
    /// For each panel, for each [`GROUP`] of rows, for each column: the weights.
    values: AlignedBuffer<i8>,
    scales: Vec<f32>,
    /// For each column, [`OFFSET`] times the sum of its weights.
    offsets: Vec<i32>,
    panel_len: usize,
    panel_width: usize,
    #[cfg(target_arch = "x86_64")]
    vnni: Option<Avx512Vnni>,
}

thread_local! {
    /// The quantized row of activations.
    static ROW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Int8Panels {
    /// Quantizes panels of `panel_len` elements in rows of `panel_width`.
    ///
    /// # Panics
    /// If a panel has more than [`MAX_INT8_INPUTS`] rows.
    pub fn quantize<R: Real>(panels: &[R], panel_len: usize, panel_width: usize) -> Self {
        let rows = panel_len / panel_width;
        assert!(
            panel_width <= MAX_PANEL_WIDTH && panel_len.is_multiple_of(GROUP * panel_width),
            "panels of {rows} rows"
        );
        assert!(rows <= MAX_INT8_INPUTS, "{rows} inputs: at most {MAX_INT8_INPUTS} can be quantized to 8 bits");
        let columns = panels.len() / panel_len.max(1) * panel_width;
        let mut int8 = Int8Panels {
            values: AlignedBuffer::zeros(panels.len()),
            scales: vec![0.0; columns],
            offsets: vec![0; columns],
            panel_len,
            panel_width,
            #[cfg(target_arch = "x86_64")]
            vnni: Avx512Vnni::detect().filter(|_| Isa::active() == Isa::Avx512 && panel_width == MAX_PANEL_WIDTH),
        };
        let columns = int8.scales.chunks_exact_mut(panel_width).zip(int8.offsets.chunks_exact_mut(panel_width));
        let panels = panels.chunks_exact(panel_len.max(1)).zip(int8.values.chunks_exact_mut(panel_len.max(1)));
        for ((from, to), (scales, offsets)) in panels.zip(columns) {
            let weight = |row: usize, column: usize| from[row * panel_width + column].to_f64() as f32;
            for column in 0..panel_width {
                let largest = (0..rows).map(|row| weight(row, column).abs()).fold(0.0, f32::max);
                scales[column] = largest / LARGEST;
                let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
                for row in 0..rows {
                    let q = (weight(row, column) * inverse).round() as i8;
                    to[(row / GROUP * panel_width + column) * GROUP + row % GROUP] = q;
                    offsets[column] = offsets[column].wrapping_add(OFFSET * i32::from(q));
                }
            }
        }
        int8
    }

    /// Size in bytes of the weights.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }

    /// `y += x w`, laid out as for [`PackedMatrix::multiply`](super::PackedMatrix::multiply), which checks the operands.
    pub fn multiply_add<R: Real>(&self, panels: Range<usize>, y: &mut [R], step_stride: usize, x: PanelView<'_, R>) {
        let (width, y_panel) = (self.panel_width, x.rows * self.panel_width);
        ROW.with_borrow_mut(|row| {
            for (t, stream) in (0..x.steps).flat_map(|t| (0..x.rows).map(move |stream| (t, stream))) {
                let scale = quantize_row(row, &x, t, stream);
                for (i, panel) in panels.clone().enumerate() {
                    let mut sums = [0; MAX_PANEL_WIDTH];
                    self.dot_products(&mut sums, row, &self.values[panel * self.panel_len..][..self.panel_len]);
                    let columns = panel * width..(panel + 1) * width;
                    let columns = self.scales[columns.clone()].iter().zip(&self.offsets[columns]).zip(&sums);
                    let y = &mut y[t * step_stride + i * y_panel + stream * width..][..width];
                    for (y, ((column_scale, offset), sum)) in y.iter_mut().zip(columns) {
                        *y += R::from_f64(f64::from(scale * column_scale * sum.wrapping_sub(*offset) as f32));
                    }
                }
            }
        });
    }

    /// The dot products of an offset row with every column of a panel, modulo 2^32.
    fn dot_products(&self, sums: &mut [i32; MAX_PANEL_WIDTH], row: &[u8], panel: &[i8]) {
        assert_eq!(panel.len(), row.len() * self.panel_width, "a weight for each element of the row and each column");
        #[cfg(target_arch = "x86_64")]
        if let Some(vnni) = self.vnni {
            return vnni.dot_products(sums, row, panel);
        }
        dispatch(DotProducts { sums, row, panel, panel_width: self.panel_width });
    }
}

/// Quantizes a row of activations to unsigned 8-bit integers with [`OFFSET`]; returns its scale.
fn quantize_row<R: Real>(row: &mut Vec<u8>, x: &PanelView<'_, R>, t: usize, stream: usize) -> f32 {
    let in_panel = |panel: usize| &x.panel(t, panel)[stream * x.panel_width..][..x.panel_width];
    let largest = (0..x.panels).flat_map(in_panel).fold(0.0, |largest: f32, x| largest.max(x.to_f64().abs() as f32));
    let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
    row.clear();
    for panel in 0..x.panels {
        row.extend(in_panel(panel).iter().map(|x| {
            // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
            const ROUND: f32 = 12_582_912.0;
            ((x.to_f64() as f32 * inverse + ROUND) - ROUND + OFFSET as f32) as u8
        }));
    }
    largest / LARGEST
}

/// [`Int8Panels::dot_products`] on any instruction set.
struct DotProducts<'a> {
    sums: &'a mut [i32; MAX_PANEL_WIDTH],
    row: &'a [u8],
    panel: &'a [i8],
    panel_width: usize,
}

impl SimdKernel for DotProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let groups = self.row.chunks_exact(GROUP).zip(self.panel.chunks_exact(GROUP * self.panel_width));
        for (factors, weights) in groups {
            for (sum, weights) in self.sums.iter_mut().zip(weights.chunks_exact(GROUP)) {
                for (x, w) in factors.iter().zip(weights) {
                    *sum = sum.wrapping_add(i32::from(*x) * i32::from(*w));
                }
            }
        }
    }
}

#[cfg(test)]
mod guard_page_tests;

#[cfg(test)]
mod tests {
    use super::super::matrix::Mat;
    use super::super::panel_buffer::RowLayout;
    use super::super::testing::{from_panels, numbers, to_panels};
    use super::super::{AccumulatorInit, PackedMatrix, PanelBuffer};
    use super::*;
    use crate::simd::Isa;

    /// `x w` for `(2, 3, k)` activations.
    fn product(precision: Precision, k: usize, n: usize, x: &[f32], w: &[f32]) -> Vec<f32> {
        let mut packed = PackedMatrix::new(RowLayout::single(k), RowLayout::single(n));
        packed.pack(Mat::new(w, k, n));
        packed.convert(precision);
        let x = to_panels(Isa::active(), RowLayout::single(k), 2, 3, x);
        let mut y = PanelBuffer::new(RowLayout::single(n), 2, 3);
        let stride = y.shape().step_len();
        packed.multiply(0..packed.panels(), y.steps_mut(0..2), stride, x.all(0..2), AccumulatorInit::Zero);
        from_panels(&y)
    }

    #[test]
    fn quantization_error_is_within_half_a_step() {
        for (k, n) in [(1, 1), (5, 40), (64, 64), (130, 70), (300, 33)] {
            let (x, w) = (numbers(6 * k, 0.1), numbers(k * n, 0.2));
            let (exact, got) = (product(Precision::F32, k, n, &x, &w), product(Precision::Int8, k, n, &x, &w));
            // Each factor is off by at most half of 1/127 of the largest, which is 1.5.
            let bound = k as f32 * 1.5 * 1.5 / 127.0;
            let error = exact.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error <= bound && (k == 1 || error > 0.0), "{k} x {n}: off by {error}");
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        assert_eq!(product(Precision::Int8, 40, 40, &[0.0; 240], &[0.0; 1600]), [0.0; 240]);
    }

    #[test]
    fn sums_of_the_maximum_number_of_inputs_do_not_overflow() {
        let k = MAX_INT8_INPUTS / MAX_PANEL_WIDTH * MAX_PANEL_WIDTH;
        for sign in [1.0, -1.0] {
            let got = product(Precision::Int8, k, 1, &vec![1.0; 6 * k], &vec![sign; k]);
            assert!(got.iter().all(|y| (y - sign * k as f32).abs() < 1.0), "{got:?}");
        }
    }

    #[test]
    #[should_panic(expected = "inputs: at most 133144 can be quantized")]
    fn rejects_more_inputs_than_the_sums_can_hold() {
        let rows = MAX_INT8_INPUTS.next_multiple_of(MAX_PANEL_WIDTH);
        Int8Panels::quantize(&vec![0.0f32; 8 * rows], 8 * rows, 8);
    }
}
