//! A run's folder: what is in it, and how a run is named.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

/// How far the clock of a disk that is another machine's may be ahead.
const SKEW: Duration = Duration::from_secs(60);

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

    /// All files that a run replaces as it goes on.
    pub fn files(&self) -> [PathBuf; 5] {
        [self.latest(), self.best(), self.config(), self.metrics(), self.plot()]
    }

    /// Whether there is a run in it.
    ///
    /// # Errors
    /// [`Error::Input`] where that cannot be known.
    pub fn has_run(&self) -> Result<bool> {
        Ok(is_there(&self.latest())? || is_there(&self.best())?)
    }

    /// What to sample from: the best weights, else the latest.
    pub fn model(&self) -> PathBuf {
        if self.best().exists() { self.best() } else { self.latest() }
    }
}

/// Whether there is something of that name.
///
/// # Errors
/// [`Error::Input`] where that cannot be known: what may not be looked at must not pass for what is not there.
pub fn is_there(path: &Path) -> Result<bool> {
    match path.try_exists() {
        // There cannot be anything of that name.
        Err(e) if matches!(e.kind(), ErrorKind::NotADirectory | ErrorKind::InvalidFilename) => Ok(false),
        Err(e) => Err(Error::input(path, e)),
        Ok(there) => Ok(there),
    }
}

/// The run in `runs` that was saved last.
///
/// # Errors
/// [`Error::NoRuns`] where there is none, [`Error::Usage`] where it is one of several and was saved in the future: which one was
/// saved last cannot be known then.
pub fn newest(runs: &Path) -> Result<RunFolder> {
    let saved = |run: &RunFolder| -> Option<SystemTime> {
        let of = |path: PathBuf| path.metadata().and_then(|file| file.modified()).ok();
        of(run.latest()).max(of(run.best()))
    };
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let found = entries.map(|entry| RunFolder::new(entry.path())).filter_map(|run| Some((saved(&run)?, run)));
    let mut found: Vec<(SystemTime, RunFolder)> = found.collect();
    found.sort_by(|a, b| (a.0, a.1.path()).cmp(&(b.0, b.1.path())));
    let Some((saved, run)) = found.pop() else {
        return Err(Error::NoRuns { folder: runs.into() });
    };
    if !found.is_empty() && saved > SystemTime::now() + SKEW {
        let (at, runs) = (run.path.display(), runs.display());
        let problem =
            format!("{at} was saved in the future, so the clock was set back, and which run of {runs} is the newest");
        return Err(Error::Usage(format!("{problem} cannot be known; name the one that is meant")));
    }
    Ok(run)
}

/// What a user means by RUN: a checkpoint file, a run's folder, or the name of a run under `runs`; nothing means the newest.
///
/// # Errors
/// [`Error::Missing`] where there is no such run, [`Error::Input`] where that cannot be known, and as [`newest`].
pub fn find(given: Option<&Path>, runs: &Path) -> Result<Found> {
    let Some(given) = given else { return newest(runs).map(Found::Run) };
    if given.is_file() {
        return Ok(Found::File(given.into()));
    }
    let mut unknown = None;
    for run in [RunFolder::new(given), RunFolder::new(runs.join(given))] {
        match run.has_run() {
            Ok(true) => return Ok(Found::Run(run)),
            Ok(false) => {}
            Err(e) => unknown = unknown.or(Some(e)),
        }
    }
    if let Some(e) = unknown {
        return Err(e);
    }
    let (name, runs) = (given.display(), runs.display());
    Err(Error::Missing(format!(
        "there is no run {name}: neither a checkpoint, nor a run's folder, nor a run under {runs}"
    )))
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
        let saved_at = |name: &str, time| {
            let file = std::fs::File::options().append(true).open(runs.join(name).join("latest.ckpt"));
            file.unwrap().set_modified(time).unwrap();
        };
        assert!(matches!(find(None, runs), Err(Error::NoRuns { .. })));
        for name in ["old", "new"] {
            std::fs::create_dir(runs.join(name)).unwrap();
            std::fs::write(runs.join(name).join("latest.ckpt"), name).unwrap();
        }
        saved_at("old", SystemTime::now() - Duration::from_secs(9));
        std::fs::create_dir(runs.join("no-run")).unwrap();
        assert_eq!(newest(runs).unwrap().name(), "new");
        let old = Found::Run(RunFolder::new(runs.join("old")));
        assert_eq!(find(Some(Path::new("old")), runs).unwrap(), old);
        assert_eq!(find(Some(&runs.join("old")), runs).unwrap(), old);
        assert_eq!(old.model(), runs.join("old/latest.ckpt"));
        let file = runs.join("new/latest.ckpt");
        assert_eq!(find(Some(&file), runs).unwrap(), Found::File(file));
        // Since the clock was set back.
        saved_at("old", SystemTime::now() + Duration::from_secs(999));
        assert!(newest(runs).unwrap_err().to_string().starts_with(&runs.join("old").display().to_string()));
        std::fs::remove_dir_all(runs.join("new")).unwrap();
        assert_eq!(newest(runs).unwrap().name(), "old", "it is the only one");
        assert!(find(Some(Path::new("no-run")), runs).unwrap_err().to_string().contains("no-run"));
    }
}
