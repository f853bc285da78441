//! Files that commands read and write outside of runs.

use std::fs;
use std::io::{Read, stdin};
use std::path::Path;

use charlstm::checkpoint::disk::{folder_of, write_error};
use charlstm::data::{Encoding, check_text};
use charlstm::error::{Error, Result};

const STDIN: &str = "standard input";

pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a file, or standard input for `-`; also returns its name for messages.
pub fn read(path: &Path) -> Result<(&Path, Vec<u8>)> {
    if !is_stdin(path) {
        return Ok((path, fs::read(path).map_err(|e| Error::input(path, e))?));
    }
    let mut text = Vec::new();
    stdin().lock().read_to_end(&mut text).map_err(|e| Error::io(STDIN, e))?;
    Ok((Path::new(STDIN), text))
}

/// Like [`read`], for a text: a byte order mark is omitted, line ends are converted, and UTF-16 is rejected.
pub fn read_text(path: &Path, encoding: Encoding) -> Result<(&Path, Vec<u8>)> {
    let (name, text) = read(path)?;
    match encoding {
        Encoding::Utf8 | Encoding::Utf8Lf => {
            Ok((name, encoding.convert_line_ends(check_text(name, &text)?).into_owned()))
        }
        Encoding::Bytes => Ok((name, text)),
    }
}

/// Rejects a path that cannot be written, before any work is done.
pub fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::cannot_create(path, "is a folder; specify a file"));
    }
    if !folder_of(path).is_dir() {
        return Err(Error::cannot_create(path, "its folder does not exist; create it first"));
    }
    Ok(())
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    check_writable(path)?;
    fs::write(path, bytes).map_err(|e| write_error(path, bytes.len() as u64, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_folder_and_a_file_in_a_missing_folder() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("no/x.html"), folder.path().into()] {
            assert!(matches!(write(&path, b""), Err(Error::CannotCreate { .. })));
        }
    }
}
