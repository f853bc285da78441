//! Replacing a file so that a crash at any moment leaves the old one or the new one, whole.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Write};
#[cfg(unix)]
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file operations that saving needs. The tests have one of their own, which crashes.
pub trait Disk {
    /// A file that is being written.
    type File;
    /// Makes a file where nothing stands, with the permissions of `like` where that is a file.
    fn create(&self, path: &Path, like: &Path) -> io::Result<Self::File>;
    /// Writes a file, piece after piece.
    fn write(&self, file: &mut Self::File, pieces: &[&[u8]]) -> io::Result<()>;
    /// Waits until what was written to a file is on disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Renames a file, over another if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until a folder's names are on disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file, if there is one.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path, like: &Path) -> io::Result<File> {
        // What stands there is never opened, be it a link to elsewhere.
        let mut options = File::options();
        options.write(true).create_new(true);
        let Some(there) = std::fs::metadata(like).ok().filter(Metadata::is_file) else { return options.open(path) };
        // Whoever may not read the old file must not read the first byte of the new one either.
        #[cfg(unix)]
        options.mode(there.permissions().mode() & 0o777);
        let file = options.open(path)?;
        // There are disks without permissions, which refuse to change any.
        let as_before = file.metadata().and_then(|new| match new.permissions() == there.permissions() {
            true => Ok(()),
            false => file.set_permissions(there.permissions()),
        });
        as_before.inspect_err(|_| drop(std::fs::remove_file(path)))?;
        Ok(file)
    }
    fn write(&self, file: &mut File, pieces: &[&[u8]]) -> io::Result<()> {
        pieces.iter().try_for_each(|piece| file.write_all(piece))
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Elsewhere than on Unix a folder cannot be opened as a file, and renames need no such help.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(_) if path.is_dir() => {
                Err(io::Error::other(format!("the folder {} is in the way; remove it", path.display())))
            }
            other => other,
        }
    }
}

/// The name that a file of a run has until it is whole.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Replaces a file by `pieces`, one after another: written under the name `beside`, which nothing has, synced, renamed, the folder
/// synced. Where that fails, what was written is removed and the old file stands; where only the folder could not be synced, the
/// new one does. Those of `without`, which belong to the old file alone, are removed once the new one is whole, and before it has
/// its name.
///
/// # Errors
/// What the disk says.
pub fn replace(disk: &impl Disk, path: &Path, beside: &Path, pieces: &[&[u8]], without: &[PathBuf]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = disk.create(beside, path)?;
    let rid = || match without {
        [] => Ok(()),
        _ => without.iter().try_for_each(|path| disk.remove(path)).and_then(|()| disk.sync_folder(folder)),
    };
    let written = disk.write(&mut file, pieces).and_then(|()| disk.sync(&file)).and_then(|()| rid());
    if let Err(e) = written.and_then(|()| disk.rename(beside, path)) {
        // The first error is the one to tell.
        let _ = disk.remove(beside);
        return Err(e);
    }
    disk.sync_folder(folder)
}

/// Makes a folder and those above it, and waits until their names are on disk.
///
/// # Errors
/// What the disk says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let new: Vec<&Path> = path.ancestors().take_while(is_new).collect();
    std::fs::create_dir_all(path)?;
    new.into_iter().try_for_each(|folder| RealDisk.sync_folder(folder_of(folder)))
}

/// Opens a file to read. What is no regular file is refused: a pipe that nobody writes to would be waited for without end.
///
/// # Errors
/// What the disk says.
pub fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("not a regular file")) }
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

