//! What a study is asked, and the runs that it is made of.

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

/// Elements of a character's embedding.
const EMBED: usize = 64;
/// Streams side by side, and characters that gradients flow back over.
const BATCH: usize = 32;
const SEQ_LEN: usize = 64;

/// A loss of so many times that of even guessing is taken for divergence.
const FAR_WORSE: f64 = 4.0;

/// What can be asked of a study; what is left open is as the study needs it.
#[derive(Clone, Debug)]
pub struct Study {
    /// The texts.
    pub text: DatasetConfig,
    /// The cell.
    pub cell: Option<String>,
    /// Units of each layer.
    pub hidden: Option<usize>,
    /// Steps of training.
    pub steps: Option<u64>,
    /// The learning rate.
    pub lr: Option<f64>,
    /// How the recurrent layer's weights are drawn.
    pub scheme: Option<Scheme>,
    /// Parameters of every net.
    pub parameters: Option<u64>,
    /// The seeds.
    pub seeds: Range<u64>,
    /// What its nets were, once it has run.
    pub notes: Notes,
}

/// What the nets of a study were and what they read: of each choice every value that any of them had, in the order of the runs.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Notes(RefCell<BTreeMap<&'static str, Vec<Value>>>);

impl Notes {
    /// Adds a value, unless it is there.
    pub(super) fn add(&self, choice: &'static str, value: Value) {
        let mut notes = self.0.borrow_mut();
        let values = notes.entry(choice).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
}

/// How a run of a study ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// The held-out loss, in nats per character.
    pub held_out: f64,
    /// The loss of as much text that was trained on.
    pub training: f64,
    /// Seconds of training.
    pub seconds: f64,
}

impl Study {
    /// What the runs of a study share: small batches, no regularisation, nothing saved.
    pub(super) fn training(&self, steps: u64, lr: f64, seed: u64) -> TrainConfig {
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

    /// A net of one layer.
    pub(super) fn shape(&self, cell: &str, hidden: usize, texts: &Dataset) -> ModelConfig {
        ModelConfig { cell: cell.into(), layers: 1, hidden, embed: EMBED, vocab: texts.vocab().len() }
    }

    /// The cell that is asked for, or every one.
    pub(super) fn cells(&self) -> Result<Vec<&'static RegisteredCell>> {
        match &self.cell {
            Some(name) => Ok(vec![cells::find(name)?]),
            None => Ok(CELLS.iter().collect()),
        }
    }

    /// Opens the texts, which must be long enough for one step.
    pub(super) fn texts(&self) -> Result<Dataset> {
        self.texts_with(BATCH * SEQ_LEN + 1)
    }

    /// Opens the texts, which must have as many characters to train on.
    pub(super) fn texts_with(&self, least: usize) -> Result<Dataset> {
        let texts = Dataset::open(&self.text)?;
        let (corpus, part) = texts.training();
        if part.len() < least {
            let share = if self.text.val_file.is_some() { 1.0 } else { 1.0 - self.text.val_frac };
            let whole = (least as f64 / share).ceil();
            let problem = format!(
                "{} characters to train on, but the experiment needs {least}; give it a text of {whole} or more, of which it holds \
                 some out",
                part.len()
            );
            return Err(Error::corpus(corpus.name(), problem));
        }
        let name = [corpus.name().to_path_buf()];
        let names = if self.text.paths.is_empty() { &name[..] } else { &self.text.paths };
        names.iter().for_each(|name| self.notes.add("text", json!(name.to_string_lossy())));
        Ok(texts)
    }

    /// Notes what a net is and how it is trained.
    pub(super) fn note(&self, shape: &ModelConfig, init: Init, config: &TrainConfig) {
        let net = [("cell", json!(shape.cell)), ("hidden", json!(shape.hidden)), ("init", json!(init.scheme))];
        let run = [("steps", json!(config.steps)), ("seed", json!(config.seed))];
        net.into_iter().chain(run).for_each(|(choice, value)| self.notes.add(choice, value));
        if config.steps != Some(0) {
            let pace = [("lr", json!(config.lr)), ("batch", json!(config.batch)), ("seq_len", json!(config.seq_len))];
            pace.into_iter().for_each(|(choice, value)| self.notes.add(choice, value));
        }
    }

    /// Trains a net to its end; `None` where training diverges: its loss is no number, or far worse than that of knowing nothing.
    pub(super) fn run(&self, shape: &ModelConfig, init: Init, config: TrainConfig) -> Result<Option<Run>> {
        self.note(shape, init, &config);
        let begun = Instant::now();
        let mut trainer = Trainer::with_init(self.texts()?, shape, init, config)?;
        let worst = FAR_WORSE * (trainer.dataset().vocab().len() as f64).ln();
        while trainer.progress().step < trainer.total_steps() {
            match trainer.step() {
                Err(Error::Diverged(_)) => return Ok(None),
                Ok(step) if step.loss > worst => return Ok(None),
                step => step?,
            };
        }
        let seconds = begun.elapsed().as_secs_f64();
        let Some(held_out) = trainer.evaluate()? else {
            let texts = trainer.dataset().training().0.name();
            return Err(Error::corpus(texts, "the text is too short for a part of it to be held out"));
        };
        let (texts, model) = (trainer.dataset(), trainer.model());
        let (corpus, part) = texts.training();
        let as_much = texts.held_out().map_or(0, |(_, part)| part.len()).min(part.len());
        let part = part.end - as_much..part.end;
        let training = trainer.install(|| score::held_out(model, corpus, texts.vocab(), part))?;
        let run = Run { held_out: held_out.nats(), training: training.nats(), seconds };
        Ok(Some(run).filter(|run| run.held_out < worst && run.training < worst))
    }
}

/// The mean and the standard deviation of numbers.
pub(super) fn spread(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}
