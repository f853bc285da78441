//! A run that this process trains in, and the files that only its holder replaces.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::RunFolder;
use super::disk::{self, Disk, RealDisk};
use super::format::{self, Section};
use super::lock::Hold;
use crate::error::{Error, Result};

/// The last number of a folder that is made beside a run's.
const LAST_BESIDE: u32 = 999;
/// How often a file is tried again whose folder is being deleted, and how long that takes in between.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// A run's folder that this process holds. That ends with the process, however that ends.
#[derive(Debug)]
pub struct LockedRun {
    folder: RunFolder,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    hold: Hold,
    found: Found,
    made_again: bool,
}

/// What the last write found where the folder is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Ours,
    Anothers,
    /// Nothing, and no folder could be made.
    Nothing,
}

impl Deref for LockedRun {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

impl RunFolder {
    /// Makes the folder and takes hold of it, and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] where the folder cannot be made or written, or has something else in the place of the lock,
    /// [`Error::Busy`] where another process trains in it.
    pub fn lock(&self) -> Result<LockedRun> {
        let state = State { hold: Hold::take(self)?, found: Found::Ours, made_again: false };
        Ok(LockedRun { folder: self.clone(), state: Mutex::new(state) })
    }
}

impl LockedRun {
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
    /// could not be synced, the new one. Also where the folder was deleted and cannot be made again, or another's stands in its
    /// place.
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

    /// Whether the last write found that nothing can be written here any more.
    pub fn is_lost(&self) -> bool {
        self.state().found != Found::Ours
    }

    /// Whether the last write found another's run or files in the place of this run, which will not pass.
    pub fn is_anothers(&self) -> bool {
        self.state().found == Found::Anothers
    }

