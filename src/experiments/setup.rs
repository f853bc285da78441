//! The model of an experiment and its training.

use serde::Serialize;

use crate::error::Result;
use crate::model::{ModelConfig, Scheme};
use crate::optim::{Optimizer, Schedule};
use crate::train::TrainConfig;

/// The shape of a model and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setup {
    /// The cell.
    pub cell: String,
    /// Recurrent layers.
    pub layers: usize,
    /// Units of each layer.
    pub hidden: usize,
    /// Streams of a batch.
    pub batch: usize,
    /// Characters of a window.
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
            batch: 16,
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
        ModelConfig { cell: self.cell.clone(), layers: self.layers, hidden: self.hidden, embed: 0, vocab }
    }

    pub(super) fn train_config(&self, seed: u64) -> Result<TrainConfig> {
        let config = TrainConfig {
            batch: self.batch,
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
