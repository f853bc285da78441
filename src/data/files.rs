//! Lists the files of a corpus.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use crate::error::{Error, Result};

/// Bytes at the beginning of a file that decide whether it is text.
const SNIFF_LEN: usize = 8192;

/// The files at `paths`, in order. A folder stands for the text files in it, sorted by name. Adds a note for each file of a
/// folder that is skipped because it is not text.
pub(super) fn list_files(paths: &[PathBuf], encoding: Encoding, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !std::fs::metadata(path).map_err(|e| Error::input(path, e))?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let in_folder = list_folder(path, encoding, notes)?;
        if in_folder.is_empty() {
            return Err(Error::NoTextFiles { folder: path.clone() });
        }
        files.extend(in_folder);
    }
    Ok(files)
}

/// The text files in a folder. Subfolders, hidden files and empty files are skipped.
fn list_folder(path: &Path, encoding: Encoding, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries: Vec<PathBuf> = entries.map_err(|e| Error::input(path, e))?.iter().map(|e| e.path()).collect();
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        let is_hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let has_content = std::fs::metadata(&entry).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        if is_hidden || !has_content {
            continue;
        }
        if encoding == Encoding::Bytes || is_text(&entry)? {
            files.push(entry);
        } else {
            notes.push(format!("{}: skipped because it is not text", entry.display()));
        }
    }
    Ok(files)
}

/// Whether the beginning of a file is UTF-8 without NUL.
fn is_text(path: &Path) -> Result<bool> {
    let mut start = Vec::with_capacity(SNIFF_LEN);
    let file = File::open(path).map_err(|e| Error::input(path, e))?;
    file.take(SNIFF_LEN as u64).read_to_end(&mut start).map_err(|e| Error::input(path, e))?;
    // The last character may be incomplete.
    let is_utf8 = std::str::from_utf8(&start).map_or_else(|e| e.error_len().is_none(), |_| true);
    Ok(is_utf8 && !start.contains(&0))
}
