//! Training progress: a progress bar on a terminal, plain lines otherwise, and a sample after each evaluation.

use std::path::Path;
use std::time::{Duration, Instant};

use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::run::{EvalRecord, LockedRun, Metrics, TrainRecord};
use charlstm::sample::{Generator, SamplingConfig};
use charlstm::score::bits;
use charlstm::train::{Event, Observer, StepReport, Trainer};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::plot::{self, LossCurves};
use super::signals::Signals;
use super::terminal::Terminal;

const SAMPLE_CHARS: usize = 240;
/// The weight of the newest loss in the displayed moving average.
const SMOOTHING: f64 = 0.1;
/// A held-out loss above the unigram entropy is normal before this step.
const MIN_STEPS_TO_WARN: u64 = 100;

pub struct Reporter<'a> {
    terminal: &'a Terminal,
    run: &'a LockedRun,
    signals: Signals,
    save_requested: bool,
    saved_step: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    first_step: u64,
    chars: u64,
    loss: Option<f64>,
    held_out: Option<f64>,
    /// The unigram entropy, computed when it is first needed.
    unigram_entropy: Option<f64>,
    has_warned: bool,
    curves: LossCurves,
}

impl<'a> Reporter<'a> {
    pub fn new(terminal: &'a Terminal, trainer: &Trainer, run: &'a LockedRun, signals: Signals) -> Self {
        let first_step = trainer.progress().step;
        let bar = terminal.shows_progress_bar().then(|| {
            let bar = ProgressBar::new(trainer.total_steps());
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(first_step);
            bar.reset_eta();
            bar
        });
        Reporter {
            terminal,
            run,
            signals,
            save_requested: false,
            saved_step: first_step,
            bar,
            started: Instant::now(),
            first_step,
            chars: 0,
            loss: None,
            held_out: trainer.progress().held_out,
            unigram_entropy: None,
            has_warned: false,
            curves: LossCurves::of(&Metrics::read(&run.metrics()).unwrap_or_default(), first_step),
        }
    }

    /// Removes the progress bar and draws the final plot; returns the step of the last checkpoint.
    pub fn finish(self) -> u64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.plot();
        self.saved_step
    }

    /// Prints, from any thread, that training stops after the current step.
    pub fn stop_announcement(&self) -> impl Fn() + Send + Sync + 'static {
        let (terminal, bar) = (self.terminal.clone(), self.bar.clone());
        let announce = move || terminal.say("Stopping after this step; press Ctrl-C again to quit without saving");
        move || bar.as_ref().map_or_else(&announce, |bar| bar.suspend(&announce))
    }

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
            let (step, skipped) = (trainer.progress().step, trainer.progress().skipped);
            self.say(&format!(
                "step {step}: skipped because the loss or the gradient is not finite ({skipped} skipped so far)"
            ));
            return;
        }
        self.loss = Some(self.loss.map_or(report.loss, |loss| loss + SMOOTHING * (report.loss - loss)));
        if let (Some(bar), Some(loss)) = (&self.bar, self.loss) {
            bar.set_position(trainer.progress().step);
            let held_out = self.held_out.map_or(String::new(), |nats| format!("  held-out {:.3} bpc", bits(nats)));
            let speed = self.chars as f64 / self.started.elapsed().as_secs_f64();
            bar.set_message(format!("epoch {:.1}  loss {loss:.3}{held_out}  {speed:.0} chars/s", trainer.epochs()));
        }
    }

    fn record(&mut self, trainer: &Trainer, record: &TrainRecord) {
        self.curves.training.extend(record.loss.map(|loss| (record.step as f64, loss)));
        if self.bar.is_some() {
            return;
        }
        let done = (record.step - self.first_step).max(1) as f64;
        let left = self.started.elapsed().as_secs_f64() * (trainer.total_steps() - record.step) as f64 / done;
        let left =
            Duration::try_from_secs_f64(left).map_or("a very long time".into(), |left| HumanDuration(left).to_string());
        let (total, loss) = (trainer.total_steps(), record.loss.unwrap_or(f64::NAN));
        let TrainRecord { step, epoch, lr, chars_per_s, .. } = record;
        self.terminal.say(&format!(
            "step {step}/{total}  epoch {epoch:.2}  loss {loss:.4}  lr {lr:.5}  {chars_per_s:.0} chars/s  {left} left"
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
        if record.step >= MIN_STEPS_TO_WARN && !self.has_warned {
            self.warn_if_above_unigram_entropy(trainer, loss);
        }
        if !self.terminal.is_quiet() {
            let (vocab, seed) = (trainer.dataset().vocab(), trainer.progress().step);
            let text = trainer.install(|| {
                let model = InferenceModel::new(trainer.model(), Precision::F32);
                let generator = Generator::new(&model, vocab, &[], SamplingConfig::default(), seed);
                let records: Vec<u32> = generator.take(SAMPLE_CHARS).collect();
                let records = records.split(|id| Some(*id) == vocab.record_boundary());
                records.map(|record| vocab.decode(record.iter().copied())).collect::<Vec<_>>().join(&b'\n')
            });
            self.above(|terminal| terminal.say_text(&text));
        }
        self.plot();
    }

    fn warn_if_above_unigram_entropy(&mut self, trainer: &Trainer, loss: f64) {
        let entropy = *self.unigram_entropy.get_or_insert_with(|| trainer.unigram_entropy());
        self.has_warned = loss > entropy;
        if self.has_warned {
            self.warn(&format!(
                "the held-out loss is above {entropy:.4} nats, the unigram entropy of the text: training may \
                 have diverged; try a lower --lr"
            ));
        }
    }

    fn saved(&mut self, trainer: &Trainer, path: &Path) {
        if path != self.run.latest() {
            return;
        }
        self.saved_step = trainer.progress().step;
        if std::mem::take(&mut self.save_requested) {
            self.say(&format!("Saved at step {}: {}", self.saved_step, path.display()));
        }
    }

    /// Draws the plot. A failure is reported and does not stop training.
    fn plot(&self) {
        let drawn = plot::draw(&self.curves.chart(&self.run.name()))
            .and_then(|svg| self.run.replace(&self.run.plot(), svg.as_bytes()));
        if let Err(e) = drawn {
            self.say(&format!("cannot draw the loss plot: {e}"));
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
            Event::SaveFailed(error) => {
                self.warn(&format!("{error}; training continues, and the save will be retried"));
            }
            _ => {}
        }
    }

    fn should_stop(&self) -> bool {
        self.signals.received().is_some()
    }

    fn should_save(&mut self) -> bool {
        let requested = self.signals.take_save_request();
        self.save_requested |= requested;
        requested
    }
}
