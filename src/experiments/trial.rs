//! One run of an experiment: text, training, test.

use std::time::Instant;

use serde::Serialize;

use super::{Look, Subject, Task, Training, Verdict, rng, sample};
use crate::data::{Corpus, Dataset, Encoding, LossMask, Vocab};
use crate::error::{Error, Result};
use crate::model::{Init, ModelConfig, Scheme};
use crate::optim::{Optimizer, Schedule};
use crate::train::{TrainConfig, Trainer};

/// Characters of a text at most; longer training reads it again.
const MOST_CHARS: usize = 40_000_000;

/// A net and its training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setup {
    /// The cell.
    pub cell: String,
    /// Recurrent layers.
    pub layers: usize,
    /// Units of each.
    pub hidden: usize,
    /// Streams side by side.
    pub batch: usize,
    /// Characters that gradients flow back over.
    pub seq_len: usize,
    /// Steps at most.
    pub steps: u64,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub lr: f64,
    /// The shape of the learning rate after the warm-up.
    pub schedule: Schedule,
    /// The global norm that gradients are clipped to.
    pub clip: f64,
    /// How the recurrent layer's weights are drawn.
    pub scheme: Scheme,
    /// The bias that a forget gate begins with.
    pub forget_bias: f64,
    /// Decoupled weight decay: what a net does not need goes, and what it has learned holds further.
    pub weight_decay: f64,
    /// Steps from one glance at the criterion to the next.
    pub glance_every: u64,
}

impl Setup {
    /// Checks every number, before any text is made.
    ///
    /// # Errors
    /// [`Error::Usage`] naming what is out of range.
    pub fn validate(&self) -> Result<()> {
        config(self, 0)?;
        self.shape(1).validate().map(|_| ())
    }

    fn shape(&self, vocab: usize) -> ModelConfig {
        ModelConfig { cell: self.cell.clone(), layers: self.layers, hidden: self.hidden, embed: 0, vocab }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            cell: "lstm".into(),
            layers: 1,
            hidden: 32,
            batch: 16,
            seq_len: 64,
            steps: 5000,
            optimizer: Optimizer::Adamw,
            lr: 5e-3,
            schedule: Schedule::Cosine,
            clip: 1.0,
            scheme: Scheme::Orthogonal,
            forget_bias: 1.0,
            weight_decay: 0.0,
            glance_every: 100,
        }
    }
}

/// What is told on the way.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Steps so far.
    pub step: u64,
    /// The loss of the last step, in nats per character that counts.
    pub loss: f64,
    /// What a glance at the criterion showed.
    pub measured: &'a str,
}

/// How a run of an experiment went.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Its seed.
    pub seed: u64,
    /// Whether the criterion was met.
    pub passed: bool,
    /// The figure of the test.
    pub measured: String,
    /// Steps of training.
    pub steps: u64,
    /// Characters that were read.
    pub chars: u64,
    /// Strings that were read, or windows.
    pub strings: u64,
    /// Tests that were made: one for each glance that met the criterion, or one at the end.
    pub tests: u64,
    /// Seconds of training and testing.
    pub seconds: f64,
}

/// The text that a run of the experiment of that name learns from.
pub fn training(name: &str, task: &dyn Task, setup: &Setup, seed: u64) -> (String, LossMask) {
    let wanted = (setup.steps as usize).saturating_mul(setup.batch * setup.seq_len).min(MOST_CHARS);
    // Whole windows for every stream.
    let window = setup.batch * setup.seq_len;
    let chars = wanted.next_multiple_of(window);
    sample::text(task, &mut rng(&format!("{name} train"), seed), chars, setup.seq_len)
}

