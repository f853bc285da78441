//! Where the windows of a run come from: running text or records.

use super::resets;
use crate::checkpoint::SectionValue;
use crate::data::{BatchLoader, ContextStart, Dataset, RecordLoader, RecordPosition, RecordSet};
use crate::error::{Error, Result};
use crate::model::Window;
use crate::run::{Progress, RECORDS, TrainConfig};

impl SectionValue for RecordPosition {
    const NAME: &'static str = RECORDS;
    const VERSION: u32 = 1;
}

#[derive(Debug)]
pub(super) enum Loader {
    Running(BatchLoader),
    Records(RecordLoader),
}

impl Loader {
    /// A loader at the position of `progress`; for records, at the start of its epoch.
    pub fn new(dataset: &Dataset, config: &TrainConfig, progress: &Progress) -> Result<Self> {
        let batch = config.batch_size;
        Ok(match dataset.training_records() {
            Some(set) => Loader::Records(RecordLoader::new(set, dataset.vocab(), batch, config.seed, progress.epoch)?),
            None => {
                let (range, position) = (dataset.training_range(), progress.position as usize);
                Loader::Running(BatchLoader::new(dataset.corpus(), range, batch, position))
            }
        })
    }

    /// Steps per epoch. With records, which are read without a pause, it is the number of windows that their predictions fill.
    pub fn steps_per_epoch(&self, dataset: &Dataset, config: &TrainConfig) -> u64 {
        match self {
            Loader::Running(loader) => loader.len().div_ceil(config.seq_len) as u64,
            Loader::Records(_) => {
                (dataset.training().chars() as u64).div_ceil((config.batch_size * config.seq_len) as u64)
            }
        }
    }

    /// Reads the next window, that of step `step`.
    pub fn read(&mut self, dataset: &Dataset, config: &TrainConfig, step: u64, window: &mut Window) -> Result<()> {
        let vocab = dataset.vocab();
        match self {
            Loader::Running(loader) => {
                let steps = loader.next_window_len(config.seq_len);
                window.clear(steps, config.batch_size);
                let (inputs, targets, weights) = (&mut window.inputs, &mut window.targets, &mut window.weights);
                loader.read(dataset.corpus(), vocab, steps, inputs, targets, weights)?;
                if let Some(mask) = dataset.loss_mask() {
                    window.resets.resize(steps * config.batch_size, false);
                    loader.apply_loss_mask(mask, steps, &mut window.weights, &mut window.resets);
                } else {
                    let line_end = vocab.context_start(ContextStart::Newline);
                    resets::draw(window, config.reset_prob, config.seed, step, line_end);
                }
            }
            Loader::Records(loader) => {
                window.clear(config.seq_len, config.batch_size);
                window.weights.fill(1.0);
                window.resets.resize(window.inputs.len(), false);
                let set = records(dataset)?;
                loader.read(set, vocab, &mut window.inputs, &mut window.targets, &mut window.resets)?;
            }
        }
        Ok(())
    }

    /// Moves past the last window and updates the position in `progress`. Returns whether the states must be reset: running text
    /// starts again after an epoch.
    pub fn advance(&mut self, dataset: &Dataset, config: &TrainConfig, progress: &mut Progress) -> Result<bool> {
        match self {
            Loader::Running(loader) => {
                let is_end = loader.next_window_len(config.seq_len) == 0;
                if is_end {
                    loader.rewind(dataset.corpus());
                    progress.epoch += 1;
                }
                progress.position = loader.position as u64;
                Ok(is_end)
            }
            Loader::Records(loader) => {
                progress.epoch = loader.epoch(records(dataset)?);
                Ok(false)
            }
        }
    }

    /// Whether a saved position is one in this text.
    pub fn is_in_range(&self, position: u64) -> bool {
        match self {
            Loader::Running(loader) => position <= loader.len() as u64,
            Loader::Records(_) => position == 0,
        }
    }

    /// The position to save, beyond what [`Progress`] contains.
    pub fn record_position(&self) -> Option<RecordPosition> {
        match self {
            Loader::Running(_) => None,
            Loader::Records(loader) => Some(loader.position()),
        }
    }

    /// Continues at a saved position; returns `false` if it is not a position in this text.
    pub fn restore(&mut self, dataset: &Dataset, config: &TrainConfig, position: &RecordPosition) -> Result<bool> {
        let set = records(dataset)?;
        let resumed = RecordLoader::resume(set, dataset.vocab(), config.batch_size, config.seed, position)?;
        Ok(resumed.map(|loader| *self = Loader::Records(loader)).is_some())
    }
}

fn records(dataset: &Dataset) -> Result<RecordSet<'_>> {
    dataset.training_records().ok_or_else(|| Error::Internal("a loader of records reads running text".into()))
}
