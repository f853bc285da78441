//! Training: truncated backpropagation through time, with the state carried from window to window.
//!
//! - [`TrainConfig`]: everything that can be chosen, but the model's shape and the texts
//! - [`Step`]: one window forward and back on all threads
//! - [`Trainer`]: the whole state of a run, which a checkpoint holds
//! - [`Trainer::tune`]: a run that begins with the weights of another
//! - [`fit`]: the loop: steps, evaluations, checkpoints, metrics
//! - [`Observer`]: what a caller is told; this library never prints

mod brake;
mod config;
mod fit;
mod hash;
mod memory;
mod metrics;
mod observer;
mod persist;
mod step;
mod trainer;
mod tune;

pub use brake::{Brake, STEPS_BETWEEN_SKIPS};
pub use config::TrainConfig;
pub use fit::{BEST, Keep, Outcome, fit};
pub use hash::state_hash;
pub use metrics::{EvalRecord, Metrics, Record, TrainRecord};
pub use observer::{Event, Observer, Silent};
pub use persist::{Saved, read_init};
pub use step::Step;
pub use trainer::{Progress, StepReport, Trainer};
pub use tune::{Beginning, Losses};
