//! `charlstm train`.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use charlstm::checkpoint::disk::{self, Disk, RealDisk};
use charlstm::checkpoint::run::{self, Found, RUNS, is_there};
use charlstm::checkpoint::{Frame, LockedRun, RunFolder, model};
use charlstm::data::{Dataset, DatasetConfig, DatasetProvenance};
use charlstm::error::{Error, Result};
use charlstm::kernels::isa;
use charlstm::train::{BEST, Keep, Outcome, Saved, Trainer, fit};

use super::args::{Choices, TrainArgs};
use super::load;
use super::own::must_be_a_runs;
use super::progress::{Reporter, not_saved};
use super::settings::{Settings, read_choices, write_choices};
use super::signals::Signals;
use super::terminal::{Terminal, quoted};
use super::tune::{self, Old};

/// How much may be lost where the power goes, unless another pace is chosen.
const SAVE_AFTER: Duration = Duration::from_secs(600);

/// A run about to train.
struct PreparedRun {
    folder: LockedRun,
    trainer: Trainer,
    texts: DatasetConfig,
    elapsed_s: f64,
    /// A best checkpoint that could not be written before.
    best: Option<Vec<u8>>,
}

pub fn run(args: TrainArgs, terminal: &Terminal) -> Result<ExitCode> {
    let signals = Signals::listen()?;
    let ready = match &args.resume {
        Some(given) => resume(&args, given.as_deref(), terminal)?,
        None => Some(begin(&args, terminal)?),
    };
    let Some(PreparedRun { folder, mut trainer, texts, elapsed_s, best }) = ready else { return Ok(ExitCode::SUCCESS) };
    introduce(&trainer, &folder, terminal);
    signals.hold();
    let mut reporter = Reporter::new(terminal, &trainer, &folder, signals.clone());
    let (save_after, keep_going) = (SAVE_AFTER, args.keep_going);
    let keep = Keep { folder: &folder, texts: &texts, elapsed_s, best: best.as_deref(), save_after, keep_going };
    let outcome = fit(&mut trainer, Some(keep), args.stop_at, &mut reporter);
    signals.release();
    let saved = reporter.finish();
    if outcome.as_ref().is_err_and(Error::is_unwritten) {
        terminal.say(&last_checkpoint(saved.as_ref()));
    }
    let outcome = outcome.map_err(|e| with_last_checkpoint(e, saved.as_ref()))?;
    if saved.is_none() {
        let problem = "it was saved, and then it was deleted or moved away";
        return Err(Error::io(folder.latest(), io::Error::new(ErrorKind::NotFound, problem)));
    }
    let stopped = signals.received();
    if matches!(outcome, Outcome::Finished | Outcome::OutOfPatience) && stopped.is_none() {
        tune::conclude(&trainer, &folder, terminal)?;
    }
    conclude(&trainer, &folder, outcome, terminal);
    Ok(stopped.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// A new run.
fn begin(args: &TrainArgs, terminal: &Terminal) -> Result<PreparedRun> {
    let (settings, old) = settle(args)?;
    settings.train.validate()?;
    let folder = match own_folder(args)? {
        Some(folder) => folder,
        None => RunFolder::new(Path::new(RUNS).join(settings.name())),
    };
    // Everything that can be wrong is found before the folder is touched; another process may still come first.
    if let Some(old) = &old {
        old.must_stay(&folder)?;
    }
    must_be_a_runs(&folder)?;
    if folder.has_run()? && !args.overwrite {
        // That another process trains in it is the better answer.
        folder.lock()?;
    }
    is_free(&folder, args)?;
    let (texts, train) = (open(&settings, terminal)?, settings.train.clone());
    let trainer = match &old {
        Some(old) => Trainer::tune(&old.frame, old.run.clone(), texts, train)?,
        None => Trainer::with_init(texts, &settings.shape(), settings.init, train)?,
    };
    let folder = folder.lock()?;
    is_free(&folder, args)?;
    // A run that is replaced goes only once the new one stands.
    folder.save_without_best(&trainer.sections(&settings.texts, 0.0)?)?;
    folder.replace(&folder.config(), write_choices(&settings.to_choices())?.as_bytes())?;
    clear(&folder)?;
    Ok(PreparedRun { folder, trainer, texts: settings.texts, elapsed_s: 0.0, best: None })
}

/// The settings of a new run, and the run that it begins with, if any: its model is not to be chosen.
fn settle(args: &TrainArgs) -> Result<(Settings, Option<Old>)> {
    let file = of_file(args)?;
    let chosen = |settings: Settings| settings.choose(&file)?.choose(&args.choices);
    let settings = chosen(Settings::default())?;
    let (built_in, old) = (settings.texts.paths.is_empty(), settings.init_from.as_deref().map(Old::find).transpose()?);
    let base = if built_in { Settings::for_built_in() } else { Settings::default() };
    let Some(old) = old else { return Ok((chosen(base)?, None)) };
    let base = base.with_model_of(&old.frame)?;
    let settings = chosen(base.clone())?;
    settings.must_fit_model(&base, &old.run)?;
    Ok((Settings { init_from: Some(old.run.clone()), ..settings }, Some(old)))
}

/// Refuses a folder that holds a run, unless that is to be replaced.
fn is_free(folder: &RunFolder, args: &TrainArgs) -> Result<()> {
    if folder.has_run()? && !args.overwrite {
        let problem =
            "there is a run in it; go on with it by --resume, replace it by --overwrite, or choose another --name";
        return Err(Error::cannot_create(folder.path(), problem));
    }
    Ok(())
}

/// A run that goes on; `None` where all its steps are made.
fn resume(args: &TrainArgs, given: Option<&Path>, terminal: &Terminal) -> Result<Option<PreparedRun>> {
    let folder = to_resume(given, own_folder(args)?)?;
    let path = folder.latest();
    must_be_a_runs(&folder)?;
    let folder = folder.lock()?;
    let frame = Frame::read(&path)?;
    let saved = Saved::read(&frame)?;
    let before = Settings::of_run(&frame)?;
    let settings = Settings {
        init_from: before.init_from.clone(),
        ..before.clone().choose(&of_file(args)?)?.choose(&args.choices)?
    };
    settings.check_matches(&before, &path)?;
    settings.train.validate()?;
    let texts = open(&settings, terminal)?;
    let other_text = DatasetProvenance::read(&frame)?.check_same_text(&texts).is_err();
    let best = if other_text { None } else { unsaved_best(&frame, &path)? };
    let trainer = Trainer::resume(&frame, texts, settings.train.clone(), args.allow_corpus_change)?;
    let (step, total) = (trainer.progress().step, trainer.total_steps());
    let total_before = saved.train.total_steps(trainer.steps_per_epoch());
    if step >= total && !trainer.owes_evaluation() && best.is_none() {
        let more = format!("for more: charlstm train --resume {} --steps N", quoted(folder.path()));
        terminal.say(&format!("All {total} steps are made already (the run is at step {step}); {more}"));
        return Ok(None);
    }
    if other_text {
        terminal.warn("the text is another than before: the epoch at hand begins anew, and the best loss is forgotten");
    }
    if total_before != total {
        terminal.say(&format!(
            "The run has {total} steps now instead of {total_before}; its learning rate follows the new length"
        ));
    }
    terminal.say(&format!("Going on from step {step} of {total}"));
    folder.replace(&folder.config(), write_choices(&settings.to_choices())?.as_bytes())?;
    let changed = settings != before || other_text;
    let ready = PreparedRun { folder, trainer, texts: settings.texts, elapsed_s: saved.elapsed_s, best };
    ready.save_choices(changed, args.keep_going, terminal)?;
    Ok(Some(ready))
}

/// The best checkpoint that could not be written when the run was saved.
fn unsaved_best(frame: &Frame, path: &Path) -> Result<Option<Vec<u8>>> {
    if !frame.has(BEST) {
        return Ok(None);
    }
    let best = frame.section(BEST)?;
    let inner = Frame::parse(path, best.clone())?;
    inner.verify()?;
    let (model, _) = model::read(&inner)?;
    if *model.config() != model::shape(frame)? {
        return Err(frame.error("the best checkpoint in it is of another model"));
    }
    Ok(Some(best))
}

impl PreparedRun {
    /// Saves what was chosen for a run that is resumed, where anything `changed`: it is what runs from here on, also where it is
    /// killed before it saves.
    fn save_choices(&self, changed: bool, keep_going: bool, terminal: &Terminal) -> Result<()> {
        // It would be taken for this run's best one.
        let has_others_best = self.trainer.progress().best.is_none() && is_there(&self.folder.best())?;
        if !changed && !has_others_best {
            return Ok(());
        }
        let mut sections = self.trainer.sections(&self.texts, self.elapsed_s)?;
        sections.extend(self.best.iter().map(|best| (BEST, best.into())));
        if has_others_best {
            return self.folder.save_without_best(&sections);
        }
        match self.folder.save(&self.folder.latest(), &sections) {
            Err(e) if e.is_unwritten() && keep_going => {
                terminal.warn(&not_saved(&e));
                Ok(())
            }
            saved => saved,
        }
    }
}

/// The run to go on with: the one that `--resume` names, or else that of `--out` or `--name`, or else the newest.
fn to_resume(given: Option<&Path>, own: Option<RunFolder>) -> Result<RunFolder> {
    let folder = match (given, own) {
        (Some(_), Some(own)) => {
            let problem = format!("--resume names one run and --out or --name another ({})", own.path().display());
            return Err(Error::Usage(format!("{problem}; give one of them")));
        }
        (None, Some(folder)) => folder,
        (given, None) => match run::find(given, Path::new(RUNS))? {
            Found::Run(folder) => folder,
            Found::File(path) if path.file_name() == Some("latest.ckpt".as_ref()) => {
                RunFolder::new(disk::folder_of(&path))
            }
            Found::File(path) => {
                let problem =
                    "a run goes on from its latest.ckpt; name the run (to go back, put a copy of a checkpoint there)";
                return Err(Error::Usage(format!("{}: {problem}", path.display())));
            }
        },
    };
    if is_there(&folder.latest())? {
        return Ok(folder);
    }
    let (what, at) = if folder.has_run()? {
        ("it has best.ckpt, which holds weights only, and no latest.ckpt; begin anew with --overwrite", folder.path())
    } else {
        ("there is no run to go on with", folder.path())
    };
    Err(Error::Missing(format!("{}: {what}", at.display())))
}

/// What the configuration file chooses. It is read once: it may be a pipe.
fn of_file(args: &TrainArgs) -> Result<Choices> {
    args.config.as_deref().map_or_else(|| Ok(Choices::default()), read_choices)
}

/// The folder that `--out` or `--name` gives.
fn own_folder(args: &TrainArgs) -> Result<Option<RunFolder>> {
    let plain = |name: &String| !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != "..";
    match (&args.out, &args.name) {
        (Some(out), _) => Ok(Some(RunFolder::new(out))),
        (None, Some(name)) if plain(name) => Ok(Some(RunFolder::new(PathBuf::from(RUNS).join(name)))),
        (None, Some(name)) => Err(Error::Usage(format!("--name {name:?} is not a name; for a folder use --out"))),
        (None, None) => Ok(None),
    }
}

fn open(settings: &Settings, terminal: &Terminal) -> Result<Dataset> {
    load::start_worker_threads(settings.train.threads)?;
    let replay = settings.replay()?;
    if settings.texts.paths.is_empty() {
        terminal.say("No text was named: learning from the built-in book of fables");
    }
    let texts = Dataset::open(&settings.texts)?;
    let texts = match &replay {
        Some(replay) => texts.with_replay(replay)?,
        None => texts,
    };
    texts.notes().for_each(|note| terminal.say(&format!("note: {note}")));
    Ok(texts)
}

/// Removes what a run that is replaced has left.
fn clear(folder: &RunFolder) -> Result<()> {
    let remove = |path: PathBuf| RealDisk.remove(&path).map_err(|e| Error::io(folder.path(), e));
    [folder.metrics(), folder.plot()].into_iter().try_for_each(remove)
}

fn introduce(trainer: &Trainer, folder: &RunFolder, terminal: &Terminal) {
    let (model, texts) = (trainer.model(), trainer.texts());
    let (corpus, part) = texts.training();
    let shape = model.config();
    terminal.say(&format!(
        "Text: {} characters to train on, {} held out, {} distinct ({})",
        part.len(),
        texts.held_out().map_or(0, |(_, part)| part.len()),
        texts.vocab().len(),
        corpus.name().display()
    ));
    terminal.say(&format!(
        "Model: {} x {} {}, {} parameters; {} steps of {} x {} characters",
        shape.layers,
        shape.hidden,
        shape.cell,
        model.layout().len(),
        trainer.total_steps(),
        trainer.config().batch,
        trainer.config().seq_len
    ));
    let share = trainer.brake().share();
    if share < 1.0 {
        terminal.say(&format!(
            "Learning rate: {share} of what was chosen, since steps were skipped; another --lr chooses it anew"
        ));
    }
    tune::introduce(trainer, terminal);
    terminal.say(&format!("Run: {}", folder.path().display()));
    terminal.detail(&format!("Engine: {} on {} threads", isa::isa().name(), trainer.threads()));
}

fn conclude(trainer: &Trainer, folder: &RunFolder, outcome: Outcome, terminal: &Terminal) {
    let progress = trainer.progress();
    if let Some((loss, step)) = progress.best {
        let bits = loss / std::f64::consts::LN_2;
        terminal.say(&format!("Best held-out loss: {loss:.4} nats, {bits:.4} bits per character (step {step})"));
    }
    if progress.skipped > 0 {
        terminal.warn(&format!("{} steps were skipped: their loss or gradient was not finite", progress.skipped));
    }
    let at = quoted(folder.path());
    match outcome {
        Outcome::Finished => terminal.say(&format!("Done. Write with it: charlstm sample {at} --temp 0.8")),
        Outcome::OutOfPatience => terminal.say(&format!(
            "Stopped at step {}: {} evaluations without a better held-out loss. Write with it: charlstm sample {at}",
            progress.step, progress.since_best
        )),
        Outcome::StoppedAt | Outcome::Stopped => {
            terminal.say(&format!("Saved at step {}. Go on with: charlstm train --resume {at}", progress.step));
        }
    }
}

/// What is left of a run that ends with an error: the step of its latest checkpoint, and the folder that it is in.
fn last_checkpoint(saved: Option<&(u64, RunFolder)>) -> String {
    match saved {
        Some((step, folder)) => format!("The last good checkpoint is {} (step {step})", folder.latest().display()),
        None => "No checkpoint of this run is where it was".into(),
    }
}

fn with_last_checkpoint(error: Error, saved: Option<&(u64, RunFolder)>) -> Error {
    match (error, saved) {
        (Error::Changed { path, problem }, Some((step, folder))) => {
            let (at, saved) = (quoted(folder.path()), format!("{problem}. The run is saved at step {step}"));
            let remedy = format!("bring the text back and go on with: charlstm train --resume {at}");
            Error::Changed { path, problem: format!("{saved}; {remedy} (or as it is now: --allow-corpus-change)") }
        }
        (Error::Changed { path, problem }, None) => {
            Error::Changed { path, problem: format!("{problem}. {}", last_checkpoint(None)) }
        }
        (Error::Diverged(problem), saved) => Error::Diverged(format!("{problem}. {}", last_checkpoint(saved))),
        (other, _) => other,
    }
}
