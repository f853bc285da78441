//! Everything about training that can be chosen.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optim::{Optimizer, Schedule};

/// How to train. `None` for an interval means an epoch, 0 means never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Streams that are read side by side.
    pub batch: usize,
    /// Characters of a window: how far gradients flow back.
    pub seq_len: usize,
    /// Passes over the text, in all. Counts unless `steps` is given.
    pub epochs: u64,
    /// Optimizer steps, in all.
    pub steps: Option<u64>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The peak learning rate.
    pub lr: f64,
    /// The shape of the learning rate after the warm-up.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises.
    pub warmup: u64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// The global norm that gradients are clipped to; 0: not at all.
    pub clip: f64,
    /// The share of units dropped between layers and before the output.
    pub dropout: f64,
    /// Steps from one evaluation to the next.
    pub eval_every: Option<u64>,
    /// Steps from one checkpoint to the next.
    pub save_every: Option<u64>,
    /// Steps from one record of the metrics to the next; 0: never.
    pub log_every: u64,
    /// Evaluations without a better held-out loss after which training ends.
    pub patience: Option<u64>,
    /// Decides the first weights and the dropout masks.
    pub seed: u64,
    /// Threads; `None`: one a core.
    pub threads: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            batch: 64,
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
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Usage`] with the range that is allowed.
    pub fn validate(&self) -> Result<()> {
        let whole = |name: &'static str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::out_of_range(name, value, format!("{least} to {most}")))
            }
        };
        whole("batch", self.batch as u64, 1, 1 << 20)?;
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
        real("dropout", self.dropout, (0.0..=0.95).contains(&self.dropout), "0 to 0.95")
    }

    /// Steps in all, where an epoch has `steps_per_epoch`.
    pub fn total_steps(&self, steps_per_epoch: u64) -> u64 {
        self.steps.unwrap_or_else(|| self.epochs.saturating_mul(steps_per_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_nonsense_is_not() {
        let good = TrainConfig::default();
        good.validate().unwrap();
        for bad in [
            TrainConfig { batch: 0, ..good.clone() },
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
