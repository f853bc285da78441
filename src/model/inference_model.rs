//! A model whose weights are fixed and packed for inference.

use super::char_lm::CharLm;
use super::config::ModelConfig;
use super::packed_weights::PackedWeights;
use crate::cells::RegisteredCell;
use crate::kernels::{Precision, Real};

/// Minimum bytes of weights per layer (on average) that each thread reads per character; with less, synchronization costs more than
/// it saves.
const MIN_BYTES_PER_THREAD: usize = 192 << 10;

/// A model with its weights packed for inference, which any number of [sessions](super::InferenceSession) share.
#[derive(Debug)]
pub struct InferenceModel<'m, R = f32> {
    pub(super) char_lm: &'m CharLm<R>,
    pub(super) weights: PackedWeights<R>,
}

impl<'m, R: Real> InferenceModel<'m, R> {
    /// Packs the weights of a model. `precision` applies to the matrices of the recurrent layers; the first layer's input product
    /// and the output layer, which are small, keep full precision.
    pub fn new(char_lm: &'m CharLm<R>, precision: Precision) -> Self {
        let mut weights = PackedWeights::for_inference(char_lm);
        weights.layer_matrices_mut().for_each(|matrix| matrix.convert(precision));
        InferenceModel { char_lm, weights }
    }

    /// The shape of the model.
    pub fn config(&self) -> &'m ModelConfig {
        self.char_lm.config()
    }

    /// The model's cell.
    pub fn cell(&self) -> &'static RegisteredCell {
        self.char_lm.cell()
    }

    /// The number of tasks into which the units of a single stream are divided for `threads` threads. A single stream reads every
    /// weight for each character, and two cores read faster than one if the matrices are large.
    pub(super) fn tasks_per_stream(&self, threads: usize) -> usize {
        let bytes: usize = self.weights.layer_matrices().map(|matrix| matrix.bytes()).sum();
        (bytes / self.config().num_layers / MIN_BYTES_PER_THREAD).clamp(1, threads.max(1))
    }
}
