//! Optimizers, gradient clipping and learning rate schedules: functions over flat slices that are independent of the model.

mod adamw;
mod clip;
mod optimizer;
mod rmsprop;
mod schedule;
mod sgd;
mod slices;

pub use clip::clip_scale;
pub use optimizer::{Optimizer, update};
pub use schedule::{FINAL_LR_FRACTION, Schedule, learning_rate};
pub use slices::{OptimizerSlices, UpdateParams};
