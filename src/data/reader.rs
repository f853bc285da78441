//! A stretch of a corpus read as pairs: a character and the one that comes next.

use super::corpus::{Corpus, CorpusCursor};
use super::vocab::Vocab;
use crate::error::{Error, Result};

/// Reads the predictions `at..end`: prediction `p` is made from character `p` and is about character `p + 1`.
#[derive(Clone, Copy, Debug)]
pub struct PairReader {
    cursor: CorpusCursor,
    /// The character before the cursor, if the text has one.
    last: Option<u32>,
    at: usize,
    end: usize,
}

impl PairReader {
    /// Begins before character `at`, where `cursor` must stand.
    pub fn new(corpus: &Corpus, mut cursor: CorpusCursor, at: usize, end: usize) -> Self {
        let last = if at < end { cursor.next(corpus) } else { None };
        PairReader { cursor, last, at, end }
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
