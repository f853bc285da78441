//! The description of an experiment, and the model and training that a task uses.

use serde::Serialize;

use super::study::{Study, StudyResult};
use super::task::{Task, TaskOptions};
use crate::model::{ModelConfig, Scheme};
use crate::optim::{Optimizer, Schedule};
use crate::{error::Result, train::TrainConfig};

/// An experiment that tests a claim of a paper.
#[derive(Debug)]
pub struct Experiment {
    /// Its name on the command line.
    pub name: &'static str,
    /// The task or the comparison.
    pub summary: &'static str,
    /// The condition under which it passes.
    pub criterion: &'static str,
    /// The result in the paper.
    pub published: &'static str,
    /// The names of the options that it accepts in addition to those of its kind.
    pub extra_options: &'static [&'static str],
    /// How it is run.
    pub kind: Kind,
}

/// How an experiment is run.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A model is trained on strings and tested on new ones, once for each seed.
    Task {
        /// The default model and its training.
        setup: fn(&TaskOptions) -> Setup,
        /// The task.
        task: fn(&TaskOptions) -> Result<Box<dyn Task>>,
    },
    /// Several models are compared in a table.
    Study(RunStudy),
}

/// Runs a study; the callback receives a line of text for each intermediate result.
pub type RunStudy = fn(&Study, &mut dyn FnMut(&str)) -> Result<StudyResult>;

/// The options that every experiment accepts.
pub const COMMON_OPTIONS: [&str; 3] = ["cell", "steps", "seed"];
/// The options that every task accepts in addition to [`COMMON_OPTIONS`].
pub const TASK_OPTIONS: [&str; 7] = ["seeds", "hidden", "lr", "init", "forget-bias", "weight-decay", "write"];

impl Experiment {
    /// The names of all options that it accepts.
    pub fn options(&self) -> Vec<&'static str> {
        let of_kind: &[_] = if matches!(self.kind, Kind::Task { .. }) { &TASK_OPTIONS } else { &[] };
        [&COMMON_OPTIONS, of_kind, self.extra_options].concat()
    }
}

/// The shape of a model and how it is trained.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// The cell.
    pub cell: String,
    /// Recurrent layers.
    pub layers: usize,
    /// Units per layer.
    pub hidden: usize,
    /// Streams per batch.
    pub batch: usize,
    /// Characters per window.
    pub seq_len: usize,
    /// Maximum number of steps.
    pub steps: u64,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub lr: f64,
    /// The learning rate schedule after the warm-up.
    pub schedule: Schedule,
    /// The global norm that gradients are clipped to.
    pub clip: f64,
    /// The initialization of the recurrent weights.
    pub scheme: Scheme,
    /// The initial bias of the forget gate.
    pub forget_bias: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Steps between quick checks of the criterion.
    pub check_every: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            cell: "lstm".into(),
            layers: 1,
            hidden: 32,
            batch: 32,
            seq_len: 64,
            steps: 5000,
            optimizer: Optimizer::Adamw,
            lr: 5e-3,
            schedule: Schedule::Cosine,
            clip: 1.0,
            scheme: Scheme::Orthogonal,
            forget_bias: 1.0,
            weight_decay: 0.0,
            check_every: 100,
        }
    }
}

impl Setup {
    /// Checks every setting.
    pub fn validate(&self) -> Result<()> {
        self.train_config(0)?;
        self.model_config(1).validate().map(|_| ())
    }

    pub(super) fn model_config(&self, vocab: usize) -> ModelConfig {
        ModelConfig {
            cell: self.cell.clone(),
            num_layers: self.layers,
            hidden_size: self.hidden,
            embed_size: 0,
            vocab_size: vocab,
        }
    }

    pub(super) fn train_config(&self, seed: u64) -> Result<TrainConfig> {
        let config = TrainConfig {
            batch_size: self.batch,
            seq_len: self.seq_len,
            steps: Some(self.steps),
            optimizer: self.optimizer,
            lr: self.lr,
            schedule: self.schedule,
            clip: self.clip,
            warmup: 20,
            weight_decay: self.weight_decay,
            dropout: 0.0,
            eval_every: Some(0),
            seed,
            ..TrainConfig::default()
        };
        config.validate()?;
        Ok(config)
    }
}
