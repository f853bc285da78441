//! Trains a model on a text made of the strings of a task, with one seed, and tests it.

use std::time::Instant;

use serde::Serialize;

use super::task::{Check, Task, TestResult, TextLayout, rng};
use super::{evaluator::Evaluator, experiment::Setup};
use crate::data::{Corpus, Dataset, Encoding, LossMask};
use crate::error::{Error, Result};
use crate::{model::Init, train::Trainer};

/// The result of a trial.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The seed.
    pub seed: u64,
    /// Whether the criterion was met.
    pub passed: bool,
    /// The measured result of the last full test.
    pub measured: String,
    /// Training steps.
    pub steps: u64,
    /// The number of characters trained on.
    pub chars: u64,
    /// The number of strings (or windows) trained on.
    pub strings: u64,
    /// Full tests: one for each quick check that met the criterion, or one at the end.
    pub tests: u64,
    /// Seconds of training and testing.
    pub seconds: f64,
}

/// Trains a model until a quick check meets the criterion and a full test confirms it, or until all steps are used and a last test
/// decides. A diverged trial has not passed. `report` receives a line of text for each quick check.
pub fn run_trial(name: &str, task: &dyn Task, setup: &Setup, seed: u64, report: &mut dyn FnMut(&str)) -> Result<Trial> {
    let start = Instant::now();
    let mut trainer = trainer(name, task, setup, seed)?;
    let test = |trainer: &Trainer, check: Check, purpose: &str| {
        let mut rng = rng(&format!("{name} {purpose}"), seed);
        let evaluator = Evaluator::new(trainer.model(), trainer.dataset().vocab());
        trainer.install(|| task.test(&evaluator, &mut rng, check))
    };
    let (mut tests, mut last) = (0, None);
    while trainer.progress().step < setup.steps {
        let loss = match trainer.step() {
            Err(Error::Diverged(problem)) => {
                last = Some((trainer.progress().step, TestResult { passed: false, measured: problem }));
                break;
            }
            result => result?.loss,
        };
        let step = trainer.progress().step;
        if step.is_multiple_of(setup.check_every) {
            // The purposes seed the generators: renaming them would change the results.
            let quick = test(&trainer, Check::Quick, "glance");
            report(&format!("seed {seed}  step {step}  loss {loss:.4}  {}", quick.measured));
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
    let TestResult { passed, measured } = match last {
        Some((step, result)) if step == steps => result,
        _ => {
            tests += 1;
            test(&trainer, Check::Full, "last test")
        }
    };
    let chars = steps * (setup.batch * setup.seq_len) as u64;
    let strings = (chars as f64 / mean_length(task, setup.seq_len)) as u64;
    Ok(Trial { seed, passed, measured, steps, chars, strings, tests, seconds: start.elapsed().as_secs_f64() })
}

fn trainer(name: &str, task: &dyn Task, setup: &Setup, seed: u64) -> Result<Trainer> {
    let config = setup.train_config(seed)?;
    let (text, mask) = training_text(name, task, setup, seed);
    let corpus = Corpus::from_text(name, text.into_bytes(), Encoding::Utf8)?;
    let dataset = Dataset::new(corpus, None, 0.0)?.with_loss_mask(mask)?;
    // A short text may lack characters that tests use.
    let examples = task.draw_many(&mut rng("characters", 0), 100);
    let mut chars = examples.iter().flat_map(|example| &example.chars);
    if let Some(c) = chars.find(|c| dataset.vocab().id(u32::from(**c)).is_none()) {
        let problem =
            format!("the training text of {} steps lacks '{c}', which tests use; use more steps", setup.steps);
        return Err(Error::Usage(problem));
    }
    let shape = setup.model_config(dataset.vocab().len());
    let has_forget_gate = shape.validate()?.spec.forget_gate.is_some();
    let init = Init { scheme: setup.scheme, forget_bias: Some(setup.forget_bias).filter(|_| has_forget_gate) };
    Trainer::with_init(dataset, &shape, init, config)
}

fn mean_length(task: &dyn Task, seq_len: usize) -> f64 {
    if task.layout() == TextLayout::Windows {
        return seq_len as f64;
    }
    let lengths: usize = task.draw_many(&mut rng("length", 0), 1000).iter().map(|example| example.chars.len()).sum();
    lengths as f64 / 1000.0
}

/// Fills a window after its string.
const PADDING: char = '.';

/// The maximum length of a text; longer training repeats it.
const MAX_CHARS: usize = 40_000_000;

/// Generates the text that a model is trained on, and its loss mask.
pub fn training_text(name: &str, task: &dyn Task, setup: &Setup, seed: u64) -> (String, LossMask) {
    let batch_chars = setup.batch * setup.seq_len;
    let chars = (setup.steps as usize).saturating_mul(batch_chars).min(MAX_CHARS).next_multiple_of(batch_chars);
    let (mut text, mut mask) = (String::new(), LossMask::default());
    let mut push = |mask: &mut LossMask, c, weight, reset| {
        text.push(c);
        mask.push(weight, reset);
    };
    let (mut rng, layout) = (rng(&format!("{name} train"), seed), task.layout());
    while mask.len() < chars {
        let example = task.draw(&mut rng);
        if task.is_held_out(&example) {
            continue;
        }
        for (i, c) in example.chars.iter().enumerate() {
            push(&mut mask, *c, example.loss_weight(i), i == 0 && layout != TextLayout::Stream);
        }
        if layout == TextLayout::Windows {
            (example.chars.len()..setup.seq_len).for_each(|_| push(&mut mask, PADDING, 0.0, false));
        }
    }
    // The last character is only a target. With it, the streams divide into whole windows.
    push(&mut mask, PADDING, 0.0, false);
    (text, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::{Kind, evaluator::Example, find, task::TaskOptions};

    #[test]
    fn held_out_strings_are_not_in_the_training_text() {
        for name in ["arithmetic", "parity", "timing"] {
            let Kind::Task { task, setup } = find(name).unwrap().kind else { panic!() };
            let (task, setup) = (task(&TaskOptions::default()).unwrap(), setup(&TaskOptions::default()));
            let setup = Setup { steps: 60_000 / (setup.batch * setup.seq_len) as u64, ..setup };
            let (text, mask) = training_text(name, task.as_ref(), &setup, 1);
            let text: Vec<char> = text.chars().collect();
            assert_eq!(text.len(), mask.len());
            let strings: Vec<Vec<char>> = if task.layout() == TextLayout::Windows {
                let windows = text.chunks_exact(setup.seq_len);
                windows.map(|window| window.iter().copied().filter(|c| *c != PADDING).collect()).collect()
            } else {
                text.split_inclusive(|c| *c == '\n').map(<[char]>::to_vec).collect()
            };
            let (_, complete) = strings.split_last().unwrap();
            let is_held_out =
                |chars: &Vec<char>| task.is_held_out(&Example { chars: chars.clone(), allowed: Vec::new() });
            assert!(complete.len() > 100 && !complete.iter().any(is_held_out), "{name}");
        }
    }
}
