//! Finds a run by its name, its folder, or one of its checkpoints.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::RunFolder;
use crate::checkpoint::format::MAGIC;
use crate::error::{Error, Result};

/// The run or checkpoint that a RUN argument refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunTarget {
    /// A run.
    Run(RunFolder),
    /// A single checkpoint file.
    Checkpoint(PathBuf),
}

impl RunTarget {
    /// The checkpoint to sample from or evaluate.
    pub fn model(&self) -> PathBuf {
        match self {
            RunTarget::Run(run) => run.model(),
            RunTarget::Checkpoint(path) => path.clone(),
        }
    }
}

/// Resolves `given`, which is a checkpoint file, the name of a run under `runs`, or the folder of a run. `None` means the newest
/// run.
///
/// # Errors
/// [`Error::Missing`] if there is no such run, [`Error::NoRuns`] if `runs` contains no runs.
pub fn find(given: Option<&Path>, runs: &Path) -> Result<RunTarget> {
    let Some(given) = given else { return newest(runs).map(RunTarget::Run) };
    if is_checkpoint(given) {
        return Ok(RunTarget::Checkpoint(given.into()));
    }
    let candidates = [RunFolder::new(runs.join(given)), RunFolder::new(given)];
    if let Some(run) = candidates.into_iter().find(RunFolder::has_checkpoint) {
        return Ok(RunTarget::Run(run));
    }
    // Loading the file later fails with an error that says why it is not a checkpoint.
    if given.is_file() {
        return Ok(RunTarget::Checkpoint(given.into()));
    }
    let (name, runs) = (given.display(), runs.display());
    Err(Error::Missing(format!("{name}: not a run under {runs}, not the folder of a run, and not a checkpoint")))
}

/// The run under `runs` that was saved last.
///
/// # Errors
/// [`Error::NoRuns`] if there is none.
pub fn newest(runs: &Path) -> Result<RunFolder> {
    let saved_at = |run: &RunFolder| -> Option<SystemTime> {
        let modified = |path: PathBuf| path.metadata().and_then(|file| file.modified()).ok();
        modified(run.latest()).max(modified(run.best()))
    };
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let saved = entries.map(|entry| RunFolder::new(entry.path())).filter_map(|run| Some((saved_at(&run)?, run)));
    let newest = saved.max_by(|a, b| (a.0, a.1.path()).cmp(&(b.0, b.1.path())));
    newest.map(|(_, run)| run).ok_or_else(|| Error::NoRuns { folder: runs.into() })
}

fn is_checkpoint(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn finds_runs_by_name_folder_file_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        assert!(matches!(find(None, runs), Err(Error::NoRuns { .. })));
        for name in ["old", "new"] {
            std::fs::create_dir(runs.join(name)).unwrap();
            std::fs::write(runs.join(name).join("latest.ckpt"), MAGIC).unwrap();
        }
        let file = File::options().append(true).open(runs.join("old/latest.ckpt")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(9)).unwrap();
        std::fs::create_dir(runs.join("no-run")).unwrap();
        assert_eq!(newest(runs).unwrap().name(), "new");
        let old = RunTarget::Run(RunFolder::new(runs.join("old")));
        assert_eq!(find(Some(Path::new("old")), runs).unwrap(), old);
        assert_eq!(find(Some(&runs.join("old")), runs).unwrap(), old);
        assert_eq!(old.model(), runs.join("old/latest.ckpt"));
        let file = runs.join("new/latest.ckpt");
        assert_eq!(find(Some(&file), runs).unwrap(), RunTarget::Checkpoint(file));
        assert!(find(Some(Path::new("no-run")), runs).unwrap_err().to_string().contains("no-run"));
    }
}
