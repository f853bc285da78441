//! The parts shared by all studies: their configuration, training a model on a text, and their result.

use std::{cell::RefCell, collections::BTreeMap, fmt, ops::Range, time::Instant};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::cells::{self, CELLS, RegisteredCell};
use crate::data::{Dataset, DatasetConfig, TextPart};
use crate::error::{Error, Result};
use crate::model::{Init, ModelConfig, Scheme};
use crate::score;
use crate::train::{TrainConfig, Trainer};

const EMBED: usize = 64;
const BATCH: usize = 32;
const SEQ_LEN: usize = 64;
/// The number of characters that one step needs.
pub(super) const STEP_CHARS: usize = BATCH * SEQ_LEN + 1;

/// A run whose loss exceeds that of a uniform guess by this factor has diverged.
const DIVERGED_FACTOR: f64 = 4.0;

/// The configuration of a study; `None` selects the study's default.
#[derive(Clone, Debug)]
pub struct Study {
    /// The texts.
    pub dataset: DatasetConfig,
    /// The cell.
    pub cell: Option<String>,
    /// Units per layer.
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
    /// The settings that the runs used, each with its distinct values in the order of the runs.
    pub used_settings: RefCell<BTreeMap<&'static str, Vec<Value>>>,
}

pub(super) struct StudyRun {
    /// The held-out loss, in nats per character.
    pub held_out: f64,
    /// The loss of an equally long part of the training text.
    pub training: f64,
    pub seconds: f64,
}

impl Study {
    /// The training configuration of all runs of a study: small batches, no regularization, no evaluation.
    pub(super) fn train_config(&self, steps: u64, lr: f64, seed: u64) -> TrainConfig {
        TrainConfig {
            batch_size: BATCH,
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

    pub(super) fn model_config(&self, cell: &str, hidden: usize, dataset: &Dataset) -> ModelConfig {
        ModelConfig {
            cell: cell.into(),
            num_layers: 1,
            hidden_size: hidden,
            embed_size: EMBED,
            vocab_size: dataset.vocab().len(),
        }
    }

    pub(super) fn cells(&self) -> Result<Vec<&'static RegisteredCell>> {
        match &self.cell {
            Some(name) => Ok(vec![cells::find(name)?]),
            None => Ok(CELLS.iter().collect()),
        }
    }

    /// Opens the texts, of which at least `min_chars` characters must be left to train on.
    pub(super) fn open_dataset(&self, min_chars: usize) -> Result<Dataset> {
        let dataset = Dataset::open(&self.dataset)?;
        let (corpus, range) = (dataset.corpus(), dataset.training_range());
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
        names.iter().for_each(|name| self.record("text", json!(name.to_string_lossy())));
        Ok(dataset)
    }

    /// Records that a run used a value of a setting.
    pub(super) fn record(&self, setting: &'static str, value: Value) {
        let mut settings = self.used_settings.borrow_mut();
        let values = settings.entry(setting).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }

    pub(super) fn record_run(&self, shape: &ModelConfig, init: Init, config: &TrainConfig) {
        self.record("cell", json!(shape.cell));
        self.record("hidden", json!(shape.hidden_size));
        self.record("init", json!(init.scheme));
        self.record("steps", json!(config.steps));
        self.record("seed", json!(config.seed));
        if config.steps != Some(0) {
            self.record("lr", json!(config.lr));
            self.record("batch", json!(config.batch_size));
            self.record("seq_len", json!(config.seq_len));
        }
    }

    /// Trains a model; `None` if it diverges.
    pub(super) fn run(
        &self,
        cell: &str,
        hidden: usize,
        scheme: Scheme,
        config: TrainConfig,
    ) -> Result<Option<StudyRun>> {
        let start = Instant::now();
        let dataset = self.open_dataset(STEP_CHARS)?;
        let shape = self.model_config(cell, hidden, &dataset);
        let init = Init { scheme, forget_bias: None };
        self.record_run(&shape, init, &config);
        let mut trainer = Trainer::with_init(dataset, &shape, init, config)?;
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
        let (corpus, range) = (dataset.corpus(), dataset.training_range());
        let Some(held_out) = trainer.evaluate()? else {
            return Err(Error::corpus(corpus.name(), "the text is too short to hold out a part of it"));
        };
        let len = dataset.held_out().map_or(0, |part| part.chars()).min(range.len());
        let range = range.end - len..range.end;
        let training =
            trainer.install(|| score::held_out_loss(model, &TextPart::Running(corpus, range), dataset.vocab()))?;
        let run = StudyRun { held_out: held_out.nats(), training: training.nats(), seconds };
        Ok(Some(run).filter(|run| run.held_out < max_loss && run.training < max_loss))
    }
}

pub(super) fn mean_and_std(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

/// An entry of a table.
#[derive(Clone, Debug)]
pub enum TableEntry {
    /// A name.
    Text(String),
    /// A count.
    Count(u64),
    /// A number and the number of decimals to display.
    Decimal(f64, usize),
    /// A number of any magnitude.
    Scientific(f64),
    /// No value.
    Missing,
}

impl fmt::Display for TableEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableEntry::Text(text) => f.write_str(text),
            TableEntry::Count(n) => write!(f, "{n}"),
            TableEntry::Decimal(x, decimals) => write!(f, "{x:.decimals$}"),
            TableEntry::Scientific(x) => write!(f, "{x:.1e}"),
            TableEntry::Missing => f.write_str("-"),
        }
    }
}

impl Serialize for TableEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TableEntry::Text(text) => serializer.serialize_str(text),
            TableEntry::Count(n) => serializer.serialize_u64(*n),
            TableEntry::Decimal(x, _) | TableEntry::Scientific(x) => serializer.serialize_f64(*x),
            TableEntry::Missing => serializer.serialize_none(),
        }
    }
}

/// A line chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// The label of the horizontal axis.
    pub x: String,
    /// The label of the vertical axis.
    pub y: String,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// The curves: names and points. Curves whose names are equal up to a colon share a color; all but the first are dashed.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

/// The result of a study.
#[derive(Clone, Debug)]
pub struct StudyResult {
    /// Whether the criterion is met; `None` if the study was too small to tell.
    pub passed: Option<bool>,
    /// A summary of the measurements.
    pub measured: String,
    /// The column headings.
    pub columns: Vec<&'static str>,
    /// The rows of the table.
    pub rows: Vec<Vec<TableEntry>>,
    /// The chart, if the study draws one.
    pub chart: Option<Chart>,
}
