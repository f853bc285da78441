//! Inverted dropout (Srivastava et al. 2014) between layers, not between time steps (Zaremba et al. 2014).
//!
//! A mask is a function of seed, step, layer and stream: it is the same in a resumed run and at any number of threads. It is stored as
//! one bit per unit until the backward pass.

use std::ops::Range;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use crate::kernels::{PanelBuffer, PanelView, Real, RowLayout};
use crate::simd::{MAX_PANEL_WIDTH, Simd, SimdKernel, dispatch};

/// Units per random number, 16 bits each.
const UNITS_PER_WORD: usize = 4;

/// Dropout of one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The fraction of units that are dropped, in `0..1`, rounded to a multiple of 1/65,536.
    pub rate: f64,
    /// The run's seed.
    pub seed: u64,
    /// The training step.
    pub step: u64,
}

impl Dropout {
    fn scale<R: Real>(&self) -> R {
        R::from_f64(1.0 / (1.0 - self.rate))
    }

    fn generator(&self, layer: usize, stream: usize) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(mix([self.seed, self.step, layer as u64, stream as u64]))
    }
}

/// The outputs of a layer after dropout, `(T, B, H)`, and the masks.
#[derive(Debug)]
pub struct DropoutLayer<R> {
    values: PanelBuffer<R>,
    /// A word for each row of each panel, in the order of `values`: bit `j` is set if element `j` is kept.
    mask: Vec<u32>,
    generators: Vec<Xoshiro256PlusPlus>,
}

impl<R: Real> DropoutLayer<R> {
    /// For `steps` steps of `streams` streams.
    pub fn new(hidden: usize, steps: usize, streams: usize) -> Self {
        let values = PanelBuffer::<R>::new(RowLayout::single(hidden), steps, streams);
        let shape = values.shape();
        assert!(shape.panel_width <= MAX_PANEL_WIDTH, "a row of a panel has more elements than a mask has bits");
        DropoutLayer {
            mask: vec![0; steps * shape.blocks() * streams],
            values,
            generators: Vec::with_capacity(streams),
        }
    }

    /// Starts a window for the streams with indices from `first`.
    pub fn begin(&mut self, dropout: Dropout, layer: usize, first: usize) {
        let streams = first..first + self.values.shape().streams;
        self.generators.clear();
        self.generators.extend(streams.map(|stream| dropout.generator(layer, stream)));
    }

    /// Applies dropout to the outputs of the next steps, `(T, B, H)`. Successive calls must cover consecutive time steps.
    pub fn forward(&mut self, dropout: Dropout, steps: Range<usize>, outputs: PanelView<'_, R>) {
        let shape = self.values.shape();
        let threshold = (dropout.rate * 65536.0).round() as u32;
        for t in steps.clone() {
            let masks = &mut self.mask[t * shape.blocks() * shape.streams..][..shape.blocks() * shape.streams];
            for (stream, generator) in self.generators.iter_mut().enumerate() {
                for (block, mask) in masks.chunks_exact_mut(shape.streams).enumerate() {
                    let units = shape.row_layout.panel_columns(shape.panel_width, block).len();
                    mask[stream] = draw(generator, units, threshold);
                }
            }
            for (block, values) in self.values.step_mut(t).chunks_exact_mut(shape.panel_len()).enumerate() {
                values.copy_from_slice(outputs.panel(t - steps.start, block));
            }
            dispatch(Apply {
                values: self.values.step_mut(t),
                masks,
                panel_width: shape.panel_width,
                scale: dropout.scale(),
            });
        }
    }

    /// Applies the masks of some steps to the gradients of the outputs, `(T, B, H)`.
    pub fn backward(&self, dropout: Dropout, steps: Range<usize>, d: &mut [R]) {
        let shape = self.values.shape();
        let per_step = shape.blocks() * shape.streams;
        let masks = &self.mask[steps.start * per_step..steps.end * per_step];
        dispatch(Apply { values: d, masks, panel_width: shape.panel_width, scale: dropout.scale() });
    }

    /// The outputs of some steps after dropout, `(T, B, H)`.
    pub fn outputs(&self, steps: Range<usize>) -> PanelView<'_, R> {
        self.values.all(steps)
    }
}

/// The next mask.
fn draw(generator: &mut Xoshiro256PlusPlus, units: usize, threshold: u32) -> u32 {
    let mut words = [0; MAX_PANEL_WIDTH / UNITS_PER_WORD];
    words[..units.div_ceil(UNITS_PER_WORD)].fill_with(|| generator.next_u64().to_le());
    dispatch(Compare { words, threshold })
}

