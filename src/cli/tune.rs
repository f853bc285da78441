//! What `charlstm train --init-from RUN` adds: the run it begins with, and what becomes of the old text.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::run::{self, Found, RUNS};
use charlstm::checkpoint::{Frame, RunFolder, model};
use charlstm::error::{Error, Result};
use charlstm::train::{Losses, Trainer};

use super::settings::whole;
use super::terminal::Terminal;

/// New characters that are named one by one.
const MOST_NAMED: usize = 40;

/// The run that another begins with.
pub struct Old {
    /// Its folder or its checkpoint, as a path that means the same from any folder.
    pub run: PathBuf,
    /// The checkpoint that has the weights: the one that `sample` would take.
    pub frame: Frame,
}

impl Old {
    pub fn find(given: &Path) -> Result<Self> {
        let found = run::find(Some(given), Path::new(RUNS))?;
        let run = match &found {
            Found::Run(folder) => whole(folder.path())?,
            Found::File(path) => whole(path)?,
        };
        Ok(Old { run, frame: Frame::read(&found.model())? })
    }

    /// Refuses to replace this run by the one that begins with it.
    pub fn must_stay(&self, folder: &RunFolder) -> Result<()> {
        let same = |folder: PathBuf| self.run.canonicalize().is_ok_and(|run| run.starts_with(folder));
        if folder.path().canonicalize().is_ok_and(same) {
            let problem = "it is the run that --init-from begins with, which must stay; choose another --name";
            return Err(Error::cannot_create(folder.path(), problem));
        }
        Ok(())
    }
}

/// Says what is replayed, which characters are new, and what the model makes of both texts before it learns.
pub fn introduce(trainer: &Trainer, terminal: &Terminal) {
    let texts = trainer.texts();
    if let Some(replayed) = texts.replay() {
        let (old, new) = (replayed.chars, texts.new_text_range().len() as u64);
        let share = old as f64 / (old + new) as f64;
        let asked = replayed.config.fraction;
        let few = format!(", in place of {asked}: its first nine tenths have no more");
        terminal.say(&format!(
            "Replay: {old} of these characters from {}, {new} from the new text: a share of {share:.4}{}",
            replayed.config.file.display(),
            if share < asked - 0.5 / (old + new) as f64 { &few } else { "" }
        ));
    }
    let Some(beginning) = trainer.beginning().filter(|_| trainer.progress().step == 0) else { return };
    terminal.say(&format!("Begins with the weights of {}", beginning.run.display()));
    let new = &beginning.new;
    if !new.is_empty() {
        let named: Vec<_> = new.iter().take(MOST_NAMED).map(|symbol| texts.vocab().describe(*symbol)).collect();
        let more = match new.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        terminal.say(&format!("New characters: {}: {}{more}", new.len(), named.join(", ")));
    }
    terminal.say("Held-out losses before the first step, per character:");
    let figure = |nats: &f64| format!("{nats:.4} nats, {:.4} bits", bits(*nats));
    let Losses { old, new } = &beginning.before;
    rows([old, new].map(|loss| loss.as_ref().map(figure).map_err(String::clone)), terminal);
}

/// Says what became of both losses, with the weights that `sample` takes.
pub fn conclude(trainer: &Trainer, folder: &RunFolder, terminal: &Terminal) -> Result<()> {
    let Some(beginning) = trainer.beginning().filter(|_| !terminal.is_quiet()) else { return Ok(()) };
    let path = folder.model();
    let Some(after) = trainer.losses(&model::load(&path)?.0) else { return Ok(()) };
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    terminal.say(&format!("Held-out losses per character, before the first step -> with {file}, which `sample` uses:"));
    let figure = |before: &Result<f64, String>, after: Result<f64, String>| {
        let (before, after) = (before.clone()?, after?);
        Ok(format!("{before:.4} -> {after:.4} nats, {:.4} -> {:.4} bits", bits(before), bits(after)))
    };
    rows([figure(&beginning.before.old, after.old), figure(&beginning.before.new, after.new)], terminal);
    Ok(())
}

fn rows(figures: [Result<String, String>; 2], terminal: &Terminal) {
    for (name, figure) in ["old", "new"].into_iter().zip(figures) {
        let figure = figure.unwrap_or_else(|why| format!("left out: {why}"));
        terminal.say(&format!("  {name} text: {figure}"));
    }
}

fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}
