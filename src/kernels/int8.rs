//! Weights in eight bits, for generation: a quarter of the memory, and so up to four times the speed where reading them is
//! what takes the time.
//!
//! A column of weights `w` is kept as `q = round(w / s)` in -127..127 with `s = max |w| / 127` of that column; a row of
//! activations is taken to `p = round(x / t)` in the same way when it is multiplied, since not every cell bounds its output.
//! A product is `s t sum(p q)`, the sum an exact integer: its bits depend neither on the instruction set nor on the order.

use std::cell::RefCell;
use std::ops::Range;

use super::aligned::Aligned;
use super::blocked::PanelView;
use super::isa::{Kernel, Mode, vectorize};
use super::real::Real;
use super::tile::WIDEST;

/// Factors that one instruction multiplies and adds up.
const FACTORS: usize = 4;
/// What activations are raised by: the instruction takes one side without a sign.
const RAISE: i32 = 128;
/// The largest number that weights and activations are taken to.
const LARGEST: f32 = 127.0;

/// How exactly weights are kept while nothing is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As they were learned.
    #[default]
    F32,
    /// In eight bits, with a scale for each column.
    Int8,
}

/// Panels of weights in eight bits.
#[derive(Debug)]
pub(super) struct Int8 {
    /// For every panel, for every [`FACTORS`] rows, for every column: their weights.
    values: Aligned<i8>,
    /// Of every column.
    scales: Vec<f32>,
    /// The sum of every column's weights, times [`RAISE`].
    raised: Vec<i32>,
    panel_width: usize,
    vnni: bool,
}

thread_local! {
    /// A row of activations in eight bits, as long as the longest so far.
    static ROW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Int8 {
    /// The same weights, from panels of `panel_width` columns and `panel_len` elements.
    pub fn of<R: Real>(panels: &[R], panel_len: usize, panel_width: usize) -> Self {
        assert!(
            panel_width <= WIDEST && panel_len.is_multiple_of(FACTORS * panel_width),
            "panels of {panel_len} elements"
        );
        let columns = panels.len() / panel_len.max(1) * panel_width;
        let mut int8 = Int8 {
            values: Aligned::zeros(panels.len()),
            scales: vec![0.0; columns],
            raised: vec![0; columns],
            panel_width,
            vnni: has_vnni(),
        };
        let of_panels = int8.scales.chunks_exact_mut(panel_width).zip(int8.raised.chunks_exact_mut(panel_width));
        let panels = panels.chunks_exact(panel_len.max(1)).zip(int8.values.chunks_exact_mut(panel_len.max(1)));
        for ((from, to), (scales, raised)) in panels.zip(of_panels) {
            let weight = |row: usize, lane: usize| from[row * panel_width + lane].to_f64() as f32;
            for lane in 0..panel_width {
                let rows = panel_len / panel_width;
                let largest = (0..rows).map(|row| weight(row, lane).abs()).fold(0.0, f32::max);
                scales[lane] = largest / LARGEST;
                let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
                for row in 0..rows {
                    let q = (weight(row, lane) * inverse).round() as i8;
                    to[(row / FACTORS * panel_width + lane) * FACTORS + row % FACTORS] = q;
                    raised[lane] += RAISE * i32::from(q);
                }
            }
        }
        int8
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }

    /// `y += x w`, as [`PackedMatrix::multiply`](super::Packed::multiply), which has checked the dimensions.
    pub fn multiply<R: Real>(
        &self,
        panels: Range<usize>,
        panel_len: usize,
        y: &mut [R],
        step_stride: usize,
        x: PanelView<'_, R>,
    ) {
        let y_panel = x.rows * self.panel_width;
        ROW.with_borrow_mut(|row| {
            for (t, stream) in (0..x.steps).flat_map(|t| (0..x.rows).map(move |stream| (t, stream))) {
                let scale = quantize(row, &x, t, stream);
                for (i, panel) in panels.clone().enumerate() {
                    let mut sums = [0; WIDEST];
                    self.sums(&mut sums, row, &self.values[panel * panel_len..][..panel_len]);
                    let columns = panel * self.panel_width..(panel + 1) * self.panel_width;
                    let of_columns = self.scales[columns.clone()].iter().zip(&self.raised[columns]).zip(&sums);
                    let y = &mut y[t * step_stride + i * y_panel + stream * self.panel_width..][..self.panel_width];
                    for (y, ((of_column, raised), sum)) in y.iter_mut().zip(of_columns) {
                        *y += R::from_f64(f64::from(scale * of_column * (sum - raised) as f32));
                    }
                }
            }
        });
    }

    /// The sums of a row times every column of a panel.
    fn sums(&self, sums: &mut [i32; WIDEST], row: &[u8], panel: &[i8]) {
        assert_eq!(
            panel.len(),
            row.len() * self.panel_width,
            "a panel has a weight for each element of the row and each column"
        );
        #[cfg(target_arch = "x86_64")]
        if self.vnni && self.panel_width == WIDEST {
            // SAFETY: `vnni` says that the machine has the instructions; the lengths were compared above, and `row` has whole
            // groups of `FACTORS`, since a panel of activations has.
            unsafe { vnni(sums, row, panel) };
            return;
        }
        vectorize(Sums { sums, row, panel, panel_width: self.panel_width });
    }
}

/// Takes a row of activations to eight bits, raised; returns its scale.
fn quantize<R: Real>(row: &mut Vec<u8>, x: &PanelView<'_, R>, t: usize, stream: usize) -> f32 {
    let part = |panel: usize| &x.panel(t, panel)[stream * x.panel_width..][..x.panel_width];
    let largest = (0..x.panels).flat_map(part).fold(0.0, |largest: f32, x| largest.max(x.to_f64().abs() as f32));
    let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
    row.clear();
    for panel in 0..x.panels {
        row.extend(part(panel).iter().map(|x| {
            // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
            const ROUND: f32 = 12_582_912.0;
            ((x.to_f64() as f32 * inverse + ROUND) - ROUND + RAISE as f32) as u8
        }));
    }
    largest / LARGEST
}

/// [`Int8::sums`] on any instruction set.
struct Sums<'a> {
    sums: &'a mut [i32; WIDEST],
    row: &'a [u8],
    panel: &'a [i8],
    panel_width: usize,
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Mode>(self) {
        let groups = self.row.chunks_exact(FACTORS).zip(self.panel.chunks_exact(FACTORS * self.panel_width));
        for (factors, weights) in groups {
            for (sum, weights) in self.sums.iter_mut().zip(weights.chunks_exact(FACTORS)) {
                for (x, w) in factors.iter().zip(weights) {
                    *sum += i32::from(*x) * i32::from(*w);
                }
            }
        }
    }
}

