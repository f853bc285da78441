//! `charlstm train`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use charlstm::checkpoint::disk::folder_of;
use charlstm::checkpoint::{Frame, model};
use charlstm::data::{Dataset, TextPart};
use charlstm::error::{Error, Result};
use charlstm::model::ModelConfig;
use charlstm::run::find::{RunTarget, find};
use charlstm::run::{DEFAULT_RUNS_FOLDER, LockedRun, RunFolder, RunMetadata, TrainConfig};
use charlstm::score::bits;
use charlstm::simd::Isa;
use charlstm::train::{CheckpointPolicy, Outcome, Trainer, fit};

use super::files;
use super::fine_tune::{self, Origin};
use super::load::start_worker_threads;
use super::progress::Reporter;
use super::settings::{Settings, read_settings, write_settings};
use super::signals::Signals;
use super::terminal::{Terminal, quoted};
use super::text_notes;

const EXAMPLES: &str = "\
Examples:
  charlstm train                             Train on the built-in fables
  charlstm train book.txt --epochs 5         Train on a file
  charlstm train book.txt --layers 3 --hidden 512 --name big
  charlstm train --resume big --epochs 10    Continue a run
  charlstm train new.txt --init-from big     Fine-tune a run on another text";

/// Train a model on a text, or resume a run
///
/// A run is stored in the folder checkpoints/NAME. Ctrl-C saves a checkpoint and stops; --resume continues from there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(flatten)]
    pub settings: Settings,

    /// Name of the run, stored in checkpoints/NAME [default: the name of the text]
    #[arg(long, value_name = "NAME", help_heading = "Run")]
    pub name: Option<String>,
    /// Folder of the run, instead of checkpoints/NAME
    #[arg(long, value_name = "DIR", conflicts_with = "name", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Resume a run [default: the run of --out or --name, otherwise the newest]
    ///
    /// Settings that are not given again keep their values, including the texts.
    #[arg(long, value_name = "RUN", num_args = 0..=1, help_heading = "Run")]
    pub resume: Option<Option<PathBuf>>,
    /// Replace an existing run of the same name
    #[arg(long, conflicts_with = "resume", help_heading = "Run")]
    pub overwrite: bool,
    /// Save and stop at this step
    ///
    /// The learning rate still follows the schedule of the whole run.
    #[arg(long, value_name = "STEP", help_heading = "Run")]
    pub stop_at: Option<u64>,
    /// Continue training if a file cannot be written, and try again at the next save
    #[arg(long, help_heading = "Run")]
    pub keep_going: bool,
    /// Read settings from a TOML file, such as the config.toml of a run
    ///
    /// Flags take precedence over the file. Paths in it are relative to the current folder.
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub config: Option<PathBuf>,
    /// Allow resuming on a modified corpus; the current epoch starts again
    #[arg(long, requires = "resume", help_heading = "Run")]
    pub allow_corpus_change: bool,
}

/// The maximum time between checkpoints without `--save-every`.
const MAX_SAVE_INTERVAL: Duration = Duration::from_secs(600);

pub fn run(args: TrainArgs, terminal: &Terminal) -> Result<ExitCode> {
    let signals = Signals::listen()?;
    let prepared = match &args.resume {
        Some(given) => resume(&args, given.as_deref(), terminal)?,
        None => Some(start(&args, terminal)?),
    };
    let Some((run, mut trainer)) = prepared else { return Ok(ExitCode::SUCCESS) };
    introduce(&trainer, &run, terminal);
    let mut reporter = Reporter::new(terminal, &trainer, &run, signals.clone());
    signals.defer(reporter.stop_announcement());
    let policy = CheckpointPolicy { run: &run, max_interval: MAX_SAVE_INTERVAL, keep_going: args.keep_going };
    let outcome = fit(&mut trainer, Some(policy), args.stop_at, &mut reporter);
    signals.restore();
    let saved_step = reporter.finish();
    let outcome = outcome.inspect_err(|_| {
        let latest = run.latest();
        terminal.say(&format!("The last checkpoint is {} (step {saved_step})", quoted(&latest)));
    })?;
    let stopped_by = signals.received();
    let is_finished = matches!(outcome, Outcome::Finished | Outcome::StoppedEarly) && stopped_by.is_none();
    if is_finished && trainer.has_diverged() {
        let (loss, vocab) = (trainer.progress().held_out.unwrap_or(f64::NAN), trainer.dataset().vocab().len());
        return Err(Error::Diverged(format!(
            "training diverged: the held-out loss of {loss:.4} nats per character is above the {:.4} of a uniform guess",
            (vocab as f64).ln()
        )));
    }
    if is_finished {
        fine_tune::conclude(&trainer, &run, terminal)?;
    }
    conclude(&trainer, &run, outcome, terminal);
    Ok(stopped_by.map_or(ExitCode::SUCCESS, ExitCode::from))
}

