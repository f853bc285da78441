//! A run that this process trains in: its lock, and the files that only its holder replaces.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ops::Deref;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::RunFolder;
use super::disk::{self, Disk, RealDisk};
use super::format::{self, Section};
use crate::data::same_file;
use crate::error::{Error, Result};

/// The file that a process holds while it trains; with the number of a process in it, it marks the folder of a run.
const LOCK: &str = ".lock";
/// More bytes than the number of a process has.
const LONGEST_NOTE: u64 = 32;
/// The last number of a folder that is made beside a run's.
const LAST_BESIDE: u32 = 999;
/// How often a file is tried again whose folder is being deleted, and how long that takes in between.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// A run's folder that this process holds. That ends with the process, however that ends.
#[derive(Debug)]
pub struct HeldRun {
    folder: RunFolder,
    hold: Mutex<Hold>,
    made_again: AtomicBool,
}

#[derive(Debug)]
struct Hold {
    /// The lock, which is held as long as it is open.
    lock: File,
    /// The folder; as long as it is open no other can be taken for it. None where it may not be read.
    folder: Option<File>,
}

impl Deref for HeldRun {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

impl RunFolder {
    fn lock_file(&self) -> PathBuf {
        self.path().join(LOCK)
    }

    /// Whether a process ever trained in it, or does so now. A file of that name that no run has made does not count.
    pub fn has_lock(&self) -> bool {
        holder_at(&self.lock_file()).is_some_and(|pid| !pid.is_empty())
    }

    /// Makes the folder and takes hold of it, and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] where the folder cannot be made or written, or has something else in the place of the lock,
    /// [`Error::Busy`] where another process trains in it.
    pub fn lock(&self) -> Result<HeldRun> {
        let cannot =
            |e| Error::cannot_create(self.path(), format!("a run cannot be kept here: {e}; choose another folder"));
        disk::make_folder(self.path()).map_err(cannot)?;
        let path = self.lock_file();
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
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: self.path().into(), pid }),
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        let note = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        // Whatever a power cut leaves of a run, the lock names it as one.
        note.and_then(|()| lock.sync_all()).map_err(|e| disk::unwritten(&path, LONGEST_NOTE, e))?;
        for left in self.files() {
            RealDisk.remove(&disk::temporary(&left)).map_err(|e| Error::io(self.path(), e))?;
        }
        let hold = Hold { lock, folder: File::open(self.path()).ok() };
        Ok(HeldRun { folder: self.clone(), hold: Mutex::new(hold), made_again: AtomicBool::new(false) })
    }
}

