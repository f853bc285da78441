//! The files of a corpus.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::map::{Gone, Map, Now};
use crate::error::{Error, Result};

/// Of more files than these none is kept open: a process may have only so many.
pub(super) const KEPT_OPEN: usize = 64;

/// A file of a corpus, or what stands for one in memory.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub name: PathBuf,
    text: Arc<Bytes>,
    /// Bytes of it that belong to the corpus, from its beginning.
    pub len: usize,
}

/// What a part was read from.
#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(Map),
    Memory(Cow<'static, [u8]>),
}

impl Bytes {
    fn whole(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

impl Part {
    /// A file, memory-mapped; it is kept open or not.
    pub fn open(path: &Path, keep: bool) -> Result<Self> {
        // Asked before it is opened: opening a pipe waits for its other end.
        let kind = std::fs::metadata(path).map_err(|e| Error::input(path, e))?;
        if !kind.is_file() {
            return Err(Error::corpus(
                path,
                "not a regular file, so it cannot be memory-mapped; copy it to a file first",
            ));
        }
        let file = File::open(path).map_err(|e| Error::input(path, e))?;
        let text = if kind.len() == 0 {
            // Of what the system makes up as it is read (`/proc`) no length is known.
            if (&file).read(&mut [0]).is_ok_and(|bytes| bytes > 0) {
                return Err(Error::corpus(path, "its length is not known before it is read; copy it to a file first"));
            }
            Bytes::Memory(Cow::Borrowed(&[]))
        } else {
            let mut map = Map::new(file).map_err(|e| Error::input(path, e))?;
            if !keep {
                map.close();
            }
            Bytes::Mapped(map)
        };
        Ok(Part::new(path, text))
    }

    /// A text under a name.
    pub fn new(name: &Path, text: Bytes) -> Self {
        Part { name: name.into(), len: text.whole().len(), text: Arc::new(text) }
    }

    /// The bytes that belong to the corpus.
    pub fn bytes(&self) -> &[u8] {
        &self.text.whole()[..self.len]
    }

    /// Refuses a file that was cut short, or of which something could not be read.
    pub fn check_not_truncated(&self) -> Result<()> {
        let Bytes::Mapped(map) = &*self.text else { return Ok(()) };
        match map.gone(&self.name) {
            None => Ok(()),
            Some(Gone::CutShort(now)) => {
                let before = map.len();
                Err(self
                    .changed(&format!("it was cut short: it had {before} bytes when it was opened and has {now} now")))
            }
            Some(Gone::Unreadable) => {
                Err(self.changed("a part of it could not be read: the disk failed, or it was rewritten meanwhile"))
            }
        }
    }

    /// Refuses a file of another length. Whether it is still there by its name.
    pub fn must_be_as_long(&self) -> Result<bool> {
        let Bytes::Mapped(map) = &*self.text else { return Ok(true) };
        match map.now(self.name.metadata()) {
            Now::AsLong => Ok(true),
            Now::Elsewhere => Ok(false),
            Now::OtherLength(now) => {
                Err(self.changed(&format!("it had {} bytes when it was opened and has {now} now", map.len())))
            }
        }
    }

    /// What to say of a file that was changed.
    pub fn changed(&self, problem: &str) -> Error {
        Error::Changed { path: self.name.clone(), problem: problem.into() }
    }
}
