//! What people look at while a run goes on: a live line on a terminal, plain lines elsewhere, a sample now and then.

use std::path::Path;
use std::time::{Duration, Instant};

use charlstm::checkpoint::{LockedRun, RunFolder};
use charlstm::error::Error;
use charlstm::sample::{Generator, SamplingConfig};
use charlstm::train::{EvalRecord, Event, Metrics, Observer, STEPS_BETWEEN_SKIPS, StepReport, TrainRecord, Trainer};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::plot::{self, Curves};
use super::signals::Signals;
use super::terminal::{Terminal, quoted};

/// Characters of the sample after each evaluation.
const SAMPLE: usize = 240;
/// How much of the newest loss goes into the loss that is shown.
const SMOOTHING: f64 = 0.1;
/// A held-out loss of more times that of guessing is worth a warning.
const FAR_WORSE: f64 = 2.0;

const WITHOUT_BEST: &str = ", and has a best checkpoint once there is a better one";

/// The terminal's observer.
pub struct Reporter<'a> {
    terminal: &'a Terminal,
    folder: &'a LockedRun,
    signals: Signals,
    /// Whether the next checkpoint is one that a signal asked for.
    asked: bool,
    /// The step of the latest checkpoint, and where that is.
    saved: (u64, RunFolder),
    bar: Option<ProgressBar>,
    begun: Instant,
    first_step: u64,
    chars: u64,
    loss: Option<f64>,
    held_out: Option<f64>,
    /// Whether a warning was given that training diverges.
    warned: bool,
    curves: Curves,
}

impl<'a> Reporter<'a> {
    pub fn new(terminal: &'a Terminal, trainer: &Trainer, folder: &'a LockedRun, signals: Signals) -> Self {
        let first_step = trainer.progress().step;
        let bar = terminal.is_live().then(|| {
            let bar = ProgressBar::new(trainer.total_steps());
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(first_step);
            bar.reset_eta();
            bar
        });
        Reporter {
            terminal,
            folder,
            signals,
            asked: false,
            saved: (first_step, RunFolder::clone(folder)),
            bar,
            begun: Instant::now(),
            first_step,
            chars: 0,
            loss: None,
            held_out: trainer.progress().held_out,
            warned: false,
            curves: Curves::of(&Metrics::read(&folder.metrics()).unwrap_or_default(), first_step),
        }
    }

