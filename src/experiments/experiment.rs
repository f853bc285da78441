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
    /// The options that it accepts besides those that all experiments of its kind accept.
    pub extra_options: &'static [ExperimentOption],
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

/// A setting of an experiment that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExperimentOption {
    /// The texts.
    Text,
    /// The cell.
    Cell,
    /// Training steps, or tries.
    Steps,
    /// The first seed.
    Seed,
    /// The number of seeds.
    Seeds,
    /// Units of each layer.
    Hidden,
    /// Parameters of each model.
    Parameters,
    /// The learning rate.
    Lr,
    /// The initialization of the recurrent weights.
    Init,
    /// The initial bias of the forget gate.
    ForgetBias,
    /// The weight decay.
    WeightDecay,
    /// The number of distractors.
    Q,
    /// Noise among the distractors.
    Noise,
    /// The number of digits or bits.
    Size,
    /// A file for the training text.
    Write,
    /// A file for the chart.
    Svg,
}

impl ExperimentOption {
    /// The options that every experiment accepts.
    pub const OF_ALL: [Self; 3] = [Self::Cell, Self::Steps, Self::Seed];
    /// The options that every task accepts besides those.
    pub const OF_TASKS: [Self; 7] =
        [Self::Seeds, Self::Hidden, Self::Lr, Self::Init, Self::ForgetBias, Self::WeightDecay, Self::Write];
}

impl Experiment {
    /// All options that it accepts.
    pub fn options(&self) -> Vec<ExperimentOption> {
        let of_kind: &[_] = if matches!(self.kind, Kind::Task { .. }) { &ExperimentOption::OF_TASKS } else { &[] };
        [&ExperimentOption::OF_ALL, of_kind, self.extra_options].concat()
    }

    /// Whether it accepts an option.
    pub fn accepts(&self, option: ExperimentOption) -> bool {
        self.options().contains(&option)
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Experiment").field(&self.name).finish()
    }
}