/// The error for a file of which `needed` bytes could not be written.
pub fn unwritten(path: &Path, needed: u64, source: io::Error) -> Error {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::NoRoom { path: path.into(), needed, free: free(folder_of(path)), source }
        }
        _ => Error::io(path, source),
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
        /// Whether new names reach the disk by themselves, before what they name and before others are gone.
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
                let names = state.names.clone();
                state.names_on_disk.extend(names);
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
        type File = usize;

        fn create(&self, path: &Path, _: &Path) -> io::Result<usize> {
            self.operate(|state| {
                state.files.push((Vec::new(), Vec::new()));
                state.names.insert(path.into(), state.files.len() - 1);
                state.files.len() - 1
            })
        }
        fn write(&self, file: &mut usize, pieces: &[&[u8]]) -> io::Result<()> {
            self.operate(|state| state.files[*file].0 = pieces.concat())
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
    fn a_crash_before_any_operation_leaves_the_old_or_the_new() {
        let [path, best] = ["run/latest.ckpt", "run/best.ckpt"].map(Path::new);
        let save = |disk: &CrashingDisk, path: &Path, pieces: &[&[u8]], without: &[PathBuf]| {
            replace(disk, path, &temporary(path), pieces, without)
        };
        let cases = [[false, false], [false, true], [true, false], [true, true]];
        for ([eager_names, anew], crash) in cases.into_iter().flat_map(|case| (0..20).map(move |crash| (case, crash))) {
            let disk = CrashingDisk { crash: usize::MAX, eager_names, ..Default::default() };
            save(&disk, path, &[b"o", b"ld"], &[]).unwrap();
            save(&disk, best, &[b"best of old"], &[]).unwrap();
            let before = disk.state.borrow().operations;
            let disk = CrashingDisk { crash: before + crash, ..disk };
            let without = if anew { vec![best.to_owned()] } else { vec![] };
            let saved = save(&disk, path, &[b"ne", b"w"], &without).is_ok();
            let found = disk.survives(path).expect("a checkpoint was there and is gone");
            assert!(found == b"old" || found == b"new", "half a file after a crash before operation {crash}");
            assert!(!saved || found == b"new", "said to be saved, but lost: crash before operation {crash}");
            let stays = disk.survives(best).is_some();
            assert!(!(anew && found == b"new" && stays), "two runs mixed: crash before operation {crash}");
            assert!(anew || stays, "removed unasked: crash before operation {crash}");
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
        type File = File;

        fn create(&self, path: &Path, like: &Path) -> io::Result<File> {
            self.operate(|| Ok(()))?;
            RealDisk.create(path, like)
        }
        fn write(&self, file: &mut File, pieces: &[&[u8]]) -> io::Result<()> {
            // A write that fails has often written a part.
            self.operate(|| Ok(())).inspect_err(|_| RealDisk.write(file, &pieces[..1]).unwrap())?;
            RealDisk.write(file, pieces)
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

    fn save(disk: &impl Disk, path: &Path, pieces: &[&[u8]]) -> io::Result<()> {
        replace(disk, path, &temporary(path), pieces, &[])
    }

    #[test]
    fn whatever_fails_is_told_and_leaves_a_whole_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.ckpt");
        for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
            let mut faults = 0;
            for fault in 0.. {
                save(&RealDisk, &path, &[b"o", b"ld"]).unwrap();
                let disk = FaultyDisk { operations: Cell::new(0), fault, kind };
                let saved = save(&disk, &path, &[b"ne", b"w"]);
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
            assert_eq!(faults, 5, "create, write, sync, rename, sync of the folder");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.ckpt");
        save(&RealDisk, &path, &[b"o", b"ld"]).unwrap();
        std::fs::create_dir(temporary(&path)).unwrap();
        assert!(save(&RealDisk, &path, &[b"ne", b"w"]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        std::fs::remove_dir(temporary(&path)).unwrap();
        save(&RealDisk, &path, &[b"ne", b"w"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(!temporary(&path).exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_stands_in_the_way_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["latest.ckpt", "other.txt"].map(|name| folder.path().join(name));
        std::fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, temporary(&path)).unwrap();
        assert_eq!(save(&RealDisk, &path, &[b"new"]).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(temporary(&path).is_symlink() && std::fs::read(&other).unwrap() == b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_stay_from_the_first_byte_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.ckpt");
        save(&RealDisk, &path, &[b"old"]).unwrap();
        for mode in [0o600, 0o640, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let begun = RealDisk.create(&temporary(&path), &path).unwrap();
            assert_eq!(begun.metadata().unwrap().permissions().mode() & 0o777, mode);
            std::fs::remove_file(temporary(&path)).unwrap();
            save(&RealDisk, &path, &[b"new"]).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
    }
}
