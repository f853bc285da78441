//! A stretch of a corpus read as pairs: a character and the one that comes next.

use super::corpus::{Corpus, Cursor};
use super::vocab::Vocab;
use crate::error::{Error, Result};

/// Reads the predictions `at..end`: prediction `p` is made from character `p` and is about character `p + 1`.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    cursor: Cursor,
    /// The character before the cursor, if the text has one.
    last: Option<u32>,
    at: usize,
    end: usize,
}

impl Reader {
    /// Begins before character `at`, where `cursor` must stand.
    pub fn new(corpus: &Corpus, mut cursor: Cursor, at: usize, end: usize) -> Self {
        let last = if at < end { cursor.next(corpus) } else { None };
        Reader { cursor, last, at, end }
    }

    /// The number of the next prediction.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The number of the file that was read last.
    pub(super) fn file(&self) -> usize {
        self.cursor.file()
    }

    /// The ids of the character that is read and of the one that comes next; `None` behind the end.
    ///
    /// # Errors
    /// [`Error::Corpus`] where a character is not in the vocabulary, [`Error::Changed`] where that is because a file was changed.
    #[inline]
    pub fn next(&mut self, corpus: &Corpus, vocab: &Vocab) -> Result<Option<(u32, u32)>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let id = |symbol: Option<u32>, at: usize| {
            symbol.and_then(|symbol| vocab.id(symbol)).ok_or_else(|| unknown(corpus, vocab, symbol, at))
        };
        let input = id(self.last, self.at)?;
        self.last = self.cursor.next(corpus);
        self.at += 1;
        Ok(Some((input, id(self.last, self.at)?)))
    }
}

fn unknown(corpus: &Corpus, vocab: &Vocab, symbol: Option<u32>, at: usize) -> Error {
    // That the file was changed meanwhile is the better answer.
    if let Err(changed) = corpus.check_unchanged() {
        return changed;
    }
    let problem = match symbol {
        Some(symbol) => format!("the model has never seen {}, which is character {}", vocab.describe(symbol), at + 1),
        None => format!("the text ends at character {at}; it was cut short meanwhile"),
    };
    Error::corpus(corpus.name(), problem)
}
