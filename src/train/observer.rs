//! What a caller is told while a run goes on.

use std::path::Path;

use super::metrics::{EvalRecord, TrainRecord};
use super::trainer::{StepReport, Trainer};
use crate::error::Error;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step was made.
    Step(&'a StepReport),
    /// A record of the training loss was due.
    Record(&'a TrainRecord),
    /// The held-out text was scored.
    Evaluated(&'a EvalRecord),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// The run's folder was deleted or moved away, and made again.
    MadeAgain {
        /// The folder.
        folder: &'a Path,
        /// Whether the best checkpoint was lost with it.
        without_best: bool,
    },
    /// The run's folder is another's now, or cannot be made again: it was saved beside it, if that could be done.
    SavedBeside {
        /// The folder, or why there is none.
        saved: Result<&'a Path, &'a Error>,
        /// Whether the best checkpoint was lost.
        without_best: bool,
    },
    /// Something of the run could not be written, and training goes on: the next save tries again.
    NotSaved(&'a Error),
}

/// Is told what happens, and may ask for the end.
pub trait Observer: Sync {
    /// Called for every event, between steps.
    fn on_event(&mut self, trainer: &Trainer, event: Event<'_>);

    /// Asked before every step and all through an evaluation, which is then broken off and owed: whether to save and stop.
    fn should_stop(&self) -> bool {
        false
    }

    /// Asked before every step: whether to save now and go on.
    fn should_save(&mut self) -> bool {
        false
    }
}

/// Looks away.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {
    fn on_event(&mut self, _: &Trainer, _: Event<'_>) {}
}
