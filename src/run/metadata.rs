//! The run metadata that a checkpoint stores.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::train_config::TrainConfig;
use crate::checkpoint::{Frame, SectionValue};
use crate::data::DatasetProvenance;
use crate::error::Result;
use crate::model::Init;

pub(crate) const MOMENTS: [&str; 2] = ["moments.0", "moments.1"];
/// The section of the carried states, `(B, layers * states * H)`. Only `latest.ckpt` has it.
pub const STATE: &str = "state";
/// The section of the position in the records of a list-like text. Only `latest.ckpt` has it.
pub(crate) const RECORDS: &str = "records";
/// Counters beyond this are not from a real run and could overflow.
const MAX_COUNT: u64 = 1 << 60;

/// How a run was set up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetadata {
    /// The training settings.
    pub train: TrainConfig,
    /// How its weights were initialized.
    pub init: Init,
    /// The texts it trains on.
    pub dataset: DatasetProvenance,
    /// The run that a fine-tuned run started from.
    pub origin: Option<FineTuneOrigin>,
    /// The total number of steps, which the learning rate schedule depends on.
    pub total_steps: u64,
    /// The instruction set of the last steps. Results are bit-identical only on the same one.
    pub instruction_set: String,
    /// Seconds of training so far.
    pub elapsed_s: f64,
}

impl SectionValue for RunMetadata {
    const NAME: &'static str = "run";
    const VERSION: u32 = 1;
}

impl RunMetadata {
    /// The metadata in a checkpoint.
    pub fn read(frame: &Frame) -> Result<Self> {
        frame.value()
    }
}

/// The starting point of a fine-tuned run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FineTuneOrigin {
    /// The run that the weights came from: its folder or a checkpoint file.
    pub run: PathBuf,
    /// The texts of that run.
    pub dataset: DatasetProvenance,
    /// Symbols (code points or bytes) that its vocabulary did not contain.
    pub new_symbols: Vec<u32>,
    /// The losses before the first step.
    pub before: HeldOutLosses,
}

/// Held-out losses in nats per character, or the reason why a loss is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutLosses {
    /// The loss on the end of the replayed text if there is one, otherwise on the held-out part of the original run's text.
    pub old: Result<f64, String>,
    /// The loss on the held-out part of the new text.
    pub new: Result<f64, String>,
}

/// The progress of a run. `state_hash` covers all of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Windows processed, including skipped ones.
    pub step: u64,
    /// Completed epochs.
    pub epoch: u64,
    /// Characters that each stream has read in the current epoch.
    pub position: u64,
    /// The number of weight updates.
    pub updates: u64,
    /// Steps without an update because the loss or the gradient was not finite.
    pub skipped: u64,
    /// The number of skipped steps since the last update.
    pub consecutive_skips: u64,
    /// The training loss of the last step, in nats per character.
    pub loss: Option<f64>,
    /// The last held-out loss, in nats per character.
    pub held_out: Option<f64>,
    /// The step of the last evaluation.
    pub evaluated_at: u64,
    /// The lowest held-out loss, in nats per character, and its step.
    pub best: Option<(f64, u64)>,
    /// Evaluations since the best one.
    pub evaluations_since_best: u64,
}

impl SectionValue for Progress {
    const NAME: &'static str = "progress";
    const VERSION: u32 = 1;
}

impl Progress {
    /// The progress in a checkpoint.
    pub fn read(frame: &Frame) -> Result<Self> {
        let progress: Progress = frame.value()?;
        if progress.is_plausible() { Ok(progress) } else { Err(frame.error("its progress counters are out of range")) }
    }

    fn is_plausible(&self) -> bool {
        let &Progress { step, epoch, position, updates, skipped, consecutive_skips, evaluated_at, .. } = self;
        let (best_loss, best_step) = self.best.unwrap_or_default();
        let counts = [step, epoch, position, updates, skipped, consecutive_skips, evaluated_at, best_step];
        best_loss.is_finite() && counts.into_iter().chain([self.evaluations_since_best]).all(|n| n < MAX_COUNT)
    }
}
