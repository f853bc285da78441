//! Which files a corpus is made of.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Encoding;
use crate::error::{Error, Result};

/// Bytes at the beginning of a file by which text is told from other things.
const SNIFF: usize = 8192;

/// The files behind `paths`, in order; a folder stands for the text files in it, in the order of their names.
/// Files of a folder that are not text are named in `notes`.
pub(super) fn list(paths: &[PathBuf], encoding: Encoding, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|e| Error::input(path, e))?;
        if kind.is_dir() {
            let before = files.len();
            folder(path, encoding, &mut files, notes)?;
            if files.len() == before {
                return Err(Error::NoTextFiles { folder: path.clone() });
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The text files in a folder; folders in it are not entered, hidden files not looked at.
fn folder(path: &Path, encoding: Encoding, files: &mut Vec<PathBuf>, notes: &mut Vec<String>) -> Result<()> {
    let entries = std::fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries: Vec<PathBuf> = entries.map_err(|e| Error::input(path, e))?.iter().map(|e| e.path()).collect();
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link counts as what it points to.
        let is_file = std::fs::metadata(&entry).is_ok_and(|kind| kind.is_file() && kind.len() > 0);
        if hidden || !is_file {
            continue;
        }
        if encoding == Encoding::Bytes || is_text(&entry)? {
            files.push(entry);
        } else {
            notes.push(format!("{}: not text, left out", entry.display()));
        }
    }
    Ok(())
}

/// Whether a file begins as UTF-8 without NUL.
fn is_text(path: &Path) -> Result<bool> {
    let mut start = Vec::with_capacity(SNIFF);
    let file = File::open(path).map_err(|e| Error::input(path, e))?;
    file.take(SNIFF as u64).read_to_end(&mut start).map_err(|e| Error::input(path, e))?;
    // A character may be cut where the sniffing ends.
    let utf8 = std::str::from_utf8(&start).map_or_else(|e| e.error_len().is_none(), |_| true);
    Ok(utf8 && !start.contains(&0))
}
