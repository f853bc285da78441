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
    /// All steps are done.
    Finished,
    /// The requested step was reached.
    StoppedAt,
    /// Early stopping: the held-out loss did not improve for the configured number of evaluations.
    OutOfPatience,
    /// The observer asked to stop.
    Stopped,
}

/// Trains until the run ends, or until step `stop_at`. Without a `policy` nothing is written.
///
/// # Errors
/// Errors of steps, evaluations and saving. If a text was changed ([`Error::Changed`]) or a file could not be written, the loop
/// still tries to save what was learned.
pub fn fit(
    trainer: &mut Trainer,
    policy: Option<CheckpointPolicy<'_>>,
    stop_at: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let writer = policy.map(|policy| RunWriter::open(policy, trainer)).transpose()?;
    let mut training = Training { trainer, writer, observer, interval: Interval::default() };
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
    interval: Interval,
}

/// What is collected between two records of the training loss.
#[derive(Default)]
struct Interval {
    /// The sum of the losses of all characters of steps that were not skipped, and their number.
    nats: f64,
    nats_chars: u64,
    chars: u64,
    time: Duration,
    lr: f64,
    grad_norm: f64,
}

impl Interval {
    fn add(&mut self, report: &StepReport, time: Duration) {
        self.time += time;
        self.chars += report.chars;
        (self.lr, self.grad_norm) = (report.lr, report.grad_norm);
        if !report.skipped {
            self.nats += report.loss * report.chars as f64;
            self.nats_chars += report.chars;
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
                return Ok(Outcome::StoppedAt);
            }
            if self.trainer.is_out_of_patience() {
                return Ok(Outcome::OutOfPatience);
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
        self.interval.add(&report, start.elapsed());
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
        let Interval { nats, nats_chars, chars, time, lr, grad_norm } = std::mem::take(&mut self.interval);
        if chars == 0 || self.trainer.config().log_every == 0 {
            return Ok(());
        }
        let record = TrainRecord {
            step: self.trainer.progress().step,
            epoch: self.trainer.epochs(),
            loss: (nats_chars > 0).then(|| nats / nats_chars as f64),
            lr,
            grad_norm: Some(grad_norm).filter(|norm| norm.is_finite()),
            chars_per_s: chars as f64 / time.as_secs_f64().max(1e-9),
            elapsed_s: self.trainer.elapsed_s(),
        };
        self.observer.on_event(self.trainer, Event::Record(&record));
        self.write(Record::Train(record))
    }

    /// Evaluates the held-out text; returns `false` if the observer asked to stop, and then leaves no trace.
    fn evaluate(&mut self) -> Result<bool> {
        let observer = &*self.observer;
        let Some(loss) = self.trainer.evaluate_unless(&|| observer.should_stop())? else { return Ok(false) };
        let before = self.trainer.progress().clone();
        let best = self.trainer.record_evaluation(loss.nats());
        if best && let Some(writer) = &mut self.writer {
            if let Err(e) = writer.save_best(self.trainer, self.observer) {
                // A checkpoint must not claim a best one that does not exist.
                self.trainer.progress = before;
                return Err(e);
            }
            // A best checkpoint of which the latest one does not know would be lost when the run resumes.
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
        writer.save_at_the_end(self.trainer, self.observer).and(recorded)
    }
}
