//! Experiments that test the claims of the papers.
//!
//! - A [`Task`] generates strings from a seed and tests a model on new ones. It does not depend on the trainer. [`run_trial`] trains
//!   a model on a task.
//! - A [`Study`] trains several models on a text and compares them in a table.
//!
//! To add an experiment, add a file and an entry in [`EXPERIMENTS`].

mod arithmetic;
mod counting;
#[cfg(test)]
mod criteria_tests;
mod evaluator;
mod experiment;
mod gradient_flow;
mod guess;
mod lag;
mod learning_rate;
mod odyssey;
mod order;
mod parity;
mod reber;
mod study;
mod task;
mod timing;
mod trial;

pub use experiment::{COMMON_OPTIONS, Experiment, Kind, RunStudy, Setup, TASK_OPTIONS};
pub use study::{Chart, Study, StudyResult, TableEntry};
pub use task::{Task, TaskOptions};
pub use trial::{Trial, run_trial, training_text};

use crate::error::{Error, Result};

/// All experiments.
pub static EXPERIMENTS: &[Experiment] = &[
    reber::REBER,
    reber::CONTINUAL_REBER,
    lag::LAG,
    order::ORDER,
    order::ORDER3,
    counting::ANBN,
    counting::ANBNCN,
    timing::TIMING,
    arithmetic::ARITHMETIC,
    parity::PARITY,
    gradient_flow::GRADIENT_FLOW,
    guess::GUESS,
    odyssey::ODYSSEY,
    learning_rate::LEARNING_RATE,
];

/// Finds an experiment by name.
pub fn find(name: &str) -> Result<&'static Experiment> {
    EXPERIMENTS.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let names: Vec<_> = EXPERIMENTS.iter().map(|experiment| experiment.name).collect();
        Error::unknown_name("experiment", name, &names)
    })
}

#[cfg(test)]
mod tests {
    use super::task::{TextLayout, rng};
    use super::*;

    #[test]
    fn strings_fit_their_windows_and_satisfy_their_own_tests() {
        for experiment in EXPERIMENTS {
            let Kind::Task { setup, task } = experiment.kind else { continue };
            let (task, setup) = (task(&TaskOptions::default()).unwrap(), setup(&TaskOptions::default()));
            for example in task.draw_many(&mut rng("samples", 1), 200) {
                assert_eq!(example.chars.len(), example.allowed.len(), "{}", experiment.name);
                for (c, allowed) in example.chars.iter().zip(&example.allowed) {
                    assert!(allowed.is_empty() || allowed.contains(*c), "{}: {c} of {allowed:?}", experiment.name);
                }
                if task.layout() == TextLayout::Windows {
                    assert!(example.chars.len() <= setup.seq_len, "{}: {}", experiment.name, example.chars.len());
                }
            }
        }
    }
}