fn start(args: &TrainArgs, terminal: &Terminal) -> Result<(LockedRun, Trainer)> {
    let (mut settings, origin) = settings_of_new_run(args)?;
    settings.train_config().validate()?;
    let folder = match named_folder(args)? {
        Some(folder) => folder,
        None => RunFolder::new(Path::new(DEFAULT_RUNS_FOLDER).join(settings.name())),
    };
    if let Some(origin) = &origin {
        origin.check_not_replaced(&folder)?;
    }
    if folder.has_checkpoint() && !args.overwrite {
        // If another process is training the run, report that rather than that the run exists.
        folder.lock()?;
    }
    check_no_existing_run(&folder, args)?;
    // All other errors are reported before the folder is modified.
    let dataset = open(&settings, terminal)?;
    let fitting = short_text_windows(dataset.training().chars());
    let fitting = fitting.filter(|_| (settings.batch, settings.seq_len) == (None, None));
    if let Some((batch, seq_len)) = fitting {
        (settings.batch, settings.seq_len) = (Some(batch), Some(seq_len));
    }
    let train = settings.train_config();
    let trainer = match origin {
        Some(origin) => Trainer::fine_tune(&origin.frame, origin.run, dataset, train)?,
        None => Trainer::with_init(dataset, &settings.model_config(), settings.init(), train)?,
    };
    if let Some((batch, seq_len)) = fitting {
        terminal.say(&format!("note: for this short text, the default is --batch {batch} --seq-len {seq_len}"));
    }
    let run = folder.lock()?;
    check_no_existing_run(&run, args)?;
    run.remove_all_but_latest()?;
    save(&run, &trainer)?;
    Ok((run, trainer))
}

/// The batch size and the window length for a text of so many characters if the defaults give too few steps per epoch.
fn short_text_windows(chars: usize) -> Option<(usize, usize)> {
    const SHORT: usize = 500_000;
    const STEPS_PER_EPOCH: usize = 8;
    (chars < SHORT).then(|| {
        let seq_len = (chars / STEPS_PER_EPOCH).clamp(1, 64);
        ((chars / (STEPS_PER_EPOCH * seq_len)).clamp(1, 16), seq_len)
    })
}

/// The settings of a new run, and the run that it starts from, if any.
fn settings_of_new_run(args: &TrainArgs) -> Result<(Settings, Option<Origin>)> {
    let given = given_settings(args)?;
    // The built-in text is short: fewer streams and shorter windows give more steps per epoch.
    let built_in = Settings { batch: Some(16), seq_len: Some(64), epochs: Some(15), ..Settings::default() };
    let default = if given.texts.is_empty() { built_in } else { Settings::default() };
    let Some(origin) = given.init_from.as_deref().map(Origin::find).transpose()? else {
        return Ok((given.or(default), None));
    };
    let of_origin = Settings::from_model(&model::config(&origin.frame)?, RunMetadata::read(&origin.frame)?.init);
    let settings = given.or(of_origin.clone()).or(default);
    settings.check_same_model(&of_origin, &origin.run)?;
    Ok((settings, Some(origin)))
}

fn check_no_existing_run(folder: &RunFolder, args: &TrainArgs) -> Result<()> {
    if folder.has_checkpoint() && !args.overwrite {
        return Err(Error::RunExists { folder: folder.path().into() });
    }
    Ok(())
}

