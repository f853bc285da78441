//! Training: truncated backpropagation through time, with the state carried from window to window.
//!
//! - [`Step`]: one window, forward and backward on all threads, and the update
//! - [`Trainer`]: the whole state of a run; it runs steps, evaluates, and can be saved to and resumed from checkpoints
//! - [`Trainer::fine_tune`]: a run that starts from the weights of another
//! - [`fit`]: the training loop
//! - [`CheckpointPolicy`]: where and when the loop saves
//! - [`Observer`]: receives the events of the training loop; this library never prints

mod checkpoint_policy;
mod fine_tune;
mod fit;
mod loader;
mod memory;
mod observer;
mod resets;
mod resume;
mod step;
mod trainer;

pub use crate::run::TrainConfig;
pub use checkpoint_policy::CheckpointPolicy;
pub use fit::{Outcome, fit};
pub use observer::{Event, Observer, Silent};
pub use step::Step;
pub use trainer::{StepReport, Trainer};
