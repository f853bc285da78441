//! The whole state of a run.

use rayon::ThreadPool;
use serde::{Deserialize, Serialize};

use super::brake::Brake;
use super::config::TrainConfig;
use super::memory::{self, Given};
use super::step::Step;
use super::tune::Beginning;
use crate::data::{BatchLoader, Dataset};
use crate::error::{Error, Result};
use crate::layers::dropout::Dropout;
use crate::model::{CharLm, Init, ModelConfig, Window};
use crate::optim::{UpdateParams, clip_scale, learning_rate};
use crate::score::{self, Loss};

/// Steps without a finite loss and gradient, one after another, that end a run.
const MOST_SKIPPED_IN_A_ROW: u64 = 5;

/// How far a run has come. A checkpoint holds it and `state_hash` covers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Windows that were trained on (or skipped).
    pub step: u64,
    /// Epochs that are complete.
    pub epoch: u64,
    /// Characters that every stream has given in this epoch.
    pub position: u64,
    /// Updates of the weights.
    pub updates: u64,
    /// Steps that were skipped, their loss or gradient not being finite.
    pub skipped: u64,
    /// Of these, the last ones in a row.
    pub skipped_in_a_row: u64,
    /// The training loss of the last step, in nats.
    pub loss: Option<f64>,
    /// The last held-out loss, in nats.
    pub held_out: Option<f64>,
    /// The lowest held-out loss, in nats, and the step it was measured at.
    pub best: Option<(f64, u64)>,
    /// Evaluations since then.
    pub since_best: u64,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The mean loss of the window, in nats per character, before the update.
    pub loss: f64,
    /// The global norm of the gradients, before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// Characters that were predicted.
    pub chars: u64,
    /// Whether the update was left out because the loss or the gradient was not finite.
    pub skipped: bool,
    /// Whether that was the second within [`STEPS_BETWEEN_SKIPS`](super::STEPS_BETWEEN_SKIPS) steps, so that the learning rate is
    /// half of what it was from the next step on.
    pub halved: bool,
}

/// A run: texts, model, optimizer state, streams and their carried states.
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) init: Init,
    pub(super) beginning: Option<Beginning>,
    pub(super) texts: Dataset,
    pub(super) model: CharLm<f32>,
    pub(super) moments: Vec<Vec<f32>>,
    pub(super) step: Step<f32>,
    pub(super) streams: BatchLoader,
    pub(super) progress: Progress,
    pub(super) brake: Brake,
    pub(super) owes_evaluation: bool,
    window: Window,
    pool: ThreadPool,
}

impl Trainer {
    /// A run at its beginning: fresh weights of that shape. Its vocabulary is that of the texts, whatever `shape` has.
    ///
    /// # Errors
    /// [`Error::Usage`] for a choice out of range, [`Error::Corpus`] for a text shorter than a window of every stream.
    pub fn new(texts: Dataset, shape: &ModelConfig, config: TrainConfig) -> Result<Self> {
        Self::with_init(texts, shape, Init::default(), config)
    }

