//! Whose the files are that stand beside a checkpoint.

use std::fs;

use charlstm::checkpoint::RunFolder;
use charlstm::checkpoint::disk::temporary;
use charlstm::error::{Error, Result};
use charlstm::train::Metrics;

use super::settings::read_choices;

/// Refuses a folder that has a file which a run would replace and no run wrote: a checkpoint may have been put beside somebody's
/// own, or a run is to begin there. A lock that names a process, or what only a run writes beside a checkpoint, shows that all is
/// a run's.
pub fn must_be_a_runs(folder: &RunFolder) -> Result<()> {
    if folder.has_lock() {
        return Ok(());
    }
    let (config, metrics, plot, has_run) = (folder.config(), folder.metrics(), folder.plot(), folder.has_run()?);
    let is_config = has_run && config.is_file() && read_choices(&config).is_ok();
    let is_empty = has_run && fs::metadata(&metrics).is_ok_and(|file| file.is_file() && file.len() == 0);
    let has_records = has_run && Metrics::read(&metrics).is_ok_and(|records| !records.is_empty());
    let is_a_runs = is_config || has_records;
    // What a crash left half-written is removed.
    let left = folder.files().map(|file| (temporary(&file), is_a_runs));
    let files = [(config, is_config), (metrics, is_empty || has_records), (plot, is_a_runs)].into_iter().chain(left);
    let foreign = files.into_iter().find(|(path, is_ours)| !is_ours && path.symlink_metadata().is_ok());
    let Some((foreign, _)) = foreign else { return Ok(()) };
    let remedy = if has_run { "put the checkpoint into a folder of its own" } else { "choose another folder" };
    Err(Error::cannot_create(foreign, format!("it is not a run's, and a run here would replace it; {remedy}")))
}