/// A bit for each 16-bit number of some words, set if it is at least the threshold.
struct Compare {
    words: [u64; MAX_PANEL_WIDTH / UNITS_PER_WORD],
    threshold: u32,
}

impl SimdKernel for Compare {
    type Output = u32;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> u32 {
        let numbers: [u16; MAX_PANEL_WIDTH] = bytemuck::cast(self.words);
        let mut mask = 0;
        for (i, number) in numbers.into_iter().enumerate() {
            mask |= u32::from(u32::from(u16::from_le(number)) >= self.threshold) << i;
        }
        mask
    }
}

struct Apply<'a, R> {
    values: &'a mut [R],
    masks: &'a [u32],
    panel_width: usize,
    scale: R,
}

impl<R: Real> SimdKernel for Apply<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (row, &mask) in self.values.chunks_exact_mut(self.panel_width).zip(self.masks) {
            for (lane, x) in row.iter_mut().enumerate() {
                *x *= if (mask >> lane) & 1 == 1 { self.scale } else { R::ZERO };
            }
        }
    }
}

/// A hash of several numbers, computed with the finalizer of SplitMix64 (Steele et al. 2014).
fn mix(parts: [u64; 4]) -> u64 {
    parts.into_iter().fold(0, |state: u64, part| {
        let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: usize = 70;
    const STEPS: usize = 50;

    /// Activations and gradients of 1 after dropout, `(T, B, H)`.
    fn masks(dropout: Dropout, layer: usize, first: usize, streams: usize) -> (Vec<f32>, Vec<f32>) {
        let row_layout = RowLayout::single(HIDDEN);
        let mut ones = PanelBuffer::<f32>::new(row_layout, STEPS, streams);
        for (t, stream) in (0..STEPS).flat_map(|t| (0..streams).map(move |stream| (t, stream))) {
            ones.write(t, stream, &[1.0; HIDDEN]);
        }
        let mut dropped = DropoutLayer::new(HIDDEN, STEPS, streams);
        dropped.begin(dropout, layer, first);
        for steps in [0..7, 7..STEPS] {
            dropped.forward(dropout, steps.clone(), ones.all(steps));
        }
        dropped.backward(dropout, 0..STEPS, ones.steps_mut(0..STEPS));
        (rows(&dropped.values), rows(&ones))
    }

    fn rows(values: &PanelBuffer<f32>) -> Vec<f32> {
        let streams = values.shape().streams;
        let mut rows = vec![0.0; STEPS * streams * HIDDEN];
        let places = rows.chunks_exact_mut(HIDDEN).enumerate();
        places.for_each(|(i, row)| values.read(i / streams, i % streams, row));
        rows
    }

    #[test]
    fn drops_the_given_fraction_and_scales_gradients_alike() {
        let (values, gradients) = masks(Dropout { rate: 0.25, seed: 1, step: 2 }, 0, 0, 2);
        let dropped = values.iter().filter(|x| **x == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.25).abs() < 0.02, "{dropped}");
        assert!(values.iter().all(|x| *x == 0.0 || (*x - 1.0 / 0.75).abs() < 1e-6));
        assert_eq!(values, gradients);
    }

    #[test]
    fn masks_are_a_function_of_seed_step_layer_and_stream() {
        let base = Dropout { rate: 0.5, seed: 1, step: 2 };
        assert_eq!(masks(base, 0, 0, 1), masks(base, 0, 0, 1));
        for other in [
            masks(Dropout { seed: 2, ..base }, 0, 0, 1),
            masks(Dropout { step: 3, ..base }, 0, 0, 1),
            masks(base, 1, 0, 1),
            masks(base, 0, 1, 1),
        ] {
            assert_ne!(masks(base, 0, 0, 1), other);
        }
    }

    #[test]
    fn masks_of_a_stream_do_not_depend_on_the_shard() {
        let dropout = Dropout { rate: 0.5, seed: 1, step: 2 };
        let (pair, (alone, _)) = (masks(dropout, 0, 6, 2).0, masks(dropout, 0, 7, 1));
        for t in 0..STEPS {
            assert_eq!(pair[(t * 2 + 1) * HIDDEN..][..HIDDEN], alone[t * HIDDEN..][..HIDDEN]);
        }
    }
}
