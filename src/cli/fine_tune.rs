//! Fine-tuning with `charlstm train --init-from RUN`.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::{Frame, model};
use charlstm::error::{Error, Result};
use charlstm::run::find::{RunTarget, find};
use charlstm::run::{DEFAULT_RUNS_FOLDER, HeldOutLosses, RunFolder};
use charlstm::score::bits;
use charlstm::train::Trainer;

use super::settings::absolute;
use super::terminal::Terminal;

const MAX_LISTED: usize = 40;

pub struct Origin {
    /// The absolute path of the run's folder or checkpoint.
    pub run: PathBuf,
    pub frame: Frame,
}

impl Origin {
    pub fn find(given: &Path) -> Result<Self> {
        let target = find(Some(given), Path::new(DEFAULT_RUNS_FOLDER))?;
        let run = match &target {
            RunTarget::Run(folder) => absolute(folder.path())?,
            RunTarget::Checkpoint(path) => absolute(path)?,
        };
        Ok(Origin { run, frame: Frame::read(&target.model())? })
    }

    pub fn check_not_replaced(&self, folder: &RunFolder) -> Result<()> {
        let contains_origin = |folder: PathBuf| self.run.canonicalize().is_ok_and(|run| run.starts_with(folder));
        if folder.path().canonicalize().is_ok_and(contains_origin) {
            let problem = "the new run would replace the run given by --init-from; choose another --name";
            return Err(Error::cannot_create(folder.path(), problem));
        }
        Ok(())
    }
}

pub fn introduce(trainer: &Trainer, terminal: &Terminal) {
    let dataset = trainer.dataset();
    if let Some(replay) = dataset.replay() {
        let (old, new) = (replay.chars, dataset.new_text_range().len() as u64);
        let (fraction, expected) = (old as f64 / (old + new) as f64, replay.config.fraction);
        let is_less = fraction < expected - 0.5 / (old + new) as f64;
        let reason = format!(" instead of {expected}, because only 90 % of the file is used");
        terminal.say(&format!(
            "Replay: {old} characters from {} and {new} from the new text, a fraction of {fraction:.4}{}",
            replay.config.file.display(),
            if is_less { &reason } else { "" }
        ));
    }
    let Some(origin) = trainer.origin().filter(|_| trainer.progress().step == 0) else { return };
    terminal.say(&format!("Starting from the weights of {}", origin.run.display()));
    let new = &origin.new_symbols;
    if !new.is_empty() {
        let listed: Vec<_> = new.iter().take(MAX_LISTED).map(|symbol| dataset.vocab().describe(*symbol)).collect();
        let rest = new.len() - listed.len();
        let more = if rest > 0 { format!(", and {rest} more") } else { String::new() };
        terminal.say(&format!("New characters: {}: {}{more}", new.len(), listed.join(", ")));
    }
    terminal.say("Held-out loss per character before the first step:");
    let figures = |nats: &f64| format!("{nats:.4} nats, {:.4} bits", bits(*nats));
    let HeldOutLosses { old, new } = &origin.before;
    report([old, new].map(|loss| loss.as_ref().map(figures).map_err(String::clone)), terminal);
}

pub fn conclude(trainer: &Trainer, run: &RunFolder, terminal: &Terminal) -> Result<()> {
    let Some(origin) = trainer.origin().filter(|_| !terminal.is_quiet()) else { return Ok(()) };
    let path = run.model();
    let Some(after) = trainer.fine_tune_losses(&model::load(&path)?.0) else { return Ok(()) };
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    terminal.say(&format!("Held-out loss per character before -> after fine-tuning ({file}):"));
    let figures = |before: &Result<f64, String>, after: Result<f64, String>| {
        let (before, after) = (before.clone()?, after?);
        Ok(format!("{before:.4} -> {after:.4} nats, {:.4} -> {:.4} bits", bits(before), bits(after)))
    };
    report([figures(&origin.before.old, after.old), figures(&origin.before.new, after.new)], terminal);
    Ok(())
}

fn report(figures: [Result<String, String>; 2], terminal: &Terminal) {
    for (name, figures) in ["old", "new"].into_iter().zip(figures) {
        let figures = figures.unwrap_or_else(|reason| format!("not available: {reason}"));
        terminal.say(&format!("  {name} text: {figures}"));
    }
}
