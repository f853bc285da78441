//! The settings of training, apart from the model and the texts.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optim::{Optimizer, Schedule};

/// The training settings. An interval of `None` means one epoch; 0 means never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Streams trained in parallel, B.
    pub batch_size: usize,
    /// Characters per window, T: gradients flow back over one window.
    pub seq_len: usize,
    /// Passes over the text. Ignored if `steps` is set.
    pub epochs: u64,
    /// Total steps.
    pub steps: Option<u64>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The peak learning rate.
    pub lr: f64,
    /// The learning rate schedule after the warm-up.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises linearly.
    pub warmup: u64,
    /// Decoupled weight decay; applied to matrices only.
    pub weight_decay: f64,
    /// The global norm that gradients are clipped to; 0 disables clipping.
    pub clip: f64,
    /// The dropout rate between layers and before the output layer.
    pub dropout: f64,
    /// The probability per window that the carried state of a stream is reset. Ignored if the dataset has a loss mask.
    pub reset_prob: f64,
    /// Steps between evaluations.
    pub eval_every: Option<u64>,
    /// Steps between checkpoints.
    pub save_every: Option<u64>,
    /// Steps between records of the training loss; 0 means never.
    pub log_every: u64,
    /// Early stopping: the number of evaluations without improvement after which training ends.
    pub patience: Option<u64>,
    /// The seed of the initial weights and the dropout masks.
    pub seed: u64,
    /// Threads; `None` means one per core.
    pub threads: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            batch_size: 64,
            seq_len: 128,
            epochs: 20,
            steps: None,
            optimizer: Optimizer::Adamw,
            lr: 3e-3,
            schedule: Schedule::Cosine,
            warmup: 100,
            weight_decay: 0.01,
            clip: 1.0,
            dropout: 0.2,
            reset_prob: 0.4,
            eval_every: None,
            save_every: None,
            log_every: 10,
            patience: None,
            seed: 1,
            threads: None,
        }
    }
}

impl TrainConfig {
    /// Checks that every value is in range.
    ///
    /// # Errors
    /// [`Error::Usage`] with the allowed range.
    pub fn validate(&self) -> Result<()> {
        let whole = |name: &'static str, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(Error::out_of_range(name, value, format!("{min} to {max}")))
            }
        };
        whole("batch", self.batch_size as u64, 1, 1 << 20)?;
        whole("seq_len", self.seq_len as u64, 1, 1 << 20)?;
        whole("epochs", self.epochs, 1, 1 << 40)?;
        whole("steps", self.steps.unwrap_or(1), 1, 1 << 50)?;
        whole("threads", self.threads.unwrap_or(1) as u64, 1, 1024)?;
        whole("patience", self.patience.unwrap_or(1), 1, 1 << 40)?;
        let real = |name: &'static str, value: f64, allowed: bool, range: &str| {
            if allowed && value.is_finite() { Ok(()) } else { Err(Error::out_of_range(name, value, range)) }
        };
        real("lr", self.lr, self.lr > 0.0 && self.lr <= 1e6, "above 0 and at most 1000000")?;
        real("weight_decay", self.weight_decay, (0.0..=1e6).contains(&self.weight_decay), "0 to 1000000")?;
        real("clip", self.clip, self.clip >= 0.0, "0 (no clipping) or more")?;
        real("reset_prob", self.reset_prob, (0.0..=1.0).contains(&self.reset_prob), "0 to 1")?;
        real("dropout", self.dropout, (0.0..=0.95).contains(&self.dropout), "0 to 0.95")
    }

    /// The total number of steps.
    pub fn total_steps(&self, steps_per_epoch: u64) -> u64 {
        self.steps.unwrap_or_else(|| self.epochs.saturating_mul(steps_per_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_values_out_of_range() {
        let good = TrainConfig::default();
        good.validate().unwrap();
        for bad in [
            TrainConfig { batch_size: 0, ..good.clone() },
            TrainConfig { seq_len: 0, ..good.clone() },
            TrainConfig { lr: 0.0, ..good.clone() },
            TrainConfig { lr: f64::NAN, ..good.clone() },
            TrainConfig { dropout: 1.0, ..good.clone() },
            TrainConfig { clip: -1.0, ..good.clone() },
            TrainConfig { threads: Some(10_000), ..good.clone() },
            TrainConfig { steps: Some(u64::MAX), ..good.clone() },
            TrainConfig { epochs: 0, ..good.clone() },
        ] {
            assert!(matches!(bad.validate(), Err(Error::OutOfRange { .. })), "{bad:?}");
        }
    }
}
