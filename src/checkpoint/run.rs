//! A run's folder: what is in it, which process holds it, and how a run is named.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{self, Disk, RealDisk};
use super::format::{self, Section};
use super::{Frame, model};
use crate::error::{Error, Result};

/// The file that a process holds while it trains; it marks the folder of a run.
const LOCK: &str = ".lock";

/// Where runs are by default.
pub const RUNS: &str = "checkpoints";

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Held while a process trains in a run; it ends with the process, however that ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
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

    /// A file in it that a run would replace, where the folder is not one of a run.
    pub fn in_the_way(&self) -> Option<PathBuf> {
        let ours = self.path.join(LOCK).exists() || self.has_run();
        [self.config(), self.metrics(), self.plot()].into_iter().find(|path| !ours && path.exists())
    }

    /// What to sample from: the best weights, else the latest.
    pub fn model(&self) -> PathBuf {
        if self.best().exists() { self.best() } else { self.latest() }
    }

    /// Makes the folder and takes hold of it, and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] where the folder cannot be made or written, [`Error::Busy`] where another process trains in it.
    pub fn lock(&self) -> Result<RunLock> {
        let cannot =
            |e| Error::cannot_create(&self.path, format!("a run cannot be kept here: {e}; choose another folder"));
        std::fs::create_dir_all(&self.path).map_err(cannot)?;
        let path = self.path.join(LOCK);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(Error::Busy { path: self.path.clone(), pid: pid.trim().into() });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        let note = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        note.map_err(|e| Error::io(&path, e))?;
        for left in [self.latest(), self.best(), self.config(), self.metrics(), self.plot()] {
            match std::fs::remove_file(disk::temporary(&left)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io(disk::temporary(&left), e)),
                _ => {}
            }
        }
        Ok(RunLock { _file: file })
    }

    /// Saves a checkpoint atomically.
    ///
    /// # Errors
    /// As [`replace`]; the one before is left as it was.
    pub fn save(&self, path: &Path, sections: &[Section<'_>]) -> Result<()> {
        let header = format::header(sections);
        replace_by(&RealDisk, path, &format::pieces(&header, sections))
    }
}

/// Replaces a file atomically.
///
/// # Errors
/// [`Error::NoRoom`] where the disk is full, else [`Error::Io`]; the file before is left as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(&RealDisk, path, &[bytes])
}

fn replace_by(disk: &impl Disk, path: &Path, pieces: &[&[u8]]) -> Result<()> {
    let needed = || pieces.iter().map(|piece| piece.len() as u64).sum();
    disk::replace(disk, path, pieces).map_err(|e| unwritten(path, needed(), e))
}

/// The error for a file of which `needed` bytes could not be written.
pub fn unwritten(path: &Path, needed: u64, source: io::Error) -> Error {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::NoRoom { path: path.into(), needed, free: disk::free(disk::folder_of(path)), source }
        }
        _ => Error::io(path, source),
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
    fn a_second_holder_is_told_who_holds_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path().join("a/b"));
        let held = run.lock().unwrap();
        match run.lock() {
            Err(Error::Busy { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(held);
        std::fs::write(disk::temporary(&run.latest()), "half").unwrap();
        run.lock().unwrap();
        assert!(!disk::temporary(&run.latest()).exists(), "leftovers are cleaned away");
    }

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