/// Trains until a glance shows the criterion met and the test confirms it, or the steps are used up; then the test decides. A run
/// that diverges has not passed.
///
/// # Errors
/// What training can fail with beside.
pub fn trial(
    name: &str,
    task: &dyn Task,
    setup: &Setup,
    seed: u64,
    tell: &mut dyn FnMut(&Report<'_>),
) -> Result<Trial> {
    let begun = Instant::now();
    let mut trainer = trainer(name, task, setup, seed)?;
    let judge = |trainer: &Trainer, look: Look, purpose: &str| {
        let mut rng = rng(&format!("{name} {purpose}"), seed);
        let subject = Subject::new(trainer.model(), trainer.dataset().vocab());
        trainer.install(|| task.judge(&subject, &mut rng, look))
    };
    let (mut tests, mut last) = (0, None);
    while trainer.progress().step < setup.steps {
        let report = match trainer.step() {
            Err(Error::Diverged(problem)) => {
                last = Some((trainer.progress().step, Verdict { passed: false, measured: problem }));
                break;
            }
            report => report?,
        };
        let step = trainer.progress().step;
        if step.is_multiple_of(setup.glance_every) {
            let glance = judge(&trainer, Look::Glance, "glance");
            tell(&Report { step, loss: report.loss, measured: &glance.measured });
            if glance.passed {
                // Every test draws strings of its own.
                tests += 1;
                let test = judge(&trainer, Look::Test, &format!("test {tests}"));
                let passed = test.passed;
                last = Some((step, test));
                if passed {
                    break;
                }
            }
        }
    }
    let steps = trainer.progress().step;
    let verdict = match last {
        Some((step, verdict)) if step == steps => verdict,
        _ => {
            tests += 1;
            judge(&trainer, Look::Test, "last test")
        }
    };
    let chars = steps * (setup.batch * setup.seq_len) as u64;
    let mean = mean_length(task, setup.seq_len);
    Ok(Trial {
        seed,
        passed: verdict.passed,
        measured: verdict.measured,
        steps,
        chars,
        strings: (chars as f64 / mean) as u64,
        tests,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn trainer(name: &str, task: &dyn Task, setup: &Setup, seed: u64) -> Result<Trainer> {
    let config = config(setup, seed)?;
    let (text, marks) = training(name, task, setup, seed);
    let corpus = Corpus::from_text(name, text.into_bytes(), Encoding::Utf8)?;
    let texts = Dataset::new(corpus, None, 0.0)?.with_loss_mask(marks)?;
    must_have_all(texts.vocab(), task, setup)?;
    let shape = setup.shape(texts.vocab().len());
    let has_forget_gate = shape.validate()?.spec.forget_gate.is_some();
    let init = Init { scheme: setup.scheme, forget_bias: Some(setup.forget_bias).filter(|_| has_forget_gate) };
    Trainer::with_init(texts, &shape, init, config)
}

/// Refuses a text so short that it lacks characters of which tests consist.
fn must_have_all(vocab: &Vocab, task: &dyn Task, setup: &Setup) -> Result<()> {
    let samples = task.draws(&mut rng("characters", 0), 100);
    match samples.iter().flat_map(|sample| &sample.chars).find(|c| vocab.id(u32::from(**c)).is_none()) {
        None => Ok(()),
        Some(c) => {
            let steps = setup.steps;
            Err(Error::Usage(format!("the text of --steps {steps} does not have '{c}', which is asked for; take more")))
        }
    }
}

fn config(setup: &Setup, seed: u64) -> Result<TrainConfig> {
    let config = TrainConfig {
        batch: setup.batch,
        seq_len: setup.seq_len,
        steps: Some(setup.steps),
        optimizer: setup.optimizer,
        lr: setup.lr,
        schedule: setup.schedule,
        clip: setup.clip,
        warmup: 20,
        weight_decay: setup.weight_decay,
        dropout: 0.0,
        eval_every: Some(0),
        seed,
        ..TrainConfig::default()
    };
    config.validate()?;
    Ok(config)
}

/// Characters of a string on average, or those of its window.
fn mean_length(task: &dyn Task, seq_len: usize) -> f64 {
    if task.training() == Training::Windows {
        return seq_len as f64;
    }
    let lengths: usize = task.draws(&mut rng("length", 0), 1000).iter().map(|sample| sample.chars.len()).sum();
    lengths as f64 / 1000.0
}
