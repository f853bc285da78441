//! The file that marks the folder of a run, and that a process holds while it trains there.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::RunFolder;
use super::disk::{self, Disk, RealDisk};
use crate::data::same_file;
use crate::error::{Error, Result};

/// Its name; in it is the number of the process.
const LOCK: &str = ".lock";
/// More bytes than the number of a process has.
const LONGEST_NOTE: u64 = 32;

impl RunFolder {
    pub(super) fn lock_file(&self) -> PathBuf {
        self.path().join(LOCK)
    }

    /// Whether a process ever trained in it, or does so now. A file of that name that no run has made does not count.
    pub fn has_lock(&self) -> bool {
        holder_at(&self.lock_file()).is_some_and(|pid| !pid.is_empty())
    }
}

/// A lock that this process holds, and the folder that it is in. That ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct Hold {
    /// The lock, which is held as long as it is open.
    lock: File,
    /// The folder; as long as it is open no other can be taken for it. None where it may not be read.
    folder: Option<File>,
}

impl Hold {
    /// Makes a run's folder and takes hold of it, and removes what a crash left half-written.
    ///
    /// # Errors
    /// As [`RunFolder::lock`].
    pub fn take(run: &RunFolder) -> Result<Hold> {
        let cannot =
            |e| Error::cannot_create(run.path(), format!("a run cannot be kept here: {e}; choose another folder"));
        disk::make_folder(run.path()).map_err(cannot)?;
        let path = run.lock_file();
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
        let mut lock = options.open(&path).map_err(cannot)?;
        // A crash may have left it empty.
        let Some(pid) = holder(&lock) else { return Err(foreign()) };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: run.path().into(), pid }),
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        let note = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        // Whatever a power cut leaves of a run, the lock names it as one.
        let noted = note.and_then(|()| lock.sync_all()).map_err(|e| disk::unwritten(&path, LONGEST_NOTE, e));
        let rid = |file: PathBuf| RealDisk.remove(&disk::temporary(&file)).map_err(|e| Error::io(run.path(), e));
        if let Err(e) = noted.and_then(|()| run.files().into_iter().try_for_each(rid)) {
            // It may be tried again, and must not take this for another's.
            if pid.is_empty() {
                let _ = lock.set_len(0);
            }
            return Err(e);
        }
        Ok(Hold { lock, folder: File::open(run.path()).ok() })
    }

    /// Whether the lock still stands where it was taken, as far as can be known.
    pub fn stands(&self, run: &RunFolder) -> bool {
        match (self.lock.metadata(), run.lock_file().symlink_metadata()) {
            (Ok(ours), Ok(now)) => same_file(&ours, &now),
            (_, Err(e)) => !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
            _ => true,
        }
    }

    /// What is another's in the place of a run whose lock does not stand any more, and why.
    pub fn foreign(&self, run: &RunFolder) -> Option<(PathBuf, String)> {
        let lock = run.lock_file();
        let holder = holder_at(&lock);
        // One that names nobody was left by a crash.
        if lock.symlink_metadata().is_ok() && holder.as_deref() != Some("") {
            let whose = holder.map_or("it is not the lock of a run".into(), |pid| {
                format!("process {pid} took this run, or left a lock in a copy of one that stands here now")
            });
            return Some((lock, format!("{whose}; what is beside it is left alone")));
        }
        if self.is_of(run.path()) {
            return None;
        }
        let mut names = run.files().into_iter().flat_map(|file| [disk::temporary(&file), file]);
        let file = names.find(|file| file.symlink_metadata().is_ok())?;
        Some((
            file,
            "it stands in the place of the run's folder, which was deleted or moved away; it is left alone".into(),
        ))
    }

    /// Whether that is the folder, as far as can be known.
    pub fn is_of(&self, path: &Path) -> bool {
        match (self.folder.as_ref().map(File::metadata), path.metadata()) {
            (Some(Ok(ours)), Ok(now)) => same_file(&ours, &now),
            (_, now) => now.is_ok(),
        }
    }
}

/// Whether a regular file stands there, and no link to one.
fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|file| file.is_file())
}

/// As [`holder`], of what stands there, which is opened only if it is a regular file: a pipe would be waited for.
fn holder_at(path: &Path) -> Option<String> {
    if is_regular(path) { holder(&File::open(path).ok()?) } else { None }
}

/// The process that a lock names, if it names one; `None` where a file is no lock. Of a longer one no more is read.
fn holder(file: &File) -> Option<String> {
    let mut note = Vec::new();
    // Where a lock keeps others from reading, it is one.
    let _ = file.take(LONGEST_NOTE).read_to_end(&mut note);
    let pid = note.trim_ascii_end();
    let is_lock = note.len() < LONGEST_NOTE as usize && pid.iter().all(u8::is_ascii_digit);
    is_lock.then(|| String::from_utf8_lossy(pid).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_a_process_or_was_left_empty_by_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        assert!(!run.has_lock());
        for (note, may_be_taken, marks_a_run) in [
            ("", true, false),
            ("123", true, true),
            ("123\n", true, true),
            ("mine", false, false),
            ("12 34\n", false, false),
            (&"1".repeat(LONGEST_NOTE as usize), false, false),
        ] {
            std::fs::write(run.lock_file(), note).unwrap();
            assert_eq!(run.has_lock(), marks_a_run, "{note:?}");
            assert_eq!(run.lock().is_ok(), may_be_taken, "{note:?}");
            assert!(may_be_taken || std::fs::read(run.lock_file()).unwrap() == note.as_bytes());
        }
    }
}
