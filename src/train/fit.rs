//! The loop of a run: steps, records, evaluations, checkpoints.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::metrics::{EvalRecord, Metrics, Record, TrainRecord};
use super::observer::{Event, Observer};
use super::trainer::Trainer;
use crate::checkpoint::format::{self, Section};
use crate::checkpoint::{LockedRun, RunFolder};
use crate::data::DatasetConfig;
use crate::error::{Error, Result};

/// The section of a latest checkpoint that has the best one in it, as bytes, since that could not be written.
pub const BEST: &str = "best";

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All its steps are made.
    Finished,
    /// The step to stop at is reached.
    StoppedAt,
    /// The held-out loss has not improved for as many evaluations as patience allows.
    OutOfPatience,
    /// The observer asked for it.
    Stopped,
}

/// Where a run is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// Its folder.
    pub folder: &'a LockedRun,
    /// Where its texts are, for resuming.
    pub texts: &'a DatasetConfig,
    /// Seconds it has trained before.
    pub elapsed_s: f64,
    /// A best checkpoint that could not be written before: that of a checkpoint's section [`BEST`].
    pub best: Option<&'a [u8]>,
    /// The time from one checkpoint to the next, where no number of steps is chosen.
    pub save_after: Duration,
    /// Whether training goes on where something cannot be written, but for the last checkpoint.
    pub keep_going: bool,
}

/// Trains until the run ends. With `keep`, checkpoints and metrics go to its folder; without, nothing is written.
///
/// # Errors
/// What stepping, scoring and saving can fail with. Nothing that was saved before is lost; where a text was changed meanwhile
/// ([`Error::Changed`]), or something could not be written, what was learned up to then is saved if that can be.
pub fn fit(
    trainer: &mut Trainer,
    keep: Option<Keep<'_>>,
    stop_at: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let (step, owed) = (trainer.progress().step, trainer.owes_evaluation());
    let metrics = keep.map(|keep| Metrics::open(keep.folder, step, owed)).transpose()?;
    let (begun, interval) = (Instant::now(), Interval::default());
    let (saved, unsaved_best) = ((step, begun), keep.and_then(|keep| keep.best).map(Cow::Borrowed));
    let mut run = Run { trainer, keep, metrics, observer, begun, saved, interval, unsaved_best };
    let outcome = match run.steps(stop_at) {
        Err(e) if !matches!(e, Error::Changed { .. }) && !e.is_unwritten() => return Err(e),
        outcome => outcome,
    };
    // What is missing from the records must not cost the checkpoint, whose clock goes on from theirs.
    let record = run.gathered();
    let saved = run.save();
    let recorded = run.record(record).and(run.flush());
    run.save_beside();
    let outcome = match outcome {
        // It comes last: it may take its time.
        Ok(early) if early != Outcome::Finished => run.watch_texts().map(|()| early),
        outcome => outcome,
    };
    match (outcome, saved.and(recorded)) {
        (Err(Error::Changed { path, problem }), Err(e)) => {
            Err(Error::Changed { path, problem: format!("{problem}; and not all since could be saved: {e}") })
        }
        (outcome, written) => outcome.and_then(|outcome| written.map(|()| outcome)),
    }
}

struct Run<'a> {
    trainer: &'a mut Trainer,
    keep: Option<Keep<'a>>,
    metrics: Option<Metrics<'a>>,
    observer: &'a mut dyn Observer,
    begun: Instant,
    /// The step at which it was last saved, or that was tried, and when.
    saved: (u64, Instant),
    interval: Interval,
    /// A `best.ckpt` that could not be written.
    unsaved_best: Option<Cow<'a, [u8]>>,
}

/// What has gathered since the last record.
#[derive(Default)]
struct Interval {
    loss: f64,
    losses: u32,
    chars: u64,
    time: Duration,
    lr: f64,
    grad_norm: f64,
}

