//! An estimate of the memory that training needs.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{ModelConfig, memory};
use crate::run::TrainConfig;

/// Rejects a run that needs more memory than is available.
///
/// # Errors
/// [`Error::OutOfMemory`] with the needed and the available bytes.
pub(super) fn check(shape: &ModelConfig, config: &TrainConfig, dataset: &Dataset) -> Result<()> {
    let has_resets = dataset.loss_mask().is_some() || dataset.config().records.is_some() || config.reset_prob > 0.0;
    memory::check_available("training this model", needed(shape, config, has_resets)?)
}

/// Bytes of weights, gradients, moments, packed weights and the activations of a window.
fn needed(shape: &ModelConfig, config: &TrainConfig, has_resets: bool) -> Result<u64> {
    let sizes = shape.sizes()?;
    let positions = (config.batch_size as u64).saturating_mul(config.seq_len as u64);
    let dropped = if config.dropout > 0.0 { 4 * (shape.num_layers * shape.hidden_size) as u64 } else { 0 };
    let before_reset = if has_resets { sizes.states } else { 0 };
    let window = positions.saturating_mul(sizes.position + dropped + before_reset);
    // The first layer's input product of each character, and its gradient.
    let table = 2 * positions.min(shape.vocab_size as u64) * sizes.table_row;
    let arenas = 2 + config.optimizer.moments() as u64;
    Ok((arenas * sizes.weights + 2 * sizes.packed + table).saturating_add(window))
}

/// Starts the threads of a run.
///
/// # Errors
/// [`Error::Usage`] if the system refuses to start them.
pub(super) fn thread_pool(threads: Option<usize>) -> Result<ThreadPool> {
    let threads = threads.unwrap_or_else(memory::default_threads);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::Usage(format!("cannot start {threads} threads: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peak memory of the whole program in MiB, measured with windows of 64 x 100 characters and without evaluations.
    #[test]
    fn the_estimate_is_close_to_measured_peaks() {
        for (cell, hidden, measured) in
            [("lstm", 512, 259.0), ("lstm", 1024, 700.0), ("gru", 512, 211.0), ("rnn", 512, 90.0)]
        {
            let shape = ModelConfig {
                cell: cell.into(),
                num_layers: 2,
                hidden_size: hidden,
                embed_size: hidden,
                vocab_size: 65,
            };
            let config = TrainConfig { batch_size: 64, seq_len: 100, dropout: 0.0, ..TrainConfig::default() };
            let ratio = needed(&shape, &config, false).unwrap() as f64 / f64::from(1 << 20) / measured;
            assert!((0.75..1.1).contains(&ratio), "{cell} of {hidden}: {ratio} of the measured peak");
        }
    }
}
