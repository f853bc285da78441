//! What a run needs of the machine's memory, estimated before any of it is allocated.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::config::TrainConfig;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{ModelConfig, memory};
use crate::score;

/// What else is to be known of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// Its weights are allocated.
    pub weights: bool,
    /// States are reset within windows.
    pub resets: bool,
    /// Characters that are held out, where there are any.
    pub held_out: Option<usize>,
}

impl Given {
    pub fn of(texts: &Dataset, weights: bool) -> Self {
        let held_out = texts.held_out().map(|(_, part)| part.len());
        Given { weights, resets: texts.loss_mask().is_some(), held_out }
    }
}

/// Bytes that training takes: weights, gradients and moments; packed weights; the activations of a window. While the held-out
/// text is scored, those of scoring, or a copy of the weights that is to be written.
///
/// # Errors
/// [`Error::Usage`] where a shape is out of range.
fn needed(shape: &ModelConfig, config: &TrainConfig, given: Given) -> Result<u64> {
    let sizes = shape.sizes()?;
    let positions = (config.batch as u64).saturating_mul(config.seq_len as u64);
    let initial_states = (config.batch as u64).saturating_mul(sizes.states);
    let dropped = if config.dropout > 0.0 { 4 * (shape.layers * shape.hidden) as u64 } else { 0 };
    let previous = if given.resets { sizes.states } else { 0 };
    let window = positions.saturating_mul(sizes.position + dropped + previous).saturating_add(initial_states);
    // The first layer's input product of each character, and its gradient.
    let table = 2 * positions.min(shape.vocab as u64) * sizes.table_row;
    let arenas = 2 + config.optimizer.moments() as u64 - u64::from(given.weights);
    let scoring = match given.held_out {
        Some(chars) if config.eval_every != Some(0) => {
            sizes.inference(shape.vocab, score::positions_at_once(chars)).max(sizes.weights)
        }
        _ => 0,
    };
    Ok((arenas * sizes.weights + 2 * sizes.packed + table).saturating_add(window).saturating_add(scoring))
}

/// The thread pool of a run, which is refused where the memory does not suffice.
///
/// # Errors
/// [`Error::OutOfMemory`] where more memory is needed than is available, [`Error::Usage`] where the threads cannot be started.
pub(super) fn threads(shape: &ModelConfig, config: &TrainConfig, given: Given) -> Result<ThreadPool> {
    memory::check_available("training this model", needed(shape, config, given)?)?;
    let threads = config.threads.unwrap_or_else(memory::default_threads);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::Usage(format!("cannot start {threads} threads: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the whole program was measured to take, in MiB, for windows of 64 x 100 characters without evaluations.
    #[test]
    fn the_estimate_is_near_what_was_measured() {
        for (cell, hidden, measured) in
            [("lstm", 512, 259.0), ("lstm", 1024, 700.0), ("gru", 512, 211.0), ("rnn", 512, 90.0)]
        {
            let shape = ModelConfig { cell: cell.into(), layers: 2, hidden, embed: hidden, vocab: 65 };
            let config = TrainConfig { batch: 64, seq_len: 100, dropout: 0.0, ..TrainConfig::default() };
            let ratio = needed(&shape, &config, Given::default()).unwrap() as f64 / f64::from(1 << 20) / measured;
            assert!((0.75..1.1).contains(&ratio), "{cell} of {hidden}: {ratio} of what was measured");
        }
    }

    #[test]
    fn rejects_a_run_that_no_machine_has_the_memory_for() {
        let shape = ModelConfig { hidden: 1 << 14, embed: 1 << 14, vocab: 65, ..ModelConfig::default() };
        let config = TrainConfig { batch: 1 << 20, threads: Some(1), ..TrainConfig::default() };
        match threads(&shape, &config, Given::default()) {
            Ok(_) => eprintln!("SKIPPED: this system does not report how much memory is available"),
            Err(e) => assert!(matches!(e, Error::OutOfMemory { .. }), "{e}"),
        }
    }
}
