//! The files of a corpus.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::map::{MappedFile, ReadFault};
use crate::error::{Error, Result};

/// A memory-mapped file of a corpus, or bytes in memory under a name.
#[derive(Clone, Debug)]
pub(super) struct CorpusFile {
    pub path: PathBuf,
    content: Arc<Content>,
    /// The corpus contains the first `len` bytes.
    len: usize,
}

#[derive(Debug)]
enum Content {
    Mapped(MappedFile),
    InMemory(Cow<'static, [u8]>),
}

impl CorpusFile {
    /// Maps a file.
    pub fn open(path: &Path) -> Result<Self> {
        // Checked before opening: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(|e| Error::input(path, e))?;
        if !metadata.is_file() {
            return Err(Error::corpus(
                path,
                "not a regular file, so it cannot be memory-mapped; copy it to a file first",
            ));
        }
        let file = File::open(path).map_err(|e| Error::input(path, e))?;
        if metadata.len() > 0 {
            let map = MappedFile::new(&file).map_err(|e| Error::input(path, e))?;
            return Ok(CorpusFile { path: path.into(), len: map.len(), content: Arc::new(Content::Mapped(map)) });
        }
        // Files that the system generates (`/proc`) report length 0.
        if (&file).read(&mut [0]).is_ok_and(|bytes| bytes > 0) {
            return Err(Error::corpus(path, "its length is unknown until it is read; copy it to a file first"));
        }
        Ok(Self::in_memory(path, Cow::Borrowed(&[])))
    }

    /// Bytes in memory.
    pub fn in_memory(path: &Path, bytes: Cow<'static, [u8]>) -> Self {
        CorpusFile { path: path.into(), len: bytes.len(), content: Arc::new(Content::InMemory(bytes)) }
    }

    /// The bytes that belong to the corpus.
    pub fn bytes(&self) -> &[u8] {
        let bytes = match &*self.content {
            Content::Mapped(map) => map,
            Content::InMemory(bytes) => &**bytes,
        };
        &bytes[..self.len]
    }

    /// The same file, of which only the first `len` bytes belong to the corpus.
    pub fn prefix(&self, len: usize) -> Self {
        CorpusFile { len: self.len.min(len), ..self.clone() }
    }

    /// Rejects a file that was truncated, or of which a part could not be read.
    pub fn check_not_truncated(&self) -> Result<()> {
        let Content::Mapped(map) = &*self.content else { return Ok(()) };
        match map.read_fault(&self.path) {
            None => Ok(()),
            Some(ReadFault::Truncated(len)) => Err(self.changed(format!(
                "truncated while it was in use: it had {} bytes when it was opened and has {len} now",
                map.len()
            ))),
            Some(ReadFault::Unreadable) => {
                Err(self.changed("a part of it could not be read: the disk failed, or it was rewritten while in use"))
            }
        }
    }

    /// Rejects a file that has another length now. A file that was deleted or replaced passes: its old contents stay mapped.
    pub fn check_same_len(&self) -> Result<()> {
        let Content::Mapped(map) = &*self.content else { return Ok(()) };
        match map.current_len(&self.path) {
            Some(len) if len != map.len() as u64 => {
                Err(self.changed(format!("it had {} bytes when it was opened and has {len} now", map.len())))
            }
            _ => Ok(()),
        }
    }

    /// An [`Error::Changed`] about this file.
    pub fn changed(&self, problem: impl Into<String>) -> Error {
        Error::Changed { path: self.path.clone(), problem: problem.into() }
    }
}
