//! Replacing a file so that a crash at any moment leaves the old one or the new one, whole.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file operations that saving needs. The tests have one of their own, which crashes.
pub trait Disk {
    /// Creates or empties a file and writes it, piece after piece.
    fn write(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()>;
    /// Waits until what was written to a file is on disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, over another if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until a folder's names are on disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn write(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        let mut file = File::create(path)?;
        pieces.iter().try_for_each(|piece| file.write_all(piece))
    }
    fn sync(&self, path: &Path) -> io::Result<()> {
        File::options().write(true).open(path)?.sync_all()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Elsewhere than on Unix a folder cannot be opened as a file, and renames need no such help.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

/// The name that a file has until it is whole.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Replaces a file by `pieces`, one after another: written beside it, synced, renamed over it, the folder synced. Where that fails,
/// what was written beside it is removed and the old file stands.
///
/// # Errors
/// What the disk says.
pub fn replace(disk: &impl Disk, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    let beside = temporary(path);
    let written =
        disk.write(&beside, pieces).and_then(|()| disk.sync(&beside)).and_then(|()| disk.rename(&beside, path));
    if let Err(e) = written {
        // The first error is the one to tell.
        let _ = disk.remove(&beside);
        return Err(e);
    }
    disk.sync_folder(folder_of(path))
}

/// Bytes that a new file in a folder may have: what is free there, or the most that this process may write to a file. `None` where
/// that cannot be known.
pub fn free(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let there = rustix::fs::statvfs(folder).ok()?;
        let allowed = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
        Some(there.f_bavail.saturating_mul(there.f_frsize).min(allowed))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    /// A disk in memory that loses, when it crashes, whatever was not synced. It crashes before operation `crash`.
    #[derive(Default)]
    struct CrashingDisk {
        state: RefCell<State>,
        crash: usize,
        /// Whether renames reach the disk by themselves, before what they name.
        eager_names: bool,
    }

    #[derive(Default, Clone)]
    struct State {
        operations: usize,
        /// Contents of files by number: as written, as on disk.
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
                state.names_on_disk = state.names.clone();
            }
            Ok(result)
        }

        /// What is found after the crash.
        fn survives(&self, path: &Path) -> Option<Vec<u8>> {
            let state = self.state.borrow();
            state.names_on_disk.get(path).map(|&file| state.files[file].1.clone())
        }
    }

    impl Disk for CrashingDisk {
        fn write(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
            self.operate(|state| {
                state.files.push((pieces.concat(), Vec::new()));
                state.names.insert(path.into(), state.files.len() - 1);
            })
        }
        fn sync(&self, path: &Path) -> io::Result<()> {
            self.operate(|state| {
                let file = state.names[path];
                state.files[file].1 = state.files[file].0.clone();
            })
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
    fn a_crash_before_any_operation_leaves_the_old_or_the_new() {
        let path = Path::new("run/latest.ckpt");
        for eager_names in [false, true] {
            for crash in 0..20 {
                let disk = CrashingDisk { crash: usize::MAX, eager_names, ..Default::default() };
                replace(&disk, path, &[b"o", b"ld"]).unwrap();
                let before = disk.state.borrow().operations;
                let disk = CrashingDisk { crash: before + crash, ..disk };
                let saved = replace(&disk, path, &[b"ne", b"w"]).is_ok();
                let found = disk.survives(path).expect("a checkpoint was there and is gone");
                assert!(found == b"old" || found == b"new", "half a file after a crash before operation {crash}");
                assert!(!saved || found == b"new", "said to be saved, but lost: crash before operation {crash}");
            }
        }
    }

    /// The real disk, but for one operation that fails.
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
        fn write(&self, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
            // A write that fails has often written a part.
            let half = self.operate(|| Ok(())).inspect_err(|_| RealDisk.write(path, &pieces[..1]).unwrap());
            half.and_then(|()| RealDisk.write(path, pieces))
        }
        fn sync(&self, path: &Path) -> io::Result<()> {
            self.operate(|| RealDisk.sync(path))
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
    fn whatever_fails_is_told_and_leaves_a_whole_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.ckpt");
        for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
            let mut faults = 0;
            for fault in 0.. {
                replace(&RealDisk, &path, &[b"o", b"ld"]).unwrap();
                let disk = FaultyDisk { operations: Cell::new(0), fault, kind };
                let saved = replace(&disk, &path, &[b"ne", b"w"]);
                let found = std::fs::read(&path).unwrap();
                assert!(!temporary(&path).exists(), "fault {fault}: half a file was left");
                match saved {
                    Ok(()) => {
                        assert_eq!(found, b"new");
                        break;
                    }
                    Err(e) => assert!(e.kind() == kind && (found == b"old" || found == b"new"), "fault {fault}: {e}"),
                }
                faults += 1;
            }
            assert_eq!(faults, 4, "write, sync, rename, sync of the folder");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.ckpt");
        replace(&RealDisk, &path, &[b"o", b"ld"]).unwrap();
        std::fs::create_dir(temporary(&path)).unwrap();
        assert!(replace(&RealDisk, &path, &[b"ne", b"w"]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        std::fs::remove_dir(temporary(&path)).unwrap();
        replace(&RealDisk, &path, &[b"ne", b"w"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(!temporary(&path).exists());
    }
}
