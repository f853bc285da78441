//! Files that a command reads and writes beside its run.

use std::fs;
use std::io::{ErrorKind, Read, stdin};
use std::path::Path;

use charlstm::checkpoint::disk::{self, RealDisk};
use charlstm::error::{Error, Result};

/// What standard input is called.
const STDIN: &str = "standard input";

/// Whether a path stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All of a file, or of standard input where it is `-`; and what it is called.
pub fn read(path: &Path) -> Result<(&Path, Vec<u8>)> {
    if !is_stdin(path) {
        return Ok((path, fs::read(path).map_err(|e| Error::input(path, e))?));
    }
    let mut text = Vec::new();
    stdin().lock().read_to_end(&mut text).map_err(|e| Error::io(STDIN, e))?;
    Ok((Path::new(STDIN), text))
}

/// Refuses a place where no file can be written, before there is anything to write.
pub fn must_be_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::cannot_create(path, "a folder; name a file"));
    }
    if !disk::folder_of(path).is_dir() {
        return Err(Error::cannot_create(path, "its folder is not there; make it first"));
    }
    Ok(())
}

/// Writes a file as a whole: it is replaced atomically, behind a link if it is one. What is no regular file is written into.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    must_be_writable(path)?;
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => fs::write(path, bytes).map_err(|e| Error::io(path, e)),
        Ok(_) => replace(&path.canonicalize().map_err(|e| Error::io(path, e))?, bytes),
        Err(_) => replace(path, bytes),
    }
}

/// Replaces a file atomically, under a name until then that nobody has: files beside it are not ours, and another command may be
/// writing the same one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = |n| disk::folder_of(path).join(format!(".charlstm.{}.{n}.tmp", std::process::id()));
    let taken = |written: &std::io::Result<()>| matches!(written, Err(e) if e.kind() == ErrorKind::AlreadyExists);
    let mut tries = (0..100).map(|n| disk::replace(&RealDisk, path, &name(n), &[bytes], &[]));
    let written = tries.find(|written| !taken(written)).unwrap_or_else(|| Err(ErrorKind::AlreadyExists.into()));
    written.map_err(|e| disk::unwritten(path, bytes.len() as u64, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_devices_devices() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link] = ["target", "link"].map(|name| folder.path().join(name));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        write(Path::new("/dev/null"), b"nothing").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_stands_beside_a_file_is_nobodys_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.html");
        let taken = format!(".charlstm.{}.0.tmp", std::process::id());
        for name in ["page.html.tmp", &taken] {
            fs::write(folder.path().join(name), "mine").unwrap();
        }
        write(&page, b"new").unwrap();
        assert_eq!(fs::read(&page).unwrap(), b"new");
        for name in ["page.html.tmp", &taken] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_place_that_is_none_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let missing = write(&folder.path().join("no/x.html"), b"").unwrap_err();
        assert!(
            matches!(missing, Error::CannotCreate { .. }) && missing.to_string().contains("make it first"),
            "{missing}"
        );
        assert!(matches!(write(folder.path(), b""), Err(Error::CannotCreate { .. })));
    }
}
