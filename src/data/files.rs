//! Which files a corpus is made of.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Encoding;
use crate::error::{Error, Result};

/// Bytes at the beginning of a file by which text is told from other things.
const SNIFF: usize = 8192;

/// The files behind `paths`, in order; a folder stands for the text files in it and below, in the order of their names.
/// Files of a folder that are not text are named in `notes`.
pub(super) fn list(paths: &[PathBuf], encoding: Encoding, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|e| Error::input(path, e))?;
        if kind.is_dir() {
            let before = files.len();
            folder(path, encoding, &mut files, notes)?;
            if files.len() == before {
                return Err(Error::corpus(
                    path,
                    "the folder has no text file; give a file, or --bytes for other files",
                ));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn folder(path: &Path, encoding: Encoding, files: &mut Vec<PathBuf>, notes: &mut Vec<String>) -> Result<()> {
    let hidden =
        |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    let walk = walkdir::WalkDir::new(path).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|entry| !hidden(entry)) {
        let entry = entry.map_err(|e| {
            let at = e.path().unwrap_or(path).to_path_buf();
            Error::input(at, e.into())
        })?;
        // A link counts as what it points to, but a linked folder is not entered.
        let Ok(kind) = std::fs::metadata(entry.path()) else { continue };
        if !kind.is_file() || kind.len() == 0 {
            continue;
        }
        if encoding == Encoding::Bytes || is_text(entry.path())? {
            files.push(entry.into_path());
        } else {
            notes.push(format!("{}: not text, left out", entry.path().display()));
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
