//! What a run needs of the machine's memory, reckoned before any of it is taken.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::config::TrainConfig;
use crate::data::Dataset;
use crate::error::Result;
use crate::model::{ModelConfig, memory};
use crate::score;

/// What else is to be known of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    /// Its weights are made.
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

/// Bytes that training takes: weights, gradients and moments; packed weights; the activations of a window. And, while the
/// held-out text is scored, those of scoring, or a copy of the weights that is to be written.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) where a shape is out of range.
fn needed(shape: &ModelConfig, config: &TrainConfig, given: Given) -> Result<f64> {
    let sizes = shape.sizes()?;
    let positions = config.batch as f64 * config.seq_len as f64;
    // The states before the first step stand there too.
    let before = config.batch as f64 * sizes.states;
    let dropped = if config.dropout > 0.0 { 4.0 * (shape.layers * shape.hidden) as f64 } else { 0.0 };
    let previous = if given.resets { sizes.states } else { 0.0 };
    let window = positions * (sizes.position + dropped + previous) + before;
    // What the first layer makes of the characters, and its gradient.
    let table = 2.0 * positions.min(shape.vocab as f64) * sizes.character;
    let arenas = 2.0 + config.optimizer.moments() as f64 - f64::from(u8::from(given.weights));
    let scoring = match given.held_out {
        Some(chars) if config.eval_every != Some(0) => {
            sizes.running(shape.vocab, score::positions_at_once(chars)).max(sizes.weights)
        }
        _ => 0.0,
    };
    Ok(arenas * sizes.weights + 2.0 * sizes.packed + table + window + scoring)
}

/// Starts the threads of a run, and refuses one that the memory cannot hold; in this order, so that nothing need be guessed of what
/// threads take.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) with what it needs and what there is, or where the threads cannot be started.
pub(super) fn threads(shape: &ModelConfig, config: &TrainConfig, given: Given) -> Result<ThreadPool> {
    let needed = needed(shape, config, given)?;
    let threads = config.threads.unwrap_or_else(memory::default_threads);
    let pool = memory::start_threads(threads, ThreadPoolBuilder::build)?;
    pool.install(memory::begin_on_every_thread);
    let needed = needed + memory::THREAD * pool.current_num_threads() as f64;
    memory::must_be_free("training this", needed, "choose a smaller net, fewer streams or shorter windows")
        .map(|()| pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the whole program was measured to take, in MiB, for windows of 64 x 100 characters without evaluations.
    #[test]
    fn what_is_needed_is_near_what_was_measured() {
        for (cell, hidden, measured) in
            [("lstm", 512, 259.0), ("lstm", 1024, 700.0), ("gru", 512, 211.0), ("rnn", 512, 90.0)]
        {
            let shape = ModelConfig { cell: cell.into(), layers: 2, hidden, embed: hidden, vocab: 65 };
            let config = TrainConfig { batch: 64, seq_len: 100, dropout: 0.0, ..TrainConfig::default() };
            let ratio = needed(&shape, &config, Given::default()).unwrap() / f64::from(1 << 20) / measured;
            assert!((0.75..1.1).contains(&ratio), "{cell} of {hidden}: {ratio} of what was measured");
        }
    }

    #[test]
    fn a_run_that_no_machine_can_hold_is_refused_with_both_figures() {
        let shape = ModelConfig { hidden: 1 << 14, embed: 1 << 14, vocab: 65, ..ModelConfig::default() };
        let config = TrainConfig { batch: 1 << 20, threads: Some(1), ..TrainConfig::default() };
        match threads(&shape, &config, Given::default()) {
            Ok(_) => eprintln!("SKIPPED: this system does not say how much memory is free"),
            Err(e) => assert!(e.to_string().contains("MiB of memory, and"), "{e}"),
        }
    }
}