    /// Saves a latest checkpoint in a new folder beside this one: `NAME-2`, or the next one that is not there. Where that fails
    /// there is no new folder.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] where none can be made, and as [`save`](Self::save).
    pub fn save_beside(&self, sections: &[Section<'_>]) -> Result<RunFolder> {
        // One such as `.` has no name of its own.
        let whole = self.path().file_name().is_none().then(|| self.path().canonicalize().ok()).flatten();
        let ours = whole.as_deref().unwrap_or(self.path());
        let above = disk::folder_of(ours);
        let cannot = |e: io::Error| Error::cannot_create(above, format!("no folder can be made in it: {e}"));
        disk::make_folder(above).map_err(cannot)?;
        let name = ours.file_name().unwrap_or(ours.as_os_str());
        let make = |n: u32| {
            let other = ours.with_file_name(OsString::from_iter([name, format!("-{n}").as_ref()]));
            match std::fs::create_dir(&other) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| RunFolder::new(other))),
            }
        };
        let none = || Err(ErrorKind::AlreadyExists.into());
        let other = (2..=LAST_BESIDE).find_map(make).unwrap_or_else(none).map_err(cannot)?;
        let durable = RealDisk.sync_folder(above).map_err(cannot);
        let saved = durable.and_then(|()| other.lock()).and_then(|held| held.save(&held.latest(), sections));
        if saved.is_err() && !other.latest().exists() {
            // The first error is the one to tell.
            let _ = RealDisk.remove(&other.lock_file()).and_then(|()| std::fs::remove_dir(other.path()));
        }
        saved.map(|()| other)
    }

    /// Whether the folder was deleted or moved away, and made again, since this was last asked.
    pub fn was_made_again(&self) -> bool {
        std::mem::take(&mut self.state().made_again)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the lock is still the one that was taken. Where it was deleted, be it with its folder, a new one is taken:
    /// whoever did that has not asked for the end of the run. Another process may have been first, or other files be in the place of
    /// the folder, which are not this run's to replace.
    fn must_be_held(&self) -> Result<()> {
        let mut state = self.state();
        if state.hold.stands(self) {
            state.found = Found::Ours;
            return Ok(());
        }
        let anothers = |path, problem| Error::io(path, io::Error::new(ErrorKind::AlreadyExists, problem));
        if let Some((path, problem)) = state.hold.foreign(self) {
            state.found = Found::Anothers;
            return Err(anothers(path, problem));
        }
        state.found = Found::Nothing;
        let stood = state.hold.is_of(self.path());
        let hold = Hold::take(self).map_err(|e| match e {
            Error::CannotCreate { path, problem } => {
                let kind = if self.path().exists() { ErrorKind::Other } else { ErrorKind::NotFound };
                Error::io(path, io::Error::new(kind, problem))
            }
            // It has yet to write its number.
            Error::Busy { .. } => {
                state.found = Found::Anothers;
                anothers(self.lock_file(), "another process took this run; what is beside it is left alone".into())
            }
            other => other,
        })?;
        *state = State { hold, found: Found::Ours, made_again: state.made_again || !stood };
        Ok(())
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

    #[cfg(unix)]
    #[test]
    fn a_run_whose_lock_was_replaced_is_left_to_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path()).lock().unwrap();
        std::fs::remove_file(run.lock_file()).unwrap();
        let other = RunFolder::new(folder.path()).lock().unwrap();
        other.save(&other.latest(), &[("other", vec![1].into())]).unwrap();
        let (latest, at) = (run.latest(), run.lock_file().display().to_string());
        let is_left = |written: Result<()>| {
            let error = written.unwrap_err();
            assert!(error.is_unwritten() && error.to_string().starts_with(&at), "{error}");
            assert!(super::super::Frame::read(&latest).unwrap().has("other") && run.is_anothers());
        };
        is_left(run.save(&latest, &[]));
        is_left(run.save_without_best(&[]));
        is_left(run.replace(&latest, b"mine"));
        // It ended, or this is a copy of what another process holds elsewhere.
        drop(other);
        is_left(run.save(&latest, &[]));
        // What is no lock is no run's.
        std::fs::write(run.lock_file(), "mine").unwrap();
        is_left(run.save(&latest, &[]));
        // Nor one that another process has yet to write its number to.
        std::fs::remove_file(run.lock_file()).unwrap();
        let empty = File::create(run.lock_file()).unwrap();
        empty.lock().unwrap();
        is_left(run.save(&latest, &[]));
        assert!(!run.was_made_again());
    }

    #[cfg(unix)]
    #[test]
    fn what_was_deleted_of_a_run_is_made_again_and_held() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder::new(place.path().join("runs/run")).lock().unwrap();
        let ways: [&dyn Fn(); 5] = [
            &|| std::fs::remove_file(run.lock_file()).unwrap(),
            &|| std::fs::remove_file(run.lock_file()).and_then(|()| std::fs::write(run.lock_file(), "")).unwrap(),
            &|| std::fs::remove_dir_all(place.path().join("runs")).unwrap(),
            &|| {
                std::fs::remove_dir_all(run.path()).unwrap();
                std::fs::create_dir(run.path()).unwrap();
            },
            &|| std::fs::rename(run.path(), place.path().join("moved")).unwrap(),
        ];
        for (which, delete) in ways.iter().enumerate() {
            delete();
            run.save(&run.latest(), &[]).unwrap();
            assert_eq!([run.was_made_again(), run.was_made_again()], [which > 1, false], "{which}");
            assert!(run.latest().exists(), "{which}");
            assert!(matches!(RunFolder::new(run.path()).lock(), Err(Error::Busy { .. })), "{which}");
            run.save(&run.latest(), &[]).unwrap();
        }
        // What fails on the way leaves no lock that would be another's.
        std::fs::remove_file(run.lock_file()).unwrap();
        let in_the_way = disk::temporary(&run.latest());
        std::fs::create_dir(&in_the_way).unwrap();
        assert!(run.save(&run.latest(), &[]).unwrap_err().is_unwritten() && run.is_lost());
        std::fs::remove_dir(&in_the_way).unwrap();
        run.save(&run.latest(), &[]).unwrap();
        assert!(!run.is_lost());
        let others = [run.save_beside(&[]), run.save_beside(&[])].map(|other| other.unwrap().name());
        assert_eq!(others, ["run-2", "run-3"]);
        // What cannot be made again cannot be written, which a run may survive.
        std::fs::remove_dir_all(run.path()).unwrap();
        std::fs::write(run.path(), "in the way").unwrap();
        assert!(run.save(&run.latest(), &[]).unwrap_err().is_unwritten());
        assert!(run.is_lost() && !run.is_anothers(), "it may pass");
        std::fs::remove_file(run.path()).unwrap();
        run.save(&run.latest(), &[]).unwrap();
        assert!(!run.is_lost());
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
            assert!(run.replace(&run.metrics(), b"ours").is_err() && run.is_anothers());
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