/// Resumes a run; `None` if all its steps are done.
fn resume(args: &TrainArgs, given: Option<&Path>, terminal: &Terminal) -> Result<Option<(LockedRun, Trainer)>> {
    let run = run_to_resume(given, named_folder(args)?)?.lock()?;
    let path = run.latest();
    let frame = Frame::read(&path)?;
    let saved = RunMetadata::read(&frame)?;
    let before = Settings::of_run(&model::config(&frame)?, saved.clone());
    let settings = Settings { init_from: before.init_from.clone(), ..given_settings(args)?.or(before.clone()) };
    settings.check_matches(&before, &path)?;
    let train = settings.train_config();
    train.validate()?;
    let dataset = open(&settings, terminal).map_err(|e| match e {
        Error::Input { path, .. } if before.texts.contains(&path) => Error::CorpusMissing { path },
        other => other,
    })?;
    let text_was_modified = saved.dataset.check_same_text(&dataset).is_err();
    let trainer = Trainer::resume(&frame, dataset, train, args.allow_corpus_change)?;
    let (step, total) = (trainer.progress().step, trainer.total_steps());
    if step >= total && !trainer.evaluation_is_due() {
        let more = format!("to continue: charlstm train --resume {} --steps N", quoted(run.path()));
        terminal.say(&format!("All {total} steps are done (the run is at step {step}); {more}"));
        return Ok(None);
    }
    if text_was_modified {
        terminal.warn("the text was modified: the current epoch starts again, and the best loss is reset");
        run.remove_best()?;
    }
    let total_before = saved.train.total_steps(trainer.steps_per_epoch());
    if total_before != total {
        terminal.say(&format!(
            "The run now has {total} steps instead of {total_before}; the learning rate schedule follows the new length"
        ));
    }
    let instruction_set = Isa::active().name();
    if saved.instruction_set != instruction_set {
        terminal.say(&format!(
            "note: the run was trained with {} instructions and continues with {instruction_set}: results are valid, but not \
             bit-identical to those of an uninterrupted run",
            saved.instruction_set
        ));
    }
    terminal.say(&format!("Resuming at step {step} of {total}"));
    if settings != before || text_was_modified {
        save(&run, &trainer)?;
    }
    Ok(Some((run, trainer)))
}

/// Saves the settings and the state of a run before its first step, so that the settings survive if the process is killed.
fn save(run: &LockedRun, trainer: &Trainer) -> Result<()> {
    run.save(&run.latest(), &trainer.sections()?)?;
    let settings = Settings::of_run(trainer.model().config(), trainer.metadata());
    run.replace(&run.config(), write_settings(&settings)?.as_bytes())
}

/// The run given by `--resume`, `--out` or `--name`, otherwise the newest run.
fn run_to_resume(given: Option<&Path>, named: Option<RunFolder>) -> Result<RunFolder> {
    let folder = match (given, named) {
        (Some(_), Some(named)) => {
            let at = named.path().display();
            return Err(Error::Usage(format!(
                "--resume RUN cannot be combined with --out or --name ({at}); use one of them"
            )));
        }
        (None, Some(folder)) => folder,
        (given, None) => match find(given, Path::new(DEFAULT_RUNS_FOLDER))? {
            RunTarget::Run(folder) => folder,
            RunTarget::Checkpoint(path) if path.file_name() == Some("latest.ckpt".as_ref()) => {
                RunFolder::new(folder_of(&path))
            }
            RunTarget::Checkpoint(path) => {
                let problem = "a run is resumed from latest.ckpt; specify the run, or replace its latest.ckpt with a copy of this file";
                return Err(Error::Usage(format!("{}: {problem}", path.display())));
            }
        },
    };
    if folder.latest().exists() {
        return Ok(folder);
    }
    let at = folder.path().display();
    Err(Error::Missing(if folder.has_checkpoint() {
        format!("{at}: latest.ckpt is missing, and best.ckpt contains only weights; start again with --overwrite")
    } else {
        format!("{at}: no run to resume")
    }))
}

fn given_settings(args: &TrainArgs) -> Result<Settings> {
    if args.settings.texts.iter().any(|text| files::is_stdin(text)) {
        let problem = "resuming needs the text again, so it cannot come from standard input; save it to a file first";
        return Err(Error::Usage(format!("-: {problem}")));
    }
    let file = args.config.as_deref().map(read_settings).transpose()?.unwrap_or_default();
    args.settings.clone().or(file).resolved()
}