    /// A run at its beginning, its weights drawn as `init` says.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_init(texts: Dataset, shape: &ModelConfig, init: Init, config: TrainConfig) -> Result<Self> {
        let mut shape = ModelConfig { vocab: texts.vocab().len(), ..shape.clone() };
        shape.cell = shape.validate()?.spec.name.into();
        check(&texts, &config)?;
        let pool = memory::threads(&shape, &config, Given::of(&texts, false))?;
        let model = CharLm::with_init(&shape, init, config.seed)?;
        Ok(Self::beginning_with(texts, model, init, config, pool))
    }

    /// A run at its beginning with the weights of a model, whose characters are those of the texts; `init` says how they once began.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Usage`] for a model of more or fewer characters.
    pub fn with_model(texts: Dataset, model: CharLm<f32>, init: Init, config: TrainConfig) -> Result<Self> {
        let (known, needed) = (model.config().vocab, texts.vocab().len());
        if known != needed {
            return Err(Error::Usage(format!("a model of {known} characters for texts of {needed}")));
        }
        check(&texts, &config)?;
        let pool = memory::threads(model.config(), &config, Given::of(&texts, true))?;
        Ok(Self::beginning_with(texts, model, init, config, pool))
    }

    fn beginning_with(texts: Dataset, model: CharLm<f32>, init: Init, config: TrainConfig, pool: ThreadPool) -> Self {
        let moments = vec![vec![0.0; model.layout().len()]; config.optimizer.moments()];
        Trainer { init, ..Self::with(texts, model, moments, config, Progress::default(), pool) }
    }

    /// A run anywhere on its way, with texts and a configuration that were [checked](check).
    pub(super) fn with(
        texts: Dataset,
        model: CharLm<f32>,
        moments: Vec<Vec<f32>>,
        config: TrainConfig,
        progress: Progress,
        pool: ThreadPool,
    ) -> Self {
        let (corpus, part) = texts.training();
        let streams = BatchLoader::new(corpus, part, config.batch, progress.position as usize);
        let step = pool.install(|| Step::new(&model, config.batch, config.seq_len));
        let (init, beginning, window, brake) = (Init::default(), None, Window::default(), Brake::default());
        let owes_evaluation = false;
        Trainer {
            config,
            init,
            beginning,
            texts,
            model,
            moments,
            step,
            streams,
            progress,
            brake,
            owes_evaluation,
            window,
            pool,
        }
    }

    /// How it trains.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }
    /// What it trains on.
    pub fn texts(&self) -> &Dataset {
        &self.texts
    }
    /// The model.
    pub fn model(&self) -> &CharLm<f32> {
        &self.model
    }
    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
    /// What steps that were skipped have left of the learning rate.
    pub fn brake(&self) -> Brake {
        self.brake
    }
    /// Threads that it uses.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
    /// Runs something on its threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.streams.len().div_ceil(self.config.seq_len) as u64
    }
    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.config.total_steps(self.steps_per_epoch())
    }
    /// Epochs so far, the one at hand in part.
    pub fn epochs(&self) -> f64 {
        self.progress.step as f64 / self.steps_per_epoch() as f64
    }

    /// Trains on the next window.
    ///
    /// # Errors
    /// [`Error::Changed`] where a file was cut short underneath, [`Error::Diverged`] after several steps in a row whose loss or
    /// gradient was not finite.
    pub fn step(&mut self) -> Result<StepReport> {
        self.read_window()?;
        let total = self.total_steps();
        let (config, progress) = (&self.config, &mut self.progress);
        let lr = learning_rate(config.schedule, config.lr, config.warmup, progress.step, total) * self.brake.share();
        let dropout = Dropout { rate: config.dropout, seed: config.seed, step: progress.step };
        let dropout = Some(dropout).filter(|dropout| dropout.rate > 0.0);
        let scored = self.window.scored();
        let (step, model, moments, window) = (&mut self.step, &mut self.model, &mut self.moments, &self.window);
        let (loss, grad_norm, skipped) = self.pool.install(|| {
            let loss = step.run(model, window, dropout);
            let norm = step.norm();
            let skipped = !(loss.is_finite() && norm.is_finite());
            // A window in which nothing counts carries the state on, and teaches nothing.
            if !skipped && scored > 0 {
                let scale = clip_scale(norm, config.clip);
                let number = progress.updates + 1;
                let update = UpdateParams { lr, weight_decay: config.weight_decay, scale, number };
                step.update(model, moments, config.optimizer, update);
            }
            (loss, norm, skipped)
        });
        let halved = skipped && self.brake.skip(self.progress.step);
        self.advance();
        let progress = &mut self.progress;
        if skipped {
            progress.skipped += 1;
            progress.skipped_in_a_row += 1;
            // What is not finite may be the state, and would be carried on.
            self.step.states_mut().for_each(|state| state.fill(0.0));
            if progress.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW {
                return Err(Error::Diverged(format!(
                    "training diverged: {MOST_SKIPPED_IN_A_ROW} steps in a row, up to step {}, had a loss or gradient that \
                     is not finite; try a lower learning rate",
                    progress.step
                )));
            }
        } else if scored > 0 {
            progress.updates += 1;
            progress.skipped_in_a_row = 0;
            progress.loss = Some(loss);
        }
        Ok(StepReport { loss, grad_norm, lr, chars: scored as u64, skipped, halved })
    }

    fn read_window(&mut self) -> Result<()> {
        let (corpus, _) = self.texts.training();
        let steps = self.streams.next_steps(self.config.seq_len);
        let window = &mut self.window;
        window.clear(steps, self.config.batch);
        let (inputs, targets, weights) = (&mut window.inputs, &mut window.targets, &mut window.weights);
        self.streams.read(corpus, self.texts.vocab(), steps, inputs, targets, weights)?;
        if let Some(marks) = self.texts.loss_mask() {
            window.resets.resize(steps * self.config.batch, false);
            self.streams.apply_loss_mask(marks, steps, &mut window.weights, &mut window.resets);
        }
        Ok(())
    }

    /// Moves on; behind the last window of an epoch to the first of the next, with every state zero.
    fn advance(&mut self) {
        self.progress.step += 1;
        if self.streams.next_steps(self.config.seq_len) == 0 {
            self.streams.rewind(self.texts.training().0);
            self.progress.epoch += 1;
            self.step.states_mut().for_each(|state| state.fill(0.0));
        }
        self.progress.position = self.streams.position() as u64;
    }

    /// The held-out loss; `None` where nothing is held out. Touches nothing of the training state.
    ///
    /// # Errors
    /// [`Error::Changed`] where a file was cut short underneath.
    pub fn held_out(&self) -> Result<Option<Loss>> {
        self.held_out_unless(&|| false)
    }

    /// As [`held_out`](Self::held_out); `None` also where it was broken off, since `stop` said so, which is asked all the while.
    ///
    /// # Errors
    /// As [`held_out`](Self::held_out).
    pub fn held_out_unless(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<Option<Loss>> {
        let Some((corpus, part)) = self.texts.held_out() else { return Ok(None) };
        self.pool.install(|| score::held_out_unless(&stop, &self.model, corpus, self.texts.vocab(), part))
    }

    /// Whether an evaluation at this step was due and is still to come: a run goes on with it.
    pub fn owes_evaluation(&self) -> bool {
        self.owes_evaluation
    }

    /// Takes note of a held-out loss; returns whether it is the lowest so far.
    pub fn judge(&mut self, loss: f64) -> bool {
        self.owes_evaluation = false;
        let progress = &mut self.progress;
        progress.held_out = Some(loss);
        let better = loss.is_finite() && progress.best.is_none_or(|(best, _)| loss < best);
        if better {
            progress.best = Some((loss, progress.step));
            progress.since_best = 0;
        } else {
            progress.since_best += 1;
        }
        better
    }

    /// Whether patience has run out.
    pub fn is_out_of_patience(&self) -> bool {
        self.config.patience.is_some_and(|patience| self.progress.since_best >= patience)
    }
}

/// Refuses what cannot be trained, before anything large is made.
pub(super) fn check(texts: &Dataset, config: &TrainConfig) -> Result<()> {
    config.validate()?;
    let (corpus, part) = texts.training();
    if config.seq_len >= part.len() && part.len() > 1 {
        let allowed = format!("1 to {} for {} characters to train on", part.len() - 1, part.len());
        return Err(Error::out_of_range("seq_len", config.seq_len, allowed));
    }
    let window = config.batch * config.seq_len;
    if part.len() <= window {
        let (path, chars, batch_size, seq_len) = (corpus.name().into(), part.len(), config.batch, config.seq_len);
        return Err(Error::TextTooShort { path, chars, batch_size, seq_len });
    }
    if config.patience.is_some() && (config.eval_every == Some(0) || texts.held_out().is_none()) {
        return Err(Error::Usage(
            "early stopping (patience) needs evaluations; hold out some text and evaluate during training".into(),
        ));
    }
    Ok(())
}