impl HeldRun {
    /// Saves a checkpoint atomically.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn save(&self, path: &Path, sections: &[Section<'_>]) -> Result<()> {
        self.put(path, &format::pieces(&format::header(sections), sections), &[])
    }

    /// Saves the latest checkpoint of a run that has no best one. One that is there is another run's, or of another text, and
    /// goes: a crash leaves both old ones, the old latest alone, or the new one.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn save_without_best(&self, sections: &[Section<'_>]) -> Result<()> {
        self.put(&self.latest(), &format::pieces(&format::header(sections), sections), &[self.best()])
    }

    /// Replaces a file of the run atomically.
    ///
    /// # Errors
    /// [`Error::NoRoom`] where the disk is full, else [`Error::Io`]: what stands there is the file before or, where only its name
    /// could not be synced, the new one. Also where the folder was deleted and cannot be made again, or has files in it that are not
    /// this run's. [`Error::Busy`] where the lock was taken away and another process trains here.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.put(path, &[bytes], &[])
    }

    /// As [`replace`](Self::replace), and opens it to read and to append to.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn replace_and_open(&self, path: &Path, bytes: &[u8]) -> Result<File> {
        insistently(|| {
            self.write(path, &[bytes], &[])?;
            File::options().read(true).append(true).open(path).map_err(|e| Error::io(path, e))
        })
    }

    fn put(&self, path: &Path, pieces: &[&[u8]], without: &[PathBuf]) -> Result<()> {
        insistently(|| self.write(path, pieces, without))
    }

    fn write(&self, path: &Path, pieces: &[&[u8]], without: &[PathBuf]) -> Result<()> {
        self.must_be_held()?;
        let (needed, beside) = (pieces.iter().map(|piece| piece.len() as u64).sum(), disk::temporary(path));
        // In a run nobody else has a file of that name.
        let replaced = RealDisk.remove(&beside).and_then(|()| disk::replace(&RealDisk, path, &beside, pieces, without));
        replaced.map_err(|e| disk::unwritten(path, needed, e))
    }

    /// Whether nothing can be written here any more, since the folder is another's now or cannot be made again.
    pub fn is_lost(&self) -> bool {
        insistently(|| self.must_be_held()).is_err()
    }

    /// A new folder beside this one, held: `NAME-2`, or the next one that is not there.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] where none can be made.
    pub fn beside(&self) -> Result<HeldRun> {
        // One such as `.` has no name of its own.
        let whole = self.path().file_name().is_none().then(|| self.path().canonicalize().ok()).flatten();
        let ours = whole.as_deref().unwrap_or(self.path());
        let (name, above) = (RunFolder::new(ours).name(), disk::folder_of(ours));
        let cannot = |e: io::Error| Error::cannot_create(above, format!("no folder can be made in it: {e}"));
        disk::make_folder(above).map_err(cannot)?;
        let mut made = Err(ErrorKind::AlreadyExists.into());
        for n in 2..=LAST_BESIDE {
            let other = ours.with_file_name(format!("{name}-{n}"));
            made = std::fs::create_dir(&other).and_then(|()| RealDisk.sync_folder(above)).map(|()| other);
            if !made.as_ref().is_err_and(|e| e.kind() == ErrorKind::AlreadyExists) {
                break;
            }
        }
        RunFolder::new(made.map_err(cannot)?).lock()
    }

    /// Whether the folder, or its lock alone, was deleted and made again since this was last asked.
    pub fn was_made_again(&self) -> bool {
        self.made_again.swap(false, Ordering::Relaxed)
    }

    /// Makes sure that the lock is still the one that was taken. Where it was deleted, be it with its folder, a new one is taken:
    /// whoever did that has not asked for the end of the run. Another process may have been first, or other files be in the place of
    /// the folder, which are not this run's to replace.
    fn must_be_held(&self) -> Result<()> {
        let path = self.lock_file();
        let mut ours = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = match (ours.lock.metadata(), path.symlink_metadata()) {
            (Ok(ours), Ok(now)) if !same_file(&ours, &now) => true,
            (_, Err(e)) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => false,
            _ => return Ok(()),
        };
        let pid = holder_at(&path);
        // One that names nobody was left by a crash.
        if stands && pid.as_deref() != Some("") {
            let is_held = File::open(&path).is_ok_and(|other| other.try_lock_shared().is_err());
            return Err(if is_held {
                Error::Busy { path: self.path().into(), pid: pid.unwrap_or_default() }
            } else {
                left_alone(path, "it is another run's, or of a copy of this one; what stands beside it is left alone")
            });
        }
        let in_its_place = || {
            let all = self.files().into_iter().flat_map(|file| [disk::temporary(&file), file]);
            all.into_iter().find(|file| file.symlink_metadata().is_ok())
        };
        if !ours.is_of(self.path())
            && let Some(foreign) = in_its_place()
        {
            return Err(left_alone(
                foreign,
                "it stands in the place of the run's folder, which was deleted; it is left alone",
            ));
        }
        let again = self.folder.lock().map_err(|e| match e {
            Error::CannotCreate { path, problem } => {
                let kind = if self.path().exists() { ErrorKind::Other } else { ErrorKind::NotFound };
                Error::io(path, io::Error::new(kind, problem))
            }
            other => other,
        })?;
        *ours = again.hold.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.made_again.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn left_alone(path: PathBuf, problem: &str) -> Error {
    Error::io(path, io::Error::new(ErrorKind::AlreadyExists, problem))
}

impl Hold {
    /// Whether that is the folder, as far as can be known.
    fn is_of(&self, path: &Path) -> bool {
        match (self.folder.as_ref().map(File::metadata), path.metadata()) {
            (Some(Ok(ours)), Ok(now)) => same_file(&ours, &now),
            _ => true,
        }
    }
}

/// Does something with files of a run, again and again for a moment where one is not there: the folder is being deleted.
fn insistently<T>(f: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 0..TRIES {
        match f() {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => sleep(PAUSE),
            other => return other,
        }
    }
    f()
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

    #[cfg(unix)]
    #[test]
    fn a_run_whose_lock_was_replaced_is_left_to_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path()).lock().unwrap();
        std::fs::remove_file(run.lock_file()).unwrap();
        let other = RunFolder::new(folder.path()).lock().unwrap();
        other.save(&other.latest(), &[("other", vec![1].into())]).unwrap();
        assert!(matches!(run.save(&run.latest(), &[]), Err(Error::Busy { .. })));
        assert!(matches!(run.save_without_best(&[]), Err(Error::Busy { .. })));
        assert!(matches!(run.replace(&run.latest(), b"mine"), Err(Error::Busy { .. })));
        assert!(super::super::Frame::read(&run.latest()).unwrap().has("other"));
        // It ended, or this is a copy of what another process holds elsewhere.
        drop(other);
        let error = run.save(&run.latest(), &[]).unwrap_err();
        assert!(
            error.is_unwritten() && error.to_string().starts_with(&run.lock_file().display().to_string()),
            "{error}"
        );
        assert!(super::super::Frame::read(&run.latest()).unwrap().has("other"));
        assert!(!run.was_made_again());
    }

    #[cfg(unix)]
    #[test]
    fn what_was_deleted_of_a_run_is_made_again_and_held() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder::new(place.path().join("runs/run")).lock().unwrap();
        let ways: [&dyn Fn(); 4] = [
            &|| std::fs::remove_file(run.lock_file()).unwrap(),
            &|| std::fs::remove_dir_all(place.path().join("runs")).unwrap(),
            &|| {
                std::fs::remove_dir_all(run.path()).unwrap();
                std::fs::create_dir(run.path()).unwrap();
            },
            &|| std::fs::remove_file(run.lock_file()).and_then(|()| std::fs::write(run.lock_file(), "")).unwrap(),
        ];
        for (which, delete) in ways.iter().enumerate() {
            delete();
            run.save(&run.latest(), &[]).unwrap();
            assert!(run.was_made_again() && !run.was_made_again() && run.latest().exists(), "{which}");
            assert!(matches!(RunFolder::new(run.path()).lock(), Err(Error::Busy { .. })), "{which}");
            run.save(&run.latest(), &[]).unwrap();
        }
        assert!(!run.is_lost());
        let others = [run.beside(), run.beside()].map(|other| other.unwrap().name());
        assert_eq!(others, ["run-2", "run-3"]);
        // What cannot be made again cannot be written, which a run may survive.
        std::fs::remove_dir_all(run.path()).unwrap();
        std::fs::write(run.path(), "in the way").unwrap();
        assert!(run.save(&run.latest(), &[]).unwrap_err().is_unwritten() && run.is_lost());
    }

    #[cfg(unix)]
    #[test]
    fn what_stands_in_the_place_of_a_deleted_run_is_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder::new(place.path().join("run")).lock().unwrap();
        for file in run.files().into_iter().flat_map(|file| [disk::temporary(&file), file]) {
            std::fs::remove_dir_all(run.path()).unwrap();
            std::fs::create_dir(run.path()).unwrap();
            std::fs::write(&file, "mine").unwrap();
            let error = run.save(&run.latest(), &[]).unwrap_err();
            assert!(error.is_unwritten() && error.to_string().starts_with(&file.display().to_string()), "{error}");
            assert!(run.replace(&run.metrics(), b"ours").is_err() && run.is_lost());
            assert!(std::fs::read(&file).unwrap() == b"mine" && std::fs::read_dir(run.path()).unwrap().count() == 1);
            std::fs::remove_file(&file).unwrap();
            run.save(&run.latest(), &[]).unwrap();
            assert!(run.was_made_again());
        }
        // Only the lock is gone: these are the run's own.
        std::fs::remove_file(run.lock_file()).unwrap();
        run.save(&run.latest(), &[]).unwrap();
    }
}