    /// Takes the live line away and draws the last plot; the step of the latest checkpoint, and the folder that it is in, unless it is
    /// not there any more, or another's stands there.
    pub fn finish(self) -> Option<(u64, RunFolder)> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        // Where there is no run any more a plot would only seem to be one.
        if self.folder.latest().exists() {
            self.plot();
        }
        let is_anothers = self.saved.1 == **self.folder && self.folder.is_anothers();
        Some(self.saved).filter(|(_, at)| !is_anothers && at.latest().exists())
    }

    /// Says even when quiet where a run is whose folder is lost.
    fn saved_beside(&mut self, trainer: &Trainer, saved: Result<&Path, &Error>, without_best: bool) {
        let step = trainer.progress().step;
        match saved {
            Ok(folder) => {
                self.saved = (step, RunFolder::new(folder));
                let (at, best) = (quoted(folder), if without_best { WITHOUT_BEST } else { "" });
                self.warn(&format!("step {step} is saved in {at}{best}; go on with: charlstm train --resume {at}"));
            }
            Err(e) => self.warn(&format!("step {step} could not be saved elsewhere either: {e}")),
        }
    }

    /// Writes something where the live line is, which comes back below it.
    fn above(&self, write: impl FnOnce(&Terminal)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| write(self.terminal)),
            None => write(self.terminal),
        }
    }

    fn warn(&self, line: &str) {
        self.above(|terminal| terminal.warn(line));
    }

    fn say(&self, line: &str) {
        self.above(|terminal| terminal.say(line));
    }

    fn step(&mut self, trainer: &Trainer, report: &StepReport) {
        self.chars += report.chars;
        if report.skipped {
            let (step, skipped, share) = (trainer.progress().step, trainer.progress().skipped, trainer.brake().share());
            self.say(&format!("step {step}: the loss or the gradient is not finite; skipped ({skipped} so far)"));
            if report.halved {
                let why = format!("two steps were skipped within {STEPS_BETWEEN_SKIPS}");
                self.warn(&format!("{why}: the learning rate is halved, to {share} of what was chosen"));
            }
            return;
        }
        self.loss = Some(self.loss.map_or(report.loss, |loss| loss + SMOOTHING * (report.loss - loss)));
        if let (Some(bar), Some(loss)) = (&self.bar, self.loss) {
            bar.set_position(trainer.progress().step);
            let held_out = self.held_out.map_or(String::new(), |nats| format!("  held-out {:.3} bpc", bits(nats)));
            let speed = self.chars as f64 / self.begun.elapsed().as_secs_f64();
            bar.set_message(format!("epoch {:.1}  loss {loss:.3}{held_out}  {speed:.0} chars/s", trainer.epochs()));
        }
    }

    fn record(&mut self, trainer: &Trainer, record: &TrainRecord) {
        self.curves.training.extend(record.loss.map(|loss| (record.step as f64, loss)));
        if self.bar.is_some() {
            return;
        }
        let made = (record.step - self.first_step).max(1) as f64;
        let left = self.begun.elapsed().as_secs_f64() * (trainer.total_steps() - record.step) as f64 / made;
        let left = Duration::try_from_secs_f64(left).map_or("very long".into(), |left| HumanDuration(left).to_string());
        self.terminal.say(&format!(
            "step {}/{}  epoch {:.2}  loss {:.4}  lr {:.5}  {:.0} chars/s  {} left",
            record.step,
            trainer.total_steps(),
            record.epoch,
            record.loss.unwrap_or(f64::NAN),
            record.lr,
            record.chars_per_s,
            left
        ));
    }

    fn evaluated(&mut self, trainer: &Trainer, record: &EvalRecord) {
        self.held_out = record.loss;
        self.curves.held_out.extend(record.loss.map(|loss| (record.step as f64, loss)));
        let (loss, bpc) = (record.loss.unwrap_or(f64::NAN), record.bpc.unwrap_or(f64::NAN));
        let best = if record.best { ", the best so far" } else { "" };
        self.say(&format!(
            "epoch {:.2}: held-out loss {loss:.4} nats, {bpc:.4} bits per character{best}",
            record.epoch
        ));
        let guessing = (trainer.texts().vocab().len() as f64).ln();
        if loss > FAR_WORSE * guessing && !std::mem::replace(&mut self.warned, true) {
            let times = loss / guessing;
            self.warn(&format!(
                "the held-out loss is {times:.1} times that of guessing ({guessing:.4} nats), as when training diverges; try a lower \
                 --lr or another --cell"
            ));
        }
        if !self.terminal.is_quiet() {
            let (vocab, seed) = (trainer.texts().vocab(), trainer.progress().step);
            let text = trainer.install(|| {
                vocab.decode(Generator::new(trainer.model(), vocab, &[], SamplingConfig::default(), seed).take(SAMPLE))
            });
            self.above(|terminal| terminal.say_text(&text));
        }
        self.plot();
    }

    /// Takes note of a checkpoint, and says where it is if a signal asked for it.
    fn saved(&mut self, trainer: &Trainer, path: &Path) {
        if path != self.folder.latest() {
            return;
        }
        self.saved.0 = trainer.progress().step;
        if std::mem::take(&mut self.asked) {
            self.say(&format!("Saved at step {}: {}", trainer.progress().step, path.display()));
        }
    }

    /// Draws the plot anew. That it cannot be drawn is said, and no reason to stop.
    fn plot(&self) {
        let drawn = plot::draw(&self.curves.chart(&self.folder.name()))
            .and_then(|svg| self.folder.replace(&self.folder.plot(), svg.as_bytes()));
        if let Err(e) = drawn {
            self.say(&format!("loss.svg was not drawn: {e}"));
        }
    }
}

impl Observer for Reporter<'_> {
    fn on_event(&mut self, trainer: &Trainer, event: Event<'_>) {
        match event {
            Event::Step(report) => self.step(trainer, report),
            Event::Record(record) => self.record(trainer, record),
            Event::Evaluated(record) => self.evaluated(trainer, record),
            Event::Saved(path) => self.saved(trainer, path),
            Event::MadeAgain { folder, without_best } => {
                let best = if without_best { WITHOUT_BEST } else { "" };
                self.warn(&format!(
                    "{}: the run's folder was deleted or moved away; it was made again{best}",
                    folder.display()
                ));
            }
            Event::SavedBeside { saved, without_best } => self.saved_beside(trainer, saved, without_best),
            Event::NotSaved(e) => self.warn(&not_saved(e)),
            _ => {}
        }
    }

    fn should_stop(&self) -> bool {
        self.signals.received().is_some()
    }

    fn should_save(&mut self) -> bool {
        self.asked = self.signals.take_save();
        self.asked
    }
}

/// The warning where something could not be written and the run is to go on.
pub fn not_saved(error: &Error) -> String {
    format!("{error}. Training goes on, and the next save tries again")
}

fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}
