//! Decides where and when the training loop saves a run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::observer::{Event, Observer};
use super::trainer::Trainer;
use crate::checkpoint::format;
use crate::error::{Error, Result};
use crate::run::{LockedRun, Metrics, Record};

/// Where and when a run is saved.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointPolicy<'a> {
    /// The run to save.
    pub run: &'a LockedRun,
    /// The maximum time between checkpoints if the configuration does not set `save_every`.
    pub max_interval: Duration,
    /// Whether training continues if a file cannot be written. The next save tries again.
    pub keep_going: bool,
}

/// Writes the checkpoints and metrics of a run according to its policy.
pub(super) struct RunWriter<'a> {
    policy: CheckpointPolicy<'a>,
    metrics: Metrics,
    /// The step and the time of the last save, successful or not.
    last_save: (u64, Instant),
    /// A best checkpoint that could not be written.
    pending_best: Option<Vec<u8>>,
}

impl<'a> RunWriter<'a> {
    pub fn open(policy: CheckpointPolicy<'a>, trainer: &Trainer) -> Result<Self> {
        let metrics = Metrics::open(policy.run, trainer.progress())?;
        let last_save = (trainer.progress().step, Instant::now());
        Ok(RunWriter { policy, metrics, last_save, pending_best: None })
    }

    /// Whether a checkpoint is due after the current step.
    pub fn is_due(&self, trainer: &Trainer) -> bool {
        let (step, (saved_step, saved_at)) = (trainer.progress().step, self.last_save);
        let is_due = match trainer.config().save_every {
            Some(every) => step.checked_rem(every) == Some(0),
            None => step.is_multiple_of(trainer.steps_per_epoch()) || saved_at.elapsed() >= self.policy.max_interval,
        };
        is_due && step != saved_step
    }

    /// Saves the latest checkpoint, and retries writes that failed earlier.
    pub fn save(&mut self, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        let saved = self.save_latest(trainer, observer);
        let best = self.save_pending_best(trainer, observer);
        let flushed = self.metrics.flush();
        self.tolerate(saved.and(best).and(flushed), trainer, observer)
    }

    /// Like [`save`](Self::save), but an error is never tolerated: no later save would try again.
    pub fn save_final(&mut self, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        self.policy.keep_going = false;
        self.save(trainer, observer)
    }

    /// Saves the model as the best checkpoint.
    pub fn save_best(&mut self, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        self.pending_best = Some(format::encode_checkpoint(&trainer.weights_sections()?));
        let saved = self.save_pending_best(trainer, observer);
        self.tolerate(saved, trainer, observer)
    }

    pub fn record(&mut self, record: &Record, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        let written = self.metrics.push(record);
        self.tolerate(written, trainer, observer)
    }

    fn save_latest(&mut self, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        self.last_save = (trainer.progress().step, Instant::now());
        let path = self.policy.run.latest();
        self.policy.run.save(&path, &trainer.sections()?)?;
        observer.on_event(trainer, Event::Saved(&path));
        Ok(())
    }

    fn save_pending_best(&mut self, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        let Some(best) = &self.pending_best else { return Ok(()) };
        let path: PathBuf = self.policy.run.best();
        self.policy.run.replace(&path, best)?;
        self.pending_best = None;
        observer.on_event(trainer, Event::Saved(&path));
        Ok(())
    }

    /// Reports a failed write and continues if the policy allows it.
    fn tolerate(&self, written: Result<()>, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        match written {
            Err(e @ (Error::Io { .. } | Error::InsufficientSpace { .. })) if self.policy.keep_going => {
                observer.on_event(trainer, Event::SaveFailed(&e));
                Ok(())
            }
            other => other,
        }
    }
}
