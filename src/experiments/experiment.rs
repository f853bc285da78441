//! The description of an experiment.

use std::fmt;

use super::setup::Setup;
use super::study::Study;
use super::study_result::StudyResult;
use super::task::{Task, TaskOptions};
use crate::error::Result;

/// An experiment of a paper.
pub struct Experiment {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is learned or compared.
    pub summary: &'static str,
    /// When it passes.
    pub criterion: &'static str,
    /// What the paper reports.
    pub published: &'static str,
    /// The names of the options that it accepts besides those of all experiments of its kind.
    pub extra_options: &'static [&'static str],
    /// How it is run.
    pub kind: Kind,
}

/// How an experiment is run.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A model is trained on strings and tested on new ones, once for each seed.
    Task {
        /// The default model and its training.
        setup: fn(&TaskOptions) -> Setup,
        /// The task.
        task: fn(&TaskOptions) -> Result<Box<dyn Task>>,
    },
    /// Several models are compared in a table.
    Study(RunStudy),
}

/// Runs a study; the callback receives a line of text for each intermediate result.
pub type RunStudy = fn(&Study, &mut dyn FnMut(&str)) -> Result<StudyResult>;

/// The options that every experiment accepts.
pub const COMMON_OPTIONS: [&str; 3] = ["cell", "steps", "seed"];
/// The options that every task accepts besides those.
pub const TASK_OPTIONS: [&str; 7] = ["seeds", "hidden", "lr", "init", "forget-bias", "weight-decay", "write"];

impl Experiment {
    /// The names of all options that it accepts.
    pub fn options(&self) -> Vec<&'static str> {
        let of_kind: &[_] = if matches!(self.kind, Kind::Task { .. }) { &TASK_OPTIONS } else { &[] };
        [&COMMON_OPTIONS, of_kind, self.extra_options].concat()
    }

    /// Whether it accepts an option.
    pub fn accepts(&self, option: &str) -> bool {
        self.options().contains(&option)
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Experiment").field(&self.name).finish()
    }
}