fn has_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        super::isa::isa() == super::isa::Isa::Avx512 && is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// [`Int8::sums`] by the dot products of AVX-512 VNNI, for panels of [`WIDEST`] columns.
///
/// # Safety
/// The machine must have AVX-512 F and VNNI; `row` must be a multiple of [`FACTORS`] long, and `panel` as long as `row` for each of
/// its columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn vnni(sums: &mut [i32; WIDEST], row: &[u8], panel: &[i8]) {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_setzero_si512, _mm512_storeu_si512,
    };
    /// Sums of the same columns side by side, to hide the latency of one.
    const CHAINS: usize = 4;
    /// How far ahead weights are fetched, in bytes.
    const AHEAD: usize = 2048;
    let mut chains = [[_mm512_setzero_si512(); 2]; CHAINS];
    let groups = row.len() / FACTORS;
    for first in (0..groups).step_by(CHAINS) {
        for (i, chain) in chains.iter_mut().enumerate().take(groups - first) {
            let group = first + i;
            // SAFETY: `group` is below the number of groups, each of which has `FACTORS` bytes of `row` and two registers of
            // `panel`; fetching takes any pointer.
            unsafe {
                let factors = row.as_ptr().add(group * FACTORS).cast::<i32>().read_unaligned();
                let factors = _mm512_set1_epi32(factors);
                let weights = panel.as_ptr().add(group * FACTORS * WIDEST);
                for (half, sum) in chain.iter_mut().enumerate() {
                    let at = weights.add(half * 64);
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD));
                    *sum = _mm512_dpbusd_epi32(*sum, factors, _mm512_loadu_si512(at.cast()));
                }
            }
        }
    }
    for half in 0..2 {
        let mut sum = _mm512_setzero_si512();
        for chain in &chains {
            sum = _mm512_add_epi32(sum, chain[half]);
        }
        // SAFETY: `sums` has room for two registers of sixteen.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().add(half * 16).cast(), sum) };
    }
}

#[cfg(test)]
mod edges;

#[cfg(test)]
mod tests {
    use super::super::blocked::{PanelBuffer, RowLayout};
    use super::super::testing::numbers;
    use super::super::view::Mat;
    use super::super::{AccumulatorInit, PackedMatrix};
    use super::*;

    /// `x w` for two steps of three rows, at a precision.
    fn product(precision: Precision, k: usize, n: usize, x: &[f32], w: &[f32]) -> Vec<f32> {
        let mut packed = PackedMatrix::new(RowLayout::single(k), RowLayout::single(n));
        packed.pack(Mat::new(w, k, n));
        packed.convert(precision);
        let (mut rows, mut y) =
            (PanelBuffer::new(RowLayout::single(k), 2, 3), PanelBuffer::new(RowLayout::single(n), 2, 3));
        x.chunks_exact(k).enumerate().for_each(|(i, row)| rows.write(i / 3, i % 3, row));
        let stride = y.shape().step_len();
        packed.multiply(0..packed.panels(), y.steps_mut(0..2), stride, rows.all(0..2), AccumulatorInit::Zero);
        let mut got = vec![0.0; 6 * n];
        got.chunks_exact_mut(n).enumerate().for_each(|(i, row)| y.read(i / 3, i % 3, row));
        got
    }

    #[test]
    fn a_product_is_as_exact_as_eight_bits_allow() {
        for (k, n) in [(1, 1), (5, 40), (64, 64), (130, 70), (300, 33)] {
            let (x, w) = (numbers(6 * k, 0.1), numbers(k * n, 0.2));
            let (exact, got) = (product(Precision::F32, k, n, &x, &w), product(Precision::Int8, k, n, &x, &w));
            // Each factor is off by half a 127th of the largest at most, 1.5 here.
            let bound = k as f32 * 1.5 * 1.5 / 127.0;
            let off = exact.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= bound && (k == 1 || off > 0.0), "{k} x {n}: off by {off}");
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        assert_eq!(product(Precision::Int8, 40, 40, &[0.0; 240], &[0.0; 1600]), [0.0; 240]);
    }
}