fn named_folder(args: &TrainArgs) -> Result<Option<RunFolder>> {
    let is_plain = |name: &String| !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != "..";
    match (&args.out, &args.name) {
        (Some(out), _) => Ok(Some(RunFolder::new(out))),
        (None, Some(name)) if is_plain(name) => Ok(Some(RunFolder::new(PathBuf::from(DEFAULT_RUNS_FOLDER).join(name)))),
        (None, Some(name)) => Err(Error::Usage(format!("--name {name:?}: not a plain name; use --out for a folder"))),
        (None, None) => Ok(None),
    }
}

fn open(settings: &Settings, terminal: &Terminal) -> Result<Dataset> {
    start_worker_threads(settings.threads)?;
    let replay = settings.replay_config()?;
    if settings.texts.is_empty() {
        terminal.say("No text given: training on the built-in fables");
    }
    let dataset = Dataset::open(&settings.dataset_config())?;
    let dataset = match &replay {
        Some(replay) => dataset.with_replay(replay)?,
        None => dataset,
    };
    text_notes::print(&dataset, terminal);
    Ok(dataset)
}

fn introduce(trainer: &Trainer, run: &RunFolder, terminal: &Terminal) {
    let dataset = trainer.dataset();
    let (training, held_out) =
        (size(&dataset.training()), dataset.held_out().map_or("none".into(), |part| size(&part)));
    let (distinct, name) = (dataset.vocab().len(), dataset.corpus().name().display());
    let others = match dataset.corpus().source_count() {
        0 | 1 => String::new(),
        2 => " and 1 more file".into(),
        files => format!(" and {} more files", files - 1),
    };
    terminal.say(&format!(
        "Text: {training} for training, {held_out} held out, {distinct} distinct characters ({name}{others})"
    ));
    let ModelConfig { cell, num_layers, hidden_size, .. } = trainer.model().config();
    let TrainConfig { batch_size, seq_len, .. } = trainer.config();
    let (parameters, steps) = (trainer.model().layout().len(), trainer.total_steps());
    terminal.say(&format!(
        "Model: {num_layers} x {hidden_size} {cell}, {parameters} parameters; {steps} steps of {batch_size} x {seq_len} characters"
    ));
    fine_tune::introduce(trainer, terminal);
    terminal.say(&format!("Run: {}", run.path().display()));
    terminal.detail(&format!("Engine: {}, {} threads", Isa::active().name(), trainer.threads()));
}

fn size(part: &TextPart<'_>) -> String {
    match part {
        TextPart::Running(..) => format!("{} characters", part.chars()),
        TextPart::Records(records) => {
            let counts = records.counts();
            format!("{} records ({} characters with their ends)", counts.records, counts.predictions)
        }
    }
}

fn conclude(trainer: &Trainer, run: &RunFolder, outcome: Outcome, terminal: &Terminal) {
    let progress = trainer.progress();
    if let Some((loss, step)) = progress.best {
        terminal
            .say(&format!("Best held-out loss: {loss:.4} nats, {:.4} bits per character (step {step})", bits(loss)));
    }
    if progress.skipped > 0 {
        terminal
            .warn(&format!("{} steps were skipped because their loss or gradient was not finite", progress.skipped));
    }
    let at = quoted(run.path());
    match outcome {
        Outcome::Finished => {
            let what = if trainer.dataset().config().records.is_some() { "--samples 10" } else { "--temp 0.8" };
            terminal.say(&format!("Done. Generate text with: charlstm sample {at} {what}"));
        }
        Outcome::StoppedEarly => terminal.say(&format!(
            "Stopped early at step {}: {} evaluations without a lower held-out loss. Generate text with: charlstm sample {at}",
            progress.step, progress.evaluations_since_best
        )),
        Outcome::ReachedStopStep | Outcome::Stopped => {
            terminal.say(&format!("Saved at step {}. Resume with: charlstm train --resume {at}", progress.step));
        }
    }
}
