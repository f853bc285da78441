//! What was learned by a run that lost its folder.

use charlstm::checkpoint::RunFolder;
use charlstm::data::TextConfig;
use charlstm::error::{Error, Result};
use charlstm::train::Trainer;

use super::terminal::{Terminal, quoted};

/// Folders that are tried: `RUN-2`, `RUN-3`, ...
const LAST: u32 = 99;

/// Saves a run beside its folder, which is another's now or cannot be made again, and says how to go on with it.
pub fn save_beside(folder: &RunFolder, trainer: &Trainer, texts: &TextConfig, elapsed_s: f64, terminal: &Terminal) {
    let step = trainer.progress().step;
    match save(folder, trainer, texts, elapsed_s) {
        Ok(other) => {
            let at = quoted(other.path());
            terminal.warn(&format!("step {step} is saved in {at}; go on with: charlstm train --resume {at}"));
        }
        Err(e) => terminal.warn(&format!("step {step} could not be saved elsewhere either: {e}")),
    }
}

fn save(folder: &RunFolder, trainer: &Trainer, texts: &TextConfig, elapsed_s: f64) -> Result<RunFolder> {
    let beside = |n: u32| folder.path().with_file_name(format!("{}-{n}", folder.name()));
    let Some(other) = (2..=LAST).map(beside).find(|other| other.symlink_metadata().is_err()) else {
        return Err(Error::cannot_create(beside(LAST), "it is there, and all before it"));
    };
    let other = RunFolder::new(other).lock()?;
    other.save(&other.latest(), &trainer.sections(texts, elapsed_s)?)?;
    Ok(RunFolder::clone(&other))
}
