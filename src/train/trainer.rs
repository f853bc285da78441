//! The complete state of a run, and the code that advances it.

use std::time::Instant;

use rayon::ThreadPool;

use super::loader::Loader;
use super::memory::{check as check_memory, thread_pool};
use super::step::Step;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layers::dropout::Dropout;
use crate::model::{CharLm, Init, ModelConfig, Window, memory};
use crate::optim::{UpdateParams, clip_scale, learning_rate};
use crate::run::{FineTuneOrigin, Progress, TrainConfig};
use crate::score::{self, TextLoss};

const MAX_CONSECUTIVE_SKIPS: u64 = 5;
/// The minimum number of steps after which a high held-out loss counts as divergence.
const MIN_STEPS_TO_DIVERGE: u64 = 100;
/// A run has diverged if its held-out loss exceeds that of a uniform distribution by more than this, in nats.
const DIVERGENCE_MARGIN: f64 = 0.1;

/// The result of one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The mean loss of the window before the update, in nats per character.
    pub loss: f64,
    /// The global norm of the gradients before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// The number of scored characters.
    pub chars: u64,
    /// Whether the update was skipped because the loss or the gradient was not finite.
    pub skipped: bool,
}

/// A run: dataset, model, optimizer state, batch loader and carried states.
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) init: Init,
    pub(super) origin: Option<FineTuneOrigin>,
    pub(super) dataset: Dataset,
    pub(super) model: CharLm<f32>,
    pub(super) moments: Vec<Vec<f32>>,
    pub(super) step: Step<f32>,
    pub(super) loader: Loader,
    pub(super) progress: Progress,
    pub(super) elapsed_before_s: f64,
    started: Instant,
    window: Window,
    pool: ThreadPool,
}

impl Trainer {
    /// A new run with freshly initialized weights. The vocabulary is that of the dataset; `shape.vocab_size` is ignored.
    ///
    /// # Errors
    /// [`Error::Usage`] if a setting is out of range or there is not enough memory, [`Error::Corpus`] if the text is too short for
    /// one window of every stream.
    pub fn new(dataset: Dataset, shape: &ModelConfig, config: TrainConfig) -> Result<Self> {
        Self::with_init(dataset, shape, Init::default(), config)
    }

    /// Like [`new`](Self::new), with the given initialization of the weights.
    pub fn with_init(dataset: Dataset, shape: &ModelConfig, init: Init, config: TrainConfig) -> Result<Self> {
        let mut shape = ModelConfig { vocab_size: dataset.vocab().len(), ..shape.clone() };
        shape.cell = shape.validate()?.spec.name.into();
        check(&dataset, &config)?;
        check_memory(&shape, &config, &dataset)?;
        let model = CharLm::with_init(&shape, init, config.seed)?;
        Self::with_model(dataset, model, init, config)
    }

    /// A new run that starts from the weights of a model with the vocabulary of the dataset. `init` records how the weights were
    /// originally initialized.
    pub fn with_model(dataset: Dataset, model: CharLm<f32>, init: Init, config: TrainConfig) -> Result<Self> {
        let (known, needed) = (model.config().vocab_size, dataset.vocab().len());
        if known != needed {
            return Err(Error::Usage(format!(
                "the vocabulary of the model has {known} characters, but the text has {needed}"
            )));
        }
        check(&dataset, &config)?;
        check_memory(model.config(), &config, &dataset)?;
        let moment = || memory::try_zeroed("the optimizer", model.layout().len());
        let moments = (0..config.optimizer.moments()).map(|_| moment()).collect::<Result<_>>()?;
        Self::assemble(dataset, model, moments, init, config, Progress::default())
    }

