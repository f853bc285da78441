//! Lets a caller observe and stop the training loop.

use std::path::Path;

use super::trainer::{StepReport, Trainer};
use crate::error::Error;
use crate::run::{EvalRecord, TrainRecord};

/// An event of the training loop.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step was completed.
    Step(&'a StepReport),
    /// The training loss was recorded.
    Record(&'a TrainRecord),
    /// The held-out text was evaluated.
    Evaluated(&'a EvalRecord),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// A file could not be written. Training continues, and the next save tries again.
    SaveFailed(&'a Error),
}

/// Receives the events of the training loop, and may ask it to stop.
pub trait Observer: Sync {
    /// Called for every event, between steps.
    fn on_event(&mut self, trainer: &Trainer, event: Event<'_>);

    /// Whether to save and stop. Called before every step and repeatedly during an evaluation, which is then abandoned.
    fn should_stop(&self) -> bool {
        false
    }

    /// Whether to save now and continue. Called before every step.
    fn should_save(&mut self) -> bool {
        false
    }
}

/// An observer that ignores all events.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {
    fn on_event(&mut self, _: &Trainer, _: Event<'_>) {}
}
