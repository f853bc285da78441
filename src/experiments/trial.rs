//! Trains a model on a task with one seed and tests it.

use std::time::Instant;

use serde::Serialize;

use super::evaluator::Evaluator;
use super::setup::Setup;
use super::task::{Check, Task, TestResult, TextLayout, rng};
use super::training_text::training_text;
use crate::data::{Corpus, Dataset, Encoding, Vocab};
use crate::error::{Error, Result};
use crate::model::Init;
use crate::train::Trainer;

/// The state of a trial at a quick check.
#[derive(Clone, Debug)]
pub struct TrialProgress<'a> {
    /// Steps so far.
    pub step: u64,
    /// The loss of the last step, in nats per tested character.
    pub loss: f64,
    /// The result of the check.
    pub measured: &'a str,
}

/// The result of a trial.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The seed.
    pub seed: u64,
    /// Whether the criterion was met.
    pub passed: bool,
    /// The figure of the last full test.
    pub measured: String,
    /// Training steps.
    pub steps: u64,
    /// Characters that were trained on.
    pub chars: u64,
    /// Strings, or windows, that were trained on.
    pub strings: u64,
    /// Full tests: one for each quick check that met the criterion, or one at the end.
    pub tests: u64,
    /// Seconds of training and testing.
    pub seconds: f64,
}

/// Trains a model until a quick check meets the criterion and a full test confirms it, or until all steps are used and a last test
/// decides. A diverged trial has not passed.
pub fn run_trial(
    name: &str,
    task: &dyn Task,
    setup: &Setup,
    seed: u64,
    on_progress: &mut dyn FnMut(&TrialProgress<'_>),
) -> Result<Trial> {
    let start = Instant::now();
    let mut trainer = trainer(name, task, setup, seed)?;
    let test = |trainer: &Trainer, check: Check, purpose: &str| {
        let mut rng = rng(&format!("{name} {purpose}"), seed);
        let evaluator = Evaluator::new(trainer.model(), trainer.dataset().vocab());
        trainer.install(|| task.test(&evaluator, &mut rng, check))
    };
    let (mut tests, mut last) = (0, None);
    while trainer.progress().step < setup.steps {
        let report = match trainer.step() {
            Err(Error::Diverged(problem)) => {
                last = Some((trainer.progress().step, TestResult { passed: false, measured: problem }));
                break;
            }
            report => report?,
        };
        let step = trainer.progress().step;
        if step.is_multiple_of(setup.check_every) {
            // The purposes seed the generators: renaming them would change the results.
            let quick = test(&trainer, Check::Quick, "glance");
            on_progress(&TrialProgress { step, loss: report.loss, measured: &quick.measured });
            if quick.passed {
                tests += 1;
                let full = test(&trainer, Check::Full, &format!("test {tests}"));
                let passed = full.passed;
                last = Some((step, full));
                if passed {
                    break;
                }
            }
        }
    }
    let steps = trainer.progress().step;
    let result = match last {
        Some((step, result)) if step == steps => result,
        _ => {
            tests += 1;
            test(&trainer, Check::Full, "last test")
        }
    };
    let chars = steps * (setup.batch * setup.seq_len) as u64;
    let strings = (chars as f64 / mean_length(task, setup.seq_len)) as u64;
    let TestResult { passed, measured } = result;
    Ok(Trial { seed, passed, measured, steps, chars, strings, tests, seconds: start.elapsed().as_secs_f64() })
}

fn trainer(name: &str, task: &dyn Task, setup: &Setup, seed: u64) -> Result<Trainer> {
    let config = setup.train_config(seed)?;
    let (text, mask) = training_text(name, task, setup, seed);
    let corpus = Corpus::from_text(name, text.into_bytes(), Encoding::Utf8)?;
    let dataset = Dataset::new(corpus, None, 0.0)?.with_loss_mask(mask)?;
    check_covers_tests(dataset.vocab(), task, setup)?;
    let shape = setup.model_config(dataset.vocab().len());
    let has_forget_gate = shape.validate()?.spec.forget_gate.is_some();
    let init = Init { scheme: setup.scheme, forget_bias: Some(setup.forget_bias).filter(|_| has_forget_gate) };
    Trainer::with_init(dataset, &shape, init, config)
}

/// Checks that a short training text contains all characters that tests use.
fn check_covers_tests(vocab: &Vocab, task: &dyn Task, setup: &Setup) -> Result<()> {
    let examples = task.draw_many(&mut rng("characters", 0), 100);
    match examples.iter().flat_map(|example| &example.chars).find(|c| vocab.id(u32::from(**c)).is_none()) {
        None => Ok(()),
        Some(c) => {
            let steps = setup.steps;
            Err(Error::Usage(format!(
                "the training text of {steps} steps lacks '{c}', which tests use; use more steps"
            )))
        }
    }
}

/// The mean number of characters per string of the training text.
fn mean_length(task: &dyn Task, seq_len: usize) -> f64 {
    if task.layout() == TextLayout::Windows {
        return seq_len as f64;
    }
    let lengths: usize = task.draw_many(&mut rng("length", 0), 1000).iter().map(|example| example.chars.len()).sum();
    lengths as f64 / 1000.0
}