    /// Assembles a run from a restored or initial state. The dataset and the configuration must have passed [`check`].
    pub(super) fn assemble(
        dataset: Dataset,
        model: CharLm<f32>,
        moments: Vec<Vec<f32>>,
        init: Init,
        config: TrainConfig,
        progress: Progress,
    ) -> Result<Self> {
        let pool = thread_pool(config.threads)?;
        let loader = Loader::new(&dataset, &config, &progress)?;
        let step = pool.install(|| Step::new(&model, config.batch_size, config.seq_len));
        Ok(Trainer {
            config,
            init,
            origin: None,
            dataset,
            model,
            moments,
            step,
            loader,
            progress,
            elapsed_before_s: 0.0,
            started: Instant::now(),
            window: Window::default(),
            pool,
        })
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }
    /// The dataset.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }
    /// The model.
    pub fn model(&self) -> &CharLm<f32> {
        &self.model
    }
    /// The progress of the run.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
    /// The origin of a fine-tuned run; `None` for a run that started from scratch.
    pub fn origin(&self) -> Option<&FineTuneOrigin> {
        self.origin.as_ref()
    }
    /// The number of threads that the run uses.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
    /// Runs `work` on the threads of the run.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
    /// Seconds of training, including the time before the run was resumed.
    pub fn elapsed_s(&self) -> f64 {
        self.elapsed_before_s + self.started.elapsed().as_secs_f64()
    }
    /// Steps per epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.loader.steps_per_epoch(&self.dataset, &self.config)
    }
    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.config.total_steps(self.steps_per_epoch())
    }
    /// Epochs so far, including the fraction of the current one.
    pub fn epochs(&self) -> f64 {
        self.progress.step as f64 / self.steps_per_epoch() as f64
    }

    /// Trains on the next window.
    ///
    /// # Errors
    /// [`Error::Changed`] if a file of the corpus was truncated, [`Error::Diverged`] after several consecutive steps whose loss or
    /// gradient was not finite.
    pub fn step(&mut self) -> Result<StepReport> {
        self.loader.read(&self.dataset, &self.config, self.progress.step, &mut self.window)?;
        let total = self.total_steps();
        let (config, progress) = (&self.config, &self.progress);
        let lr = learning_rate(config.schedule, config.lr, config.warmup, progress.step, total);
        let dropout = Dropout { rate: config.dropout, seed: config.seed, step: progress.step };
        let dropout = Some(dropout).filter(|dropout| dropout.rate > 0.0);
        let scored = self.window.scored();
        let (step, model, moments, window) = (&mut self.step, &mut self.model, &mut self.moments, &self.window);
        let (loss, grad_norm, skipped) = self.pool.install(|| {
            let loss = step.run(model, window, dropout);
            let norm = step.norm();
            let skipped = !(loss.is_finite() && norm.is_finite());
            // If no character is scored, the window only advances the carried state.
            if !skipped && scored > 0 {
                let grad_scale = clip_scale(norm, config.clip);
                let update =
                    UpdateParams { lr, weight_decay: config.weight_decay, grad_scale, step: progress.updates + 1 };
                step.update(model, moments, config.optimizer, update);
            }
            (loss, norm, skipped)
        });
        self.advance()?;
        if skipped {
            self.skip()?;
        } else if scored > 0 {
            self.progress.updates += 1;
            self.progress.consecutive_skips = 0;
            self.progress.loss = Some(loss);
        }
        Ok(StepReport { loss, grad_norm, lr, chars: scored as u64, skipped })
    }

    /// Moves past the current window.
    fn advance(&mut self) -> Result<()> {
        self.progress.step += 1;
        if self.loader.advance(&self.dataset, &self.config, &mut self.progress)? {
            self.step.states_mut().for_each(|state| state.fill(0.0));
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        self.progress.skipped += 1;
        self.progress.consecutive_skips += 1;
        // The carried state itself may be non-finite.
        self.step.states_mut().for_each(|state| state.fill(0.0));
        if self.progress.consecutive_skips < MAX_CONSECUTIVE_SKIPS {
            return Ok(());
        }
        Err(Error::Diverged(format!(
            "training diverged: the loss or gradient of the last {MAX_CONSECUTIVE_SKIPS} steps, up to step {}, was not finite",
            self.progress.step
        )))
    }

    /// The held-out loss, or `None` if no text is held out. Does not change the training state.
    ///
    /// # Errors
    /// [`Error::Changed`] if a file of the corpus was truncated.
    pub fn evaluate(&self) -> Result<Option<TextLoss>> {
        self.evaluate_unless(&|| false)
    }

    /// Like [`evaluate`](Self::evaluate), but abandons the evaluation and returns `None` when `stop`, which is called repeatedly,
    /// returns `true`.
    pub fn evaluate_unless(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<Option<TextLoss>> {
        let Some(part) = self.dataset.held_out() else { return Ok(None) };
        self.install(|| score::held_out_loss_unless(&stop, &self.model, &part, self.dataset.vocab()))
    }

    /// Whether an evaluation is scheduled for the current step and has not been done yet. A run that was stopped during an
    /// evaluation repeats it after resuming.
    pub fn evaluation_is_due(&self) -> bool {
        let step = self.progress.step;
        let every = self.config.eval_every.unwrap_or_else(|| self.steps_per_epoch());
        let is_due = every > 0 && (step.is_multiple_of(every) || step == self.total_steps());
        is_due && step > self.progress.evaluated_at && self.dataset.held_out().is_some()
    }

    /// Records a held-out loss; returns whether it is the lowest so far.
    pub fn record_evaluation(&mut self, loss: f64) -> bool {
        let progress = &mut self.progress;
        progress.held_out = Some(loss);
        progress.evaluated_at = progress.step;
        let is_best = loss.is_finite() && progress.best.is_none_or(|(best, _)| loss < best);
        if is_best {
            progress.best = Some((loss, progress.step));
            progress.evaluations_since_best = 0;
        } else {
            progress.evaluations_since_best += 1;
        }
        is_best
    }

    /// Whether early stopping ends the run.
    pub fn should_stop_early(&self) -> bool {
        self.config.patience.is_some_and(|patience| self.progress.evaluations_since_best >= patience)
    }

    /// The entropy of the character frequencies of the training text, in nats per character: the loss of the best model that
    /// ignores the context.
    pub fn unigram_entropy(&self) -> f64 {
        let counts = self.dataset.training().count_tokens(self.dataset.vocab());
        let total = counts.iter().sum::<u64>() as f64;
        counts.into_iter().filter(|count| *count > 0).map(|count| count as f64 / total).map(|p| -p * p.ln()).sum()
    }

    /// Whether the last held-out loss is above that of a uniform guess after at least 100 steps.
    pub fn has_diverged(&self) -> bool {
        let uniform = (self.dataset.vocab().len() as f64).ln();
        let is_high = |loss: f64| loss.is_nan() || loss > uniform + DIVERGENCE_MARGIN;
        self.progress.step >= MIN_STEPS_TO_DIVERGE && self.progress.held_out.is_some_and(is_high)
    }
}

/// Rejects an invalid configuration before anything large is allocated.
pub(super) fn check(dataset: &Dataset, config: &TrainConfig) -> Result<()> {
    config.validate()?;
    let (path, chars) = (dataset.corpus().name(), dataset.training().chars());
    let held_out = match dataset.config().val_file {
        Some(_) => 0,
        None => dataset.held_out().map_or(0, |part| part.chars()),
    };
    let (batch_size, seq_len) = (config.batch_size, config.seq_len);
    if seq_len >= chars && chars > 1 && held_out <= chars {
        let allowed = format!("1 to {} for {chars} characters to train on", chars - 1);
        return Err(Error::out_of_range("seq_len", seq_len, allowed));
    }
    if chars <= batch_size * seq_len {
        return Err(Error::TextTooShort { path: path.into(), chars, held_out, batch_size, seq_len });
    }
    if config.patience.is_some() && (config.eval_every == Some(0) || dataset.held_out().is_none()) {
        let reason = "training runs without evaluations".into();
        return Err(Error::Inapplicable { setting: "patience", reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Corpus, Encoding};
    use crate::optim::Schedule;

    fn trainer() -> Trainer {
        let text: Vec<u8> = (0..400).map(|i| b'a' + (i * i % 7) as u8).collect();
        let dataset = Dataset::new(Corpus::from_text("test", text, Encoding::Utf8).unwrap(), None, 0.1).unwrap();
        let shape = ModelConfig { num_layers: 1, hidden_size: 8, ..ModelConfig::default() };
        let config = TrainConfig { batch_size: 4, seq_len: 8, warmup: 0, threads: Some(1), ..TrainConfig::default() };
        let config = TrainConfig { schedule: Schedule::Constant, steps: Some(1000), ..config };
        Trainer::new(dataset, &shape, config).unwrap()
    }

    /// A step during which a weight (the last output bias) is not finite.
    fn bad_step(trainer: &mut Trainer) -> Result<StepReport> {
        let last = trainer.model.weights.len() - 1;
        let weight = std::mem::replace(&mut trainer.model.weights[last], f32::NAN);
        let report = trainer.step();
        trainer.model.weights[last] = weight;
        report
    }

    #[test]
    fn skips_steps_with_non_finite_loss_and_fails_after_five_in_a_row() {
        let mut trainer = trainer();
        let weights = trainer.model.weights.clone();
        for _ in 0..4 {
            assert!(bad_step(&mut trainer).unwrap().skipped);
        }
        assert_eq!(trainer.model.weights, weights);
        assert!(!trainer.step().unwrap().skipped);
        for _ in 0..4 {
            assert!(bad_step(&mut trainer).unwrap().skipped);
        }
        assert!(matches!(bad_step(&mut trainer), Err(Error::Diverged(_))));
        assert_eq!((trainer.progress().skipped, trainer.progress().updates), (9, 1));
    }

    #[test]
    fn a_loss_above_that_of_a_uniform_guess_is_divergence() {
        let mut trainer = trainer();
        let uniform = (trainer.dataset().vocab().len() as f64).ln();
        assert!(trainer.unigram_entropy() < uniform);
        for (step, loss, diverged) in
            [(100, uniform + 0.11, true), (99, 9.0, false), (100, uniform, false), (100, f64::NAN, true)]
        {
            trainer.progress.step = step;
            trainer.record_evaluation(loss);
            assert_eq!(trainer.has_diverged(), diverged, "{step} {loss}");
        }
    }
}
