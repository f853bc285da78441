//! Atomic replacement of a file: a crash at any moment leaves the old file or the new one, complete.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file operations that replacing a file needs. Tests substitute a disk that crashes or fails.
pub trait Disk {
    /// A file open for writing.
    type File;
    /// Creates a file or truncates an existing one.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Writes `chunks` one after another.
    fn write(&self, file: &mut Self::File, chunks: &[&[u8]]) -> io::Result<()>;
    /// Flushes the contents of a file to the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Renames a file, replacing an existing one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Flushes the directory entries of a folder to the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file if it exists.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }
    fn write(&self, file: &mut File, chunks: &[&[u8]]) -> io::Result<()> {
        chunks.iter().try_for_each(|chunk| file.write_all(chunk))
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Only Unix can open a folder as a file.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// The path of the temporary file to which a new version of a file is written.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Replaces a file atomically: writes and syncs a temporary file, renames it, and syncs the folder. If this fails, the temporary
/// file is removed and the old file is kept; if only the last sync fails, the new file is in place.
pub fn replace(disk: &impl Disk, path: &Path, chunks: &[&[u8]]) -> io::Result<()> {
    let temporary = temporary(path);
    let mut file = disk.create(&temporary)?;
    let written = disk.write(&mut file, chunks).and_then(|()| disk.sync(&file));
    if let Err(e) = written.and_then(|()| disk.rename(&temporary, path)) {
        // The first error is the one to report.
        let _ = disk.remove(&temporary);
        return Err(e);
    }
    disk.sync_folder(folder_of(path))
}

/// Creates a folder and its parents, and syncs their directory entries to the disk.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let new: Vec<&Path> = path.ancestors().take_while(is_new).collect();
    std::fs::create_dir_all(path)?;
    new.into_iter().try_for_each(|folder| RealDisk.sync_folder(folder_of(folder)))
}

/// Opens a regular file for reading. Opening a pipe would block.
pub fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("not a regular file")) }
}

/// Free bytes on the disk of a folder, if known.
pub fn free_space(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// The error for a file of `needed` bytes that could not be written.
pub fn write_error(path: &Path, needed: u64, source: io::Error) -> Error {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::InsufficientSpace { path: path.into(), needed, free: free_space(folder_of(path)), source }
        }
        _ => Error::io(path, source),
    }
}

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    /// A disk in memory that crashes before operation `crash` and then loses everything that was not synced.
    #[derive(Default)]
    struct CrashingDisk {
        state: RefCell<State>,
        crash: usize,
        /// Whether directory entries reach the disk immediately, before the contents of their files.
        eager_names: bool,
    }

    #[derive(Default, Clone)]
    struct State {
        operations: usize,
        /// The contents of each file: as written and as synced.
        files: Vec<(Vec<u8>, Vec<u8>)>,
        names: BTreeMap<PathBuf, usize>,
        names_on_disk: BTreeMap<PathBuf, usize>,
    }

    impl CrashingDisk {
        fn operate<T>(&self, f: impl FnOnce(&mut State) -> T) -> io::Result<T> {
            let mut state = self.state.borrow_mut();
            if state.operations == self.crash {
                return Err(io::Error::other("crash"));
            }
            state.operations += 1;
            let result = f(&mut state);
            if self.eager_names {
                let names = state.names.clone();
                state.names_on_disk.extend(names);
            }
            Ok(result)
        }

        /// The contents of the file after the crash, if it exists.
        fn contents_after_crash(&self, path: &Path) -> Option<Vec<u8>> {
            let state = self.state.borrow();
            state.names_on_disk.get(path).map(|&file| state.files[file].1.clone())
        }
    }

    impl Disk for CrashingDisk {
        type File = usize;

        fn create(&self, path: &Path) -> io::Result<usize> {
            self.operate(|state| {
                state.files.push((Vec::new(), Vec::new()));
                state.names.insert(path.into(), state.files.len() - 1);
                state.files.len() - 1
            })
        }
        fn write(&self, file: &mut usize, chunks: &[&[u8]]) -> io::Result<()> {
            self.operate(|state| state.files[*file].0 = chunks.concat())
        }
        fn sync(&self, file: &usize) -> io::Result<()> {
            self.operate(|state| state.files[*file].1 = state.files[*file].0.clone())
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.operate(|state| {
                let file = state.names.remove(from).unwrap();
                state.names.insert(to.into(), file);
            })
        }
        fn sync_folder(&self, _: &Path) -> io::Result<()> {
            self.operate(|state| state.names_on_disk = state.names.clone())
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.operate(|state| state.names.remove(path)).map(|_| ())
        }
    }

    #[test]
    fn a_crash_before_any_operation_leaves_the_old_file_or_the_new_one() {
        let path = Path::new("run/latest.ckpt");
        for (eager_names, crash) in [false, true].into_iter().flat_map(|eager| (0..12).map(move |crash| (eager, crash)))
        {
            let disk = CrashingDisk { crash: usize::MAX, eager_names, ..Default::default() };
            replace(&disk, path, &[b"o", b"ld"]).unwrap();
            let before = disk.state.borrow().operations;
            let disk = CrashingDisk { crash: before + crash, ..disk };
            let is_saved = replace(&disk, path, &[b"ne", b"w"]).is_ok();
            let found = disk.contents_after_crash(path).expect("a checkpoint disappeared");
            assert!(found == b"old" || found == b"new", "incomplete after a crash before operation {crash}");
            assert!(!is_saved || found == b"new", "reported as saved but lost: crash before operation {crash}");
        }
    }

    /// The real disk, except that one operation fails.
    struct FaultyDisk {
        operations: Cell<usize>,
        fault: usize,
        kind: io::ErrorKind,
    }

    impl FaultyDisk {
        fn operate(&self, f: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
            let operation = self.operations.replace(self.operations.get() + 1);
            if operation == self.fault { Err(self.kind.into()) } else { f() }
        }
    }

    impl Disk for FaultyDisk {
        type File = File;

        fn create(&self, path: &Path) -> io::Result<File> {
            self.operate(|| Ok(()))?;
            RealDisk.create(path)
        }
        fn write(&self, file: &mut File, chunks: &[&[u8]]) -> io::Result<()> {
            // A failed write may have written part of the data.
            self.operate(|| Ok(())).inspect_err(|_| RealDisk.write(file, &chunks[..1]).unwrap())?;
            RealDisk.write(file, chunks)
        }
        fn sync(&self, file: &File) -> io::Result<()> {
            self.operate(|| RealDisk.sync(file))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.operate(|| RealDisk.rename(from, to))
        }
        fn sync_folder(&self, path: &Path) -> io::Result<()> {
            self.operate(|| RealDisk.sync_folder(path))
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            RealDisk.remove(path)
        }
    }

    #[test]
    fn any_failing_operation_is_reported_and_leaves_a_complete_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.ckpt");
        for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
            let mut faults = 0;
            for fault in 0.. {
                replace(&RealDisk, &path, &[b"o", b"ld"]).unwrap();
                let disk = FaultyDisk { operations: Cell::new(0), fault, kind };
                let saved = replace(&disk, &path, &[b"ne", b"w"]);
                let found = std::fs::read(&path).unwrap();
                assert!(!temporary(&path).exists(), "fault {fault}: a temporary file was left behind");
                match saved {
                    Ok(()) => {
                        assert_eq!(found, b"new");
                        break;
                    }
                    Err(e) => assert!(e.kind() == kind && (found == b"old" || found == b"new"), "fault {fault}: {e}"),
                }
                faults += 1;
            }
            assert_eq!(faults, 5, "create, write, sync, rename, sync of the folder");
        }
    }
}
