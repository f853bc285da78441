//! What all studies share: their configuration, and training one model on a text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cells::{self, CELLS, RegisteredCell};
use crate::data::{Dataset, DatasetConfig};
use crate::error::{Error, Result};
use crate::model::{Init, ModelConfig, Scheme};
use crate::score;
use crate::train::{TrainConfig, Trainer};

const EMBED: usize = 64;
const BATCH: usize = 32;
const SEQ_LEN: usize = 64;

/// A run whose loss exceeds that of a uniform guess by this factor has diverged.
const DIVERGED_FACTOR: f64 = 4.0;

/// The configuration of a study; `None` selects the study's default.
#[derive(Clone, Debug)]
pub struct Study {
    /// The texts.
    pub dataset: DatasetConfig,
    /// The cell.
    pub cell: Option<String>,
    /// Units of each layer.
    pub hidden: Option<usize>,
    /// Training steps.
    pub steps: Option<u64>,
    /// The learning rate.
    pub lr: Option<f64>,
    /// The initialization of the recurrent weights.
    pub scheme: Option<Scheme>,
    /// Parameters of each model.
    pub parameters: Option<u64>,
    /// The seeds.
    pub seeds: Range<u64>,
    /// The settings that the runs used, recorded while the study runs.
    pub used_settings: UsedSettings,
}

/// The settings that the runs of a study used: for each, its distinct values in the order of the runs.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct UsedSettings(RefCell<BTreeMap<&'static str, Vec<Value>>>);

impl UsedSettings {
    /// Records a value.
    pub(super) fn record(&self, setting: &'static str, value: Value) {
        let mut settings = self.0.borrow_mut();
        let values = settings.entry(setting).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

/// The result of training one model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StudyRun {
    /// The held-out loss, in nats per character.
    pub held_out: f64,
    /// The loss of an equally long part of the training text.
    pub training: f64,
    /// Seconds of training.
    pub seconds: f64,
}

impl Study {
    /// The training of all runs of a study: small batches, no regularization, no evaluation.
    pub(super) fn train_config(&self, steps: u64, lr: f64, seed: u64) -> TrainConfig {
        TrainConfig {
            batch: BATCH,
            seq_len: SEQ_LEN,
            steps: Some(self.steps.unwrap_or(steps)),
            lr: self.lr.unwrap_or(lr),
            dropout: 0.0,
            weight_decay: 0.0,
            eval_every: Some(0),
            seed,
            ..TrainConfig::default()
        }
    }

    /// A model with one layer.
    pub(super) fn model_config(&self, cell: &str, hidden: usize, dataset: &Dataset) -> ModelConfig {
        ModelConfig { cell: cell.into(), layers: 1, hidden, embed: EMBED, vocab: dataset.vocab().len() }
    }

    /// The chosen cell, or all cells.
    pub(super) fn cells(&self) -> Result<Vec<&'static RegisteredCell>> {
        match &self.cell {
            Some(name) => Ok(vec![cells::find(name)?]),
            None => Ok(CELLS.iter().collect()),
        }
    }

    /// Opens the texts, which must be long enough for one step.
    pub(super) fn open_dataset(&self) -> Result<Dataset> {
        self.open_dataset_of(BATCH * SEQ_LEN + 1)
    }

    /// Opens the texts, of which at least `min_chars` characters must be left to train on.
    pub(super) fn open_dataset_of(&self, min_chars: usize) -> Result<Dataset> {
        let dataset = Dataset::open(&self.dataset)?;
        let (corpus, range) = dataset.training();
        if range.len() < min_chars {
            let fraction = if self.dataset.val_file.is_some() { 1.0 } else { 1.0 - self.dataset.val_frac };
            let text_chars = (min_chars as f64 / fraction).ceil();
            let problem = format!(
                "{} characters to train on, but the experiment needs {min_chars}; use a text of {text_chars} or more, part of which \
                 is held out",
                range.len()
            );
            return Err(Error::corpus(corpus.name(), problem));
        }
        let name = [corpus.name().to_path_buf()];
        let names = if self.dataset.paths.is_empty() { &name[..] } else { &self.dataset.paths };
        names.iter().for_each(|name| self.used_settings.record("text", json!(name.to_string_lossy())));
        Ok(dataset)
    }

    /// Records the settings of a run.
    pub(super) fn record_run(&self, shape: &ModelConfig, init: Init, config: &TrainConfig) {
        let record = |setting, value| self.used_settings.record(setting, value);
        record("cell", json!(shape.cell));
        record("hidden", json!(shape.hidden));
        record("init", json!(init.scheme));
        record("steps", json!(config.steps));
        record("seed", json!(config.seed));
        if config.steps != Some(0) {
            record("lr", json!(config.lr));
            record("batch", json!(config.batch));
            record("seq_len", json!(config.seq_len));
        }
    }

    /// Trains a model; `None` if it diverges.
    pub(super) fn run(&self, shape: &ModelConfig, init: Init, config: TrainConfig) -> Result<Option<StudyRun>> {
        self.record_run(shape, init, &config);
        let start = Instant::now();
        let mut trainer = Trainer::with_init(self.open_dataset()?, shape, init, config)?;
        let max_loss = DIVERGED_FACTOR * (trainer.dataset().vocab().len() as f64).ln();
        while trainer.progress().step < trainer.total_steps() {
            match trainer.step() {
                Err(Error::Diverged(_)) => return Ok(None),
                Ok(step) if step.loss > max_loss => return Ok(None),
                step => step?,
            };
        }
        let seconds = start.elapsed().as_secs_f64();
        let (dataset, model) = (trainer.dataset(), trainer.model());
        let (corpus, range) = dataset.training();
        let Some(held_out) = trainer.evaluate()? else {
            return Err(Error::corpus(corpus.name(), "the text is too short to hold out a part of it"));
        };
        let len = dataset.held_out().map_or(0, |(_, range)| range.len()).min(range.len());
        let range = range.end - len..range.end;
        let training = trainer.install(|| score::held_out(model, corpus, dataset.vocab(), range))?;
        let run = StudyRun { held_out: held_out.nats(), training: training.nats(), seconds };
        Ok(Some(run).filter(|run| run.held_out < max_loss && run.training < max_loss))
    }
}

/// The mean and the sample standard deviation.
pub(super) fn mean_and_std(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}
