//! A training run on disk: its folder, its lock, and what is recorded about it.
//!
//! - [`RunFolder`]: the folder and the names of its files
//! - `find`: resolves a RUN argument to a run or a checkpoint
//! - [`LockedRun`]: a run that this process trains, and the only way to write to its folder
//! - [`TrainConfig`], [`RunMetadata`], [`Progress`]: the contents of a checkpoint other than the model
//! - [`Metrics`]: the contents of `metrics.jsonl`
//! - [`state_hash`]: a fingerprint of the training state

pub mod find;
mod folder;
mod lock;
mod metadata;
mod metrics;
mod state_hash;
mod train_config;

pub use folder::{DEFAULT_RUNS_FOLDER, RunFolder};
pub use lock::LockedRun;
pub use metadata::{FineTuneOrigin, HeldOutLosses, Progress, RunMetadata, STATE};
pub(crate) use metadata::{MOMENTS, RECORDS};
pub use metrics::{EvalRecord, Metrics, Record, TrainRecord};
pub use state_hash::state_hash;
pub use train_config::TrainConfig;
