//! A run's folder: what is in it, and how a run is named.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Frame, disk, model};
use crate::error::{Error, Result};

/// Where runs are by default.
pub const RUNS: &str = "checkpoints";

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The run in that folder, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        RunFolder { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last component of the folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Everything needed to go on.
    pub fn latest(&self) -> PathBuf {
        self.path.join("latest.ckpt")
    }
    /// The weights that did best on the held-out text.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.ckpt")
    }
    /// What ran.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }
    /// A record a line.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }
    /// The plot of the losses.
    pub fn plot(&self) -> PathBuf {
        self.path.join("loss.svg")
    }

    /// Whether there is a run in it.
    pub fn has_run(&self) -> bool {
        self.latest().exists() || self.best().exists()
    }

    /// What to sample from: the best weights, else the latest.
    pub fn model(&self) -> PathBuf {
        if self.best().exists() { self.best() } else { self.latest() }
    }
}

/// The newest of the other checkpoints that stand beside a damaged one in the folder of its run, of those that are whole.
pub fn whole_beside(damaged: &Path) -> Option<PathBuf> {
    let run = RunFolder::new(disk::folder_of(damaged));
    let others = [run.latest(), run.best()].into_iter().filter(|path| path.file_name() != damaged.file_name());
    let is_whole = |path: &PathBuf| {
        let frame = Frame::read(path).ok().filter(|frame| frame.verify().is_ok());
        frame.is_some_and(|frame| model::read(&frame).is_ok())
    };
    let saved = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    others.filter(is_whole).max_by_key(saved)
}

/// The run in `runs` that was saved last.
///
/// # Errors
/// [`Error::Missing`] where there is none.
pub fn newest(runs: &Path) -> Result<RunFolder> {
    let saved = |run: &RunFolder| -> Option<SystemTime> {
        let of = |path: PathBuf| path.metadata().and_then(|file| file.modified()).ok();
        of(run.latest()).max(of(run.best()))
    };
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let found = entries.map(|entry| RunFolder::new(entry.path())).filter_map(|run| Some((saved(&run)?, run)));
    let newest = found.max_by(|a, b| (a.0, a.1.path()).cmp(&(b.0, b.1.path())));
    newest.map(|(_, run)| run).ok_or_else(|| {
        Error::Missing(format!("there is no run under {}; make one with: charlstm train", runs.display()))
    })
}

/// What a user means by RUN: a checkpoint file, a run's folder, or the name of a run under `runs`; nothing means the newest.
///
/// # Errors
/// [`Error::Missing`] where there is no such run.
pub fn find(given: Option<&Path>, runs: &Path) -> Result<Found> {
    let Some(given) = given else { return newest(runs).map(Found::Run) };
    if given.is_file() {
        return Ok(Found::File(given.into()));
    }
    let candidates = [RunFolder::new(given), RunFolder::new(runs.join(given))];
    let run = candidates.into_iter().find(RunFolder::has_run);
    run.map(Found::Run).ok_or_else(|| {
        let (name, runs) = (given.display(), runs.display());
        Error::Missing(format!(
            "there is no run {name}: neither a checkpoint, nor a run's folder, nor a run under {runs}"
        ))
    })
}

/// What a user meant by RUN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A run's folder.
    Run(RunFolder),
    /// A checkpoint file.
    File(PathBuf),
}

impl Found {
    /// The checkpoint to sample from or evaluate.
    pub fn model(&self) -> PathBuf {
        match self {
            Found::Run(run) => run.model(),
            Found::File(path) => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_name_folder_file_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        assert!(matches!(find(None, runs), Err(Error::Missing(_))));
        for name in ["old", "new"] {
            std::fs::create_dir(runs.join(name)).unwrap();
            std::fs::write(runs.join(name).join("latest.ckpt"), name).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::fs::create_dir(runs.join("no-run")).unwrap();
        assert_eq!(newest(runs).unwrap().name(), "new");
        let old = Found::Run(RunFolder::new(runs.join("old")));
        assert_eq!(find(Some(Path::new("old")), runs).unwrap(), old);
        assert_eq!(find(Some(&runs.join("old")), runs).unwrap(), old);
        assert_eq!(old.model(), runs.join("old/latest.ckpt"));
        let file = runs.join("new/latest.ckpt");
        assert_eq!(find(Some(&file), runs).unwrap(), Found::File(file));
        assert!(find(Some(Path::new("no-run")), runs).unwrap_err().to_string().contains("no-run"));
    }
}
