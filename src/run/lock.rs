//! The lock of a run, and writing to its folder.

use std::fs::{File, TryLockError};
use std::ops::Deref;
use std::path::Path;

use super::folder::RunFolder;
use crate::checkpoint::disk::{self, Disk, RealDisk};
use crate::checkpoint::format::{self, Section};
use crate::error::{Error, Result};

const LOCK: &str = ".lock";

/// A run that this process trains. The operating system releases the lock when the process ends, even if it is killed.
#[derive(Debug)]
pub struct LockedRun {
    folder: RunFolder,
    _lock: File,
}

impl Deref for LockedRun {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

impl RunFolder {
    /// Creates the folder, locks it, and removes temporary files that a crash left behind.
    ///
    /// # Errors
    /// [`Error::CannotCreate`] if the folder cannot be created or written to, [`Error::Busy`] if another process is training the run.
    pub fn lock(&self) -> Result<LockedRun> {
        let cannot = |e| Error::cannot_create(self.path(), format!("{e}; choose another folder"));
        disk::make_folder(self.path()).map_err(cannot)?;
        let path = self.path().join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: self.path().into() }),
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        for file in self.files() {
            RealDisk.remove(&disk::temporary(&file)).map_err(cannot)?;
        }
        Ok(LockedRun { folder: self.clone(), _lock: lock })
    }
}

impl LockedRun {
    /// Saves a checkpoint atomically.
    pub fn save(&self, path: &Path, sections: &[Section<'_>]) -> Result<()> {
        self.replace_with(path, &format::chunks(&format::encode_header(sections), sections))
    }

    /// Replaces a file of the run atomically.
    ///
    /// # Errors
    /// [`Error::InsufficientSpace`] if the disk is full, otherwise [`Error::Io`]. The previous file is kept.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.replace_with(path, &[bytes])
    }

    fn replace_with(&self, path: &Path, chunks: &[&[u8]]) -> Result<()> {
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        disk::replace(&RealDisk, path, chunks).map_err(|e| disk::write_error(path, len, e))
    }

    /// Removes the best checkpoint, which belongs to an earlier run or an earlier version of the text.
    pub fn remove_best(&self) -> Result<()> {
        remove(&self.best())
    }

    /// Removes the files of an earlier run except `latest.ckpt`, which the first save of the new run replaces. After a crash
    /// before that save, the earlier run can still be resumed.
    pub fn remove_all_but_latest(&self) -> Result<()> {
        [self.best(), self.metrics(), self.plot()].iter().try_for_each(|path| remove(path))
    }
}

fn remove(path: &Path) -> Result<()> {
    RealDisk.remove(path).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stays_locked_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path().join("a/b"));
        let held = run.lock().unwrap();
        assert!(matches!(run.lock(), Err(Error::Busy { .. })));
        drop(held);
        std::fs::write(disk::temporary(&run.latest()), "half").unwrap();
        run.lock().unwrap();
        assert!(!disk::temporary(&run.latest()).exists());
    }
}