impl Run<'_> {
    fn steps(&mut self, stop_at: Option<u64>) -> Result<Outcome> {
        let (total, epoch) = (self.trainer.total_steps(), self.trainer.steps_per_epoch());
        let config = self.trainer.config().clone();
        let due = |every: Option<u64>, step: u64| step.checked_rem(every.unwrap_or(epoch)) == Some(0);
        if self.trainer.owes_evaluation() && !self.evaluate()? {
            return Ok(Outcome::Stopped);
        }
        while self.trainer.progress().step < total {
            let step = self.trainer.progress().step;
            if stop_at.is_some_and(|at| step >= at) {
                return Ok(Outcome::StoppedAt);
            }
            if self.trainer.is_out_of_patience() {
                return Ok(Outcome::OutOfPatience);
            }
            if self.observer.should_stop() {
                return Ok(Outcome::Stopped);
            }
            if self.observer.should_save() {
                self.save_on_the_way()?;
            }
            self.step()?;
            let step = step + 1;
            // Whatever comes between, the evaluation will be made up for.
            let to_evaluate = due(config.eval_every, step) || (step == total && config.eval_every != Some(0));
            self.trainer.owes_evaluation = to_evaluate && self.trainer.texts().held_out().is_some();
            if step == total || step.is_multiple_of(epoch) {
                self.watch_texts()?;
            }
            if due(Some(config.log_every), step) {
                let record = self.gathered();
                let recorded = self.record(record);
                self.go_on_if_unwritten(recorded)?;
            }
            if self.trainer.owes_evaluation() && !self.evaluate()? {
                return Ok(Outcome::Stopped);
            }
            let (saved, since) = self.saved;
            let is_time =
                config.save_every.is_none() && self.keep.is_some_and(|keep| since.elapsed() >= keep.save_after);
            // The end of the run is saved in any case.
            let ends = step == total || stop_at.is_some_and(|at| step >= at);
            if !ends && saved != step && (is_time || due(config.save_every, step)) {
                self.save_on_the_way()?;
            }
        }
        Ok(Outcome::Finished)
    }

    fn step(&mut self) -> Result<()> {
        let begun = Instant::now();
        let report = self.trainer.step()?;
        self.interval.time += begun.elapsed();
        self.interval.chars += report.chars;
        (self.interval.lr, self.interval.grad_norm) = (report.lr, report.grad_norm);
        if !report.skipped {
            self.interval.loss += report.loss;
            self.interval.losses += 1;
        }
        self.observer.on_event(self.trainer, Event::Step(&report));
        Ok(())
    }

    /// Makes sure that what was trained on is what was opened.
    fn watch_texts(&mut self) -> Result<()> {
        self.trainer.texts().check_unchanged()
    }

    /// What the steps since the last record come to; `None` where there are none, or no records are wanted.
    fn gathered(&mut self) -> Option<TrainRecord> {
        let Interval { loss, losses, chars, time, lr, grad_norm } = std::mem::take(&mut self.interval);
        if chars == 0 || self.trainer.config().log_every == 0 {
            return None;
        }
        Some(TrainRecord {
            step: self.trainer.progress().step,
            epoch: self.trainer.epochs(),
            loss: (losses > 0).then(|| loss / f64::from(losses)),
            lr,
            grad_norm: Some(grad_norm).filter(|norm| norm.is_finite()),
            chars_per_s: chars as f64 / time.as_secs_f64().max(1e-9),
            elapsed_s: self.elapsed(),
        })
    }

    fn record(&mut self, record: Option<TrainRecord>) -> Result<()> {
        let Some(record) = record else { return Ok(()) };
        let pushed = self.push(Record::Train(record.clone()));
        self.observer.on_event(self.trainer, Event::Record(&record));
        pushed
    }

    /// Scores the held-out text; `false` where that was broken off.
    fn evaluate(&mut self) -> Result<bool> {
        let observer = &*self.observer;
        let Some(loss) = self.trainer.held_out_unless(&|| observer.should_stop())? else { return Ok(false) };
        let best = self.trainer.judge(loss.nats());
        let finite = |x: f64| Some(x).filter(|x| x.is_finite());
        let record = EvalRecord {
            step: self.trainer.progress().step,
            epoch: self.trainer.epochs(),
            loss: finite(loss.nats()),
            bpc: finite(loss.bits()),
            best,
            elapsed_s: self.elapsed(),
        };
        let saved = if best { self.save_best() } else { Ok(()) };
        let pushed = self.push(Record::Eval(record.clone()));
        // No latest checkpoint is to stand beside a best one that it does not know of.
        let known = if best { self.save_latest().and(self.flush()) } else { Ok(()) };
        self.go_on_if_unwritten(saved.and(pushed).and(known))?;
        self.observer.on_event(self.trainer, Event::Evaluated(&record));
        // For a plot that the observer drew.
        if self.was_made_again() {
            self.save_on_the_way()?;
        }
        Ok(true)
    }

    fn save_best(&mut self) -> Result<()> {
        let Some(keep) = self.keep else { return Ok(()) };
        self.unsaved_best = None;
        let sections = self.trainer.weights_sections(keep.texts, self.elapsed())?;
        let saved = keep.folder.save(&keep.folder.best(), &sections);
        self.unsaved_best = saved.is_err().then(|| format::frame(&sections).into());
        if saved.is_ok() {
            self.observer.on_event(self.trainer, Event::Saved(&keep.folder.best()));
        }
        saved
    }

    /// Saves, and tries again to write the records that wait.
    fn save_on_the_way(&mut self) -> Result<()> {
        let written = self.save().and(self.flush());
        self.go_on_if_unwritten(written)
    }

    fn save(&mut self) -> Result<()> {
        let Some(keep) = self.keep else { return Ok(()) };
        let best = self.unsaved_best.as_ref().map_or(Ok(()), |best| keep.folder.replace(&keep.folder.best(), best));
        if best.is_ok() && self.unsaved_best.take().is_some() {
            self.observer.on_event(self.trainer, Event::Saved(&keep.folder.best()));
        }
        self.save_latest().and(best)
    }

    fn save_latest(&mut self) -> Result<()> {
        let Some(keep) = self.keep else { return Ok(()) };
        self.saved = (self.trainer.progress().step, Instant::now());
        keep.folder.save(&keep.folder.latest(), &self.sections(keep)?)?;
        self.was_made_again();
        self.observer.on_event(self.trainer, Event::Saved(&keep.folder.latest()));
        Ok(())
    }

    /// The latest checkpoint, which must not tell of a best one that is nowhere.
    fn sections(&self, keep: Keep<'_>) -> Result<Vec<Section<'_>>> {
        let mut sections = self.trainer.sections(keep.texts, self.elapsed())?;
        sections.extend(self.unsaved_best.as_ref().map(|best| (BEST, Cow::Borrowed(&**best))));
        Ok(sections)
    }

    /// Saves in a folder beside the run's, where nothing can be written to that any more.
    fn save_beside(&mut self) {
        let Some(keep) = self.keep.filter(|keep| keep.folder.is_lost()) else { return };
        let saved = self.sections(keep).and_then(|sections| keep.folder.save_beside(&sections));
        let without_best = self.trainer.progress().best.is_some() && self.unsaved_best.is_none();
        let saved = saved.as_ref().map(RunFolder::path);
        self.observer.on_event(self.trainer, Event::SavedBeside { saved, without_best });
    }

    fn push(&mut self, record: Record) -> Result<()> {
        let pushed = self.metrics.as_mut().map_or(Ok(()), |metrics| metrics.push(&record));
        self.with_checkpoint(pushed)
    }

    fn flush(&mut self) -> Result<()> {
        let flushed = self.metrics.as_mut().map_or(Ok(()), Metrics::flush);
        self.with_checkpoint(flushed)
    }

    /// After records: where the folder was made again for them, it gets a checkpoint too.
    fn with_checkpoint(&mut self, recorded: Result<()>) -> Result<()> {
        if self.was_made_again() { recorded.and(self.save()) } else { recorded }
    }

    /// Whether the folder was made again, which is told.
    fn was_made_again(&mut self) -> bool {
        let Some(keep) = self.keep.filter(|keep| keep.folder.was_made_again()) else { return false };
        let lost = || self.unsaved_best.is_none() && !keep.folder.best().exists();
        let without_best = self.trainer.progress().best.is_some() && lost();
        self.observer.on_event(self.trainer, Event::MadeAgain { folder: keep.folder.path(), without_best });
        true
    }

    /// Where something could not be written and the run is to go on, the observer is told, and all is well. What is another's now
    /// would be so at the next save too.
    fn go_on_if_unwritten(&mut self, written: Result<()>) -> Result<()> {
        let goes_on = self.keep.is_some_and(|keep| keep.keep_going && !keep.folder.is_anothers());
        match written {
            Err(e) if e.is_unwritten() && goes_on => {
                self.observer.on_event(self.trainer, Event::NotSaved(&e));
                Ok(())
            }
            other => other,
        }
    }

    fn elapsed(&self) -> f64 {
        self.keep.map_or(0.0, |keep| keep.elapsed_s) + self.begun.elapsed().as_secs_f64()
    }
}
