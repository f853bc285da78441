//! A run's folder: what is in it, which process holds it, and how a run is named.

use std::fs::{File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{self, Disk, RealDisk};
use super::format::{self, Section};
use super::{Frame, model};
use crate::error::{Error, Result};

/// The file that a process holds while it trains; it marks the folder of a run.
const LOCK: &str = ".lock";
/// More bytes than the number of a process has.
const LONGEST_NOTE: u64 = 32;

/// Where runs are by default.
pub const RUNS: &str = "checkpoints";

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    /// The lock that this process took.
    held: Option<FileId>,
}

/// Held while a process trains in a run; it ends with the process, however that ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunFolder {
    /// The run in that folder, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        RunFolder { path: path.into(), held: None }
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
        let ours = self.has_lock() || self.has_run();
        [self.config(), self.metrics(), self.plot()].into_iter().find(|path| !ours && path.exists())
    }

    /// What to sample from: the best weights, else the latest.
    pub fn model(&self) -> PathBuf {
        if self.best().exists() { self.best() } else { self.latest() }
    }

    /// Whether a process ever trained in it, or does so now. A file of that name that no run has made does not count.
    pub fn has_lock(&self) -> bool {
        let path = self.path.join(LOCK);
        is_regular(&path) && File::open(path).is_ok_and(|file| holder(&file).is_some())
    }

    /// Makes the folder and takes hold of it, and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] where the folder cannot be made or written, or has something else in the place of the lock,
    /// [`Error::Busy`] where another process trains in it.
    pub fn lock(&mut self) -> Result<RunLock> {
        let cannot =
            |e| Error::cannot_create(&self.path, format!("a run cannot be kept here: {e}; choose another folder"));
        disk::make_folder(&self.path).map_err(cannot)?;
        let path = self.path.join(LOCK);
        let foreign = || {
            let problem = "it is not the lock of a run, and a run here would replace it; choose another folder";
            Error::cannot_create(&path, problem)
        };
        if path.symlink_metadata().is_ok() && !is_regular(&path) {
            return Err(foreign());
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        options.custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(&path).map_err(cannot)?;
        let Some(pid) = holder(&file) else { return Err(foreign()) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: self.path.clone(), pid }),
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        let note = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        note.map_err(|e| Error::io(&path, e))?;
        for left in [self.latest(), self.best(), self.config(), self.metrics(), self.plot()] {
            RealDisk.remove(&disk::temporary(&left)).map_err(|e| Error::io(&self.path, e))?;
        }
        self.held = file.metadata().ok().and_then(|file| file_id(&file));
        Ok(RunLock { _file: file })
    }

    /// Saves a checkpoint atomically.
    ///
    /// # Errors
    /// As [`replace`], and [`Error::Busy`] where the lock was taken away and another process trains here; the one before is left
    /// as it was.
    pub fn save(&self, path: &Path, sections: &[Section<'_>]) -> Result<()> {
        self.put(path, sections, &[])
    }

    /// Saves a checkpoint whose bytes are at hand.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_bytes(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.must_be_held()?;
        replace(path, bytes)
    }

    /// Saves the latest checkpoint of a run that has no best one. One that is there is another run's, or of another text, and
    /// goes: a crash leaves both old ones, the old latest alone, or the new one.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_without_best(&self, sections: &[Section<'_>]) -> Result<()> {
        self.put(&self.latest(), sections, &[self.best()])
    }

    fn put(&self, path: &Path, sections: &[Section<'_>], without: &[PathBuf]) -> Result<()> {
        self.must_be_held()?;
        let header = format::header(sections);
        replace_by(path, &format::pieces(&header, sections), without)
    }

    /// Makes sure that the lock is still the one that was taken: another process takes a new one where it was deleted. While there
    /// is none nobody else is here.
    fn must_be_held(&self) -> Result<()> {
        let path = self.path.join(LOCK);
        let now = path.symlink_metadata().ok().and_then(|file| file_id(&file));
        if self.held.is_none() || now.is_none() || self.held == now {
            return Ok(());
        }
        let pid = File::open(&path).ok().and_then(|file| holder(&file)).unwrap_or_default();
        Err(Error::Busy { path: self.path.clone(), pid })
    }
}

/// What a file is known by, whatever its name: its device and number, where the system has such.
type FileId = (u64, u64);

fn file_id(file: &Metadata) -> Option<FileId> {
    #[cfg(unix)]
    return Some((file.dev(), file.ino()));
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// Whether a regular file stands there, and no link to one.
fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|file| file.is_file())
}

/// The process that a lock names; `None` where a file is no lock. Of a longer one no more is read.
fn holder(file: &File) -> Option<String> {
    let mut note = Vec::new();
    // Where a lock keeps others from reading, it is one.
    let _ = file.take(LONGEST_NOTE).read_to_end(&mut note);
    let pid = note.trim_ascii_end();
    let is_lock = note.len() < LONGEST_NOTE as usize && pid.iter().all(u8::is_ascii_digit);
    is_lock.then(|| String::from_utf8_lossy(pid).into_owned())
}

/// Replaces a file of a run atomically.
///
/// # Errors
/// [`Error::NoRoom`] where the disk is full, else [`Error::Io`]; the file before is left as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(path, &[bytes], &[])
}

fn replace_by(path: &Path, pieces: &[&[u8]], without: &[PathBuf]) -> Result<()> {
    let (needed, beside) = (pieces.iter().map(|piece| piece.len() as u64).sum(), disk::temporary(path));
    // In a run nobody else has a file of that name.
    let replaced = RealDisk.remove(&beside).and_then(|()| disk::replace(&RealDisk, path, &beside, pieces, without));
    replaced.map_err(|e| unwritten(path, needed, e))
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
        let mut run = RunFolder::new(folder.path().join("a/b"));
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
    fn a_lock_is_empty_or_names_a_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = RunFolder::new(folder.path());
        assert!(!run.has_lock());
        for (note, is_lock) in [
            ("", true),
            ("123", true),
            ("123\n", true),
            ("mine", false),
            ("12 34\n", false),
            (&"1".repeat(LONGEST_NOTE as usize), false),
        ] {
            std::fs::write(folder.path().join(LOCK), note).unwrap();
            assert_eq!(run.has_lock(), is_lock, "{note:?}");
            assert_eq!(run.lock().is_ok(), is_lock, "{note:?}");
            assert!(is_lock || std::fs::read(folder.path().join(LOCK)).unwrap() == note.as_bytes());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_run_whose_lock_was_replaced_is_not_saved() {
        let folder = tempfile::tempdir().unwrap();
        let [mut run, mut other] = [(); 2].map(|()| RunFolder::new(folder.path()));
        let _held = run.lock().unwrap();
        std::fs::remove_file(folder.path().join(LOCK)).unwrap();
        run.save(&run.latest(), &[]).unwrap();
        let _too = other.lock().unwrap();
        other.save(&other.latest(), &[("other", vec![1].into())]).unwrap();
        assert!(matches!(run.save(&run.latest(), &[]), Err(Error::Busy { .. })));
        assert!(matches!(run.save_bytes(&run.latest(), b"mine"), Err(Error::Busy { .. })));
        assert!(Frame::read(&run.latest()).unwrap().has("other"));
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
