//! The training loop: steps, records, evaluations and checkpoints.

use std::time::{Duration, Instant};

use super::checkpoint_policy::{CheckpointPolicy, RunWriter};
use super::observer::{Event, Observer};
use super::trainer::{StepReport, Trainer};
use crate::error::{Error, Result};
use crate::run::{EvalRecord, Record, TrainRecord};

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were completed.
    Finished,
    /// The requested step was reached.
    ReachedStopStep,
    /// Early stopping: the held-out loss did not improve for the configured number of evaluations.
    StoppedEarly,
    /// The observer asked to stop.
    Stopped,
}

/// Trains until the run ends or reaches step `stop_at`. Without a `policy`, nothing is written to disk.
///
/// # Errors
/// Errors of steps, evaluations and saving. If a text changed ([`Error::Changed`]) or a file could not be written, the loop
/// still tries to save the run.
pub fn fit(
    trainer: &mut Trainer,
    policy: Option<CheckpointPolicy<'_>>,
    stop_at: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let writer = policy.map(|policy| RunWriter::open(policy, trainer)).transpose()?;
    let mut training = Training { trainer, writer, observer, stats: TrainStats::default() };
    let outcome = training.run(stop_at);
    if let Err(Error::Diverged { .. } | Error::Internal(_)) = outcome {
        return outcome;
    }
    let saved = training.finish();
    let outcome = outcome?;
    saved.map(|()| outcome)
}

struct Training<'a> {
    trainer: &'a mut Trainer,
    writer: Option<RunWriter<'a>>,
    observer: &'a mut dyn Observer,
    stats: TrainStats,
}

/// Statistics collected between two training records.
#[derive(Default)]
struct TrainStats {
    /// The sum of the losses of all characters of steps that were not skipped, and their number.
    loss_sum: f64,
    loss_chars: u64,
    chars: u64,
    time: Duration,
    lr: f64,
    grad_norm: f64,
}

impl TrainStats {
    fn add(&mut self, report: &StepReport, time: Duration) {
        self.time += time;
        self.chars += report.chars;
        (self.lr, self.grad_norm) = (report.lr, report.grad_norm);
        if !report.skipped {
            self.loss_sum += report.loss * report.chars as f64;
            self.loss_chars += report.chars;
        }
    }
}

impl Training<'_> {
    fn run(&mut self, stop_at: Option<u64>) -> Result<Outcome> {
        let total = self.trainer.total_steps();
        loop {
            if self.trainer.evaluation_is_due() && !self.evaluate()? {
                return Ok(Outcome::Stopped);
            }
            let step = self.trainer.progress().step;
            if step >= total {
                return Ok(Outcome::Finished);
            }
            if stop_at.is_some_and(|at| step >= at) {
                return Ok(Outcome::ReachedStopStep);
            }
            if self.trainer.should_stop_early() {
                return Ok(Outcome::StoppedEarly);
            }
            if self.observer.should_stop() {
                return Ok(Outcome::Stopped);
            }
            if self.observer.should_save() || self.writer.as_ref().is_some_and(|writer| writer.is_due(self.trainer)) {
                self.save()?;
            }
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<()> {
        let start = Instant::now();
        let report = self.trainer.step()?;
        self.stats.add(&report, start.elapsed());
        self.observer.on_event(self.trainer, Event::Step(&report));
        let step = self.trainer.progress().step;
        if step == self.trainer.total_steps() || step.is_multiple_of(self.trainer.steps_per_epoch()) {
            self.trainer.dataset().check_unchanged()?;
        }
        if step.checked_rem(self.trainer.config().log_every) == Some(0) {
            self.record()?;
        }
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        let TrainStats { loss_sum, loss_chars, chars, time, lr, grad_norm } = std::mem::take(&mut self.stats);
        if chars == 0 || self.trainer.config().log_every == 0 {
            return Ok(());
        }
        let record = TrainRecord {
            step: self.trainer.progress().step,
            epoch: self.trainer.epochs(),
            loss: (loss_chars > 0).then(|| loss_sum / loss_chars as f64),
            lr,
            grad_norm: Some(grad_norm).filter(|norm| norm.is_finite()),
            chars_per_s: chars as f64 / time.as_secs_f64().max(1e-9),
            elapsed_s: self.trainer.elapsed_s(),
        };
        self.observer.on_event(self.trainer, Event::Record(&record));
        self.write(Record::Train(record))
    }

    /// Evaluates the held-out text. Returns `false`, without recording the loss, if the observer asked to stop.
    fn evaluate(&mut self) -> Result<bool> {
        let observer = &*self.observer;
        let Some(loss) = self.trainer.evaluate_unless(&|| observer.should_stop())? else { return Ok(false) };
        let before = self.trainer.progress().clone();
        let best = self.trainer.record_evaluation(loss.nats());
        if best && let Some(writer) = &mut self.writer {
            if let Err(e) = writer.save_best(self.trainer, self.observer) {
                // The saved progress must not refer to a best checkpoint that does not exist.
                self.trainer.progress = before;
                return Err(e);
            }
            // If `latest.ckpt` did not record the new best loss, a resumed run could overwrite `best.ckpt` with a worse one.
            writer.save(self.trainer, self.observer)?;
        }
        let finite = |x: f64| Some(x).filter(|x| x.is_finite());
        let record = EvalRecord {
            step: self.trainer.progress().step,
            epoch: self.trainer.epochs(),
            loss: finite(loss.nats()),
            bpc: finite(loss.bits()),
            best,
            elapsed_s: self.trainer.elapsed_s(),
        };
        self.write(Record::Eval(record.clone()))?;
        self.observer.on_event(self.trainer, Event::Evaluated(&record));
        Ok(true)
    }

    fn write(&mut self, record: Record) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.record(&record, self.trainer, self.observer)
    }

    fn save(&mut self) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.save(self.trainer, self.observer)
    }

    fn finish(&mut self) -> Result<()> {
        let recorded = self.record();
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.save_final(self.trainer, self.observer).and(recorded)
    }
}
