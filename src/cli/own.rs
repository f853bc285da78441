//! Whose the files are that stand beside a checkpoint.

use std::fs;

use charlstm::checkpoint::RunFolder;
use charlstm::error::{Error, Result};
use charlstm::train::Metrics;

use super::settings::read_choices;

/// Refuses a folder in which no run was ever trained, if it has files that a run would replace and never wrote: a checkpoint may
/// have been put beside somebody's own.
pub fn must_be_a_runs(folder: &RunFolder) -> Result<()> {
    let (config, metrics) = (folder.config(), folder.metrics());
    let is_config = || config.is_file() && read_choices(&config).is_ok();
    let is_empty = || fs::metadata(&metrics).is_ok_and(|file| file.is_file() && file.len() == 0);
    let has_records = || Metrics::read(&metrics).is_ok_and(|records| !records.is_empty());
    let foreign = if folder.has_lock() {
        None
    } else if config.exists() && !is_config() {
        Some(config)
    } else if metrics.exists() && !is_empty() && !has_records() {
        Some(metrics)
    } else {
        None
    };
    foreign.map_or(Ok(()), |path| {
        let problem = "it is not a run's, and a run here would replace it; put the checkpoint into a folder of its own";
        Err(Error::cannot_create(path, problem))
    })
}
