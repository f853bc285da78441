//! The files of a corpus.

use std::path::{Path, PathBuf};
use std::{borrow::Cow, fs::File, io::Read, ops::Range, sync::Arc};

use super::encoding::Encoding;
use super::map::{MappedFile, ReadFault};
use super::text_format::check_text;
use crate::error::{Error, Result};

#[derive(Clone, Debug)]
pub(super) struct CorpusFile {
    pub path: PathBuf,
    content: Arc<Content>,
    /// The bytes of the content that belong to the corpus.
    range: Range<usize>,
}

#[derive(Debug)]
enum Content {
    Mapped(MappedFile),
    InMemory(Cow<'static, [u8]>),
}

impl CorpusFile {
    pub fn open(path: &Path, encoding: Encoding) -> Result<Self> {
        let file = Self::open_whole(path)?;
        if encoding.is_utf8() { file.check_is_text() } else { Ok(file) }
    }

    fn open_whole(path: &Path) -> Result<Self> {
        // Checked before opening: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(|e| Error::input(path, e))?;
        if !metadata.is_file() {
            let problem = "not a regular file, so it cannot be memory-mapped; copy it to a file first";
            return Err(Error::corpus(path, problem));
        }
        let file = File::open(path).map_err(|e| Error::input(path, e))?;
        if metadata.len() > 0 {
            let map = MappedFile::new(&file).map_err(|e| Error::input(path, e))?;
            return Ok(CorpusFile { path: path.into(), range: 0..map.len(), content: Arc::new(Content::Mapped(map)) });
        }
        // Files that the system generates (`/proc`) report length 0.
        if (&file).read(&mut [0]).is_ok_and(|bytes| bytes > 0) {
            return Err(Error::corpus(path, "its length is unknown until it is read; copy it to a file first"));
        }
        Ok(Self::in_memory(path, Cow::Borrowed(&[])))
    }

    pub fn in_memory(path: &Path, bytes: Cow<'static, [u8]>) -> Self {
        CorpusFile { path: path.into(), range: 0..bytes.len(), content: Arc::new(Content::InMemory(bytes)) }
    }

    pub fn bytes(&self) -> &[u8] {
        let bytes = match &*self.content {
            Content::Mapped(map) => map,
            Content::InMemory(bytes) => &**bytes,
        };
        &bytes[self.range.clone()]
    }

    /// Whether it is a text of its own, not a line end between two files.
    pub fn is_source(&self) -> bool {
        !matches!(&*self.content, Content::InMemory(Cow::Borrowed(b"\n")))
    }

    pub fn prefix(&self, len: usize) -> Self {
        CorpusFile { range: self.range.start..self.range.end.min(self.range.start + len), ..self.clone() }
    }

    /// Rejects UTF-16 and binary data, and omits a byte order mark.
    pub fn check_is_text(mut self) -> Result<Self> {
        let bytes = self.bytes();
        self.range.start += bytes.len() - check_text(&self.path, bytes)?.len();
        Ok(self)
    }

    pub fn check_not_truncated(&self) -> Result<()> {
        let Content::Mapped(map) = &*self.content else { return Ok(()) };
        let opened = map.len();
        let problem = match map.read_fault(&self.path) {
            None => return Ok(()),
            Some(ReadFault::Truncated(len)) => {
                format!("truncated while it was in use: it had {opened} bytes when it was opened and has {len} now")
            }
            Some(ReadFault::Unreadable) => {
                "a part of it could not be read: the disk failed, or it was rewritten while in use".into()
            }
        };
        Err(self.changed(problem))
    }

    /// Rejects a file whose length has changed. A file that was deleted or replaced passes: its old contents stay mapped.
    pub fn check_same_len(&self) -> Result<()> {
        let Content::Mapped(map) = &*self.content else { return Ok(()) };
        match map.current_len(&self.path) {
            Some(len) if len != map.len() as u64 => {
                Err(self.changed(format!("it had {} bytes when it was opened and has {len} now", map.len())))
            }
            _ => Ok(()),
        }
    }

    pub fn changed(&self, problem: String) -> Error {
        Error::Changed { path: self.path.clone(), problem }
    }
}

/// The number of bytes at the beginning of a file that are checked to detect text files.
const SNIFF_LEN: usize = 8192;

/// The files at `paths`, in order, and the text files of folders, sorted by name. Adds a note for each file that is not text.
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
    let (mut files, mut folders) = (Vec::new(), 0);
    for entry in entries {
        let is_hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        folders += usize::from(!is_hidden && entry.is_dir());
        let has_content = std::fs::metadata(&entry).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        if is_hidden || !has_content {
            continue;
        }
        match if encoding.is_utf8() { check_beginning(&entry) } else { Ok(()) } {
            Ok(()) => files.push(entry),
            Err(e @ Error::Input { .. }) => return Err(e),
            Err(e) => notes.push(format!("skipped {e}")),
        }
    }
    if folders > 0 {
        let are = if folders == 1 { "subfolder is" } else { "subfolders are" };
        notes.push(format!("{}: {folders} {are} not searched", path.display()));
    }
    Ok(files)
}

/// Checks that the beginning of a file is UTF-8 without NUL.
fn check_beginning(path: &Path) -> Result<()> {
    let mut start = Vec::with_capacity(SNIFF_LEN);
    let file = File::open(path).map_err(|e| Error::input(path, e))?;
    file.take(SNIFF_LEN as u64).read_to_end(&mut start).map_err(|e| Error::input(path, e))?;
    check_text(path, &start)?;
    // The last character may be incomplete.
    let is_utf8 = std::str::from_utf8(&start).map_or_else(|e| e.error_len().is_none(), |_| true);
    if is_utf8 && !start.contains(&0) { Ok(()) } else { Err(Error::corpus(path, "not UTF-8 text")) }
}
