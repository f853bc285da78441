//! Reads a range of a corpus as (input, target) pairs of token ids.

use super::corpus::{Corpus, CorpusCursor};
use super::vocab::Vocab;
use crate::error::{Error, Result};

/// Reads predictions `position..end` of a corpus: the input of prediction `p` is character `p`, its target character `p + 1`.
#[derive(Clone, Copy, Debug)]
pub struct PairReader {
    pub(super) cursor: CorpusCursor,
    /// The symbol of the next input; `None` at the end of the corpus.
    input: Option<u32>,
    /// The index of the next prediction.
    pub position: usize,
    end: usize,
}

impl PairReader {
    /// A reader of predictions `position..end`; `cursor` must be at character `position`.
    pub fn new(corpus: &Corpus, mut cursor: CorpusCursor, position: usize, end: usize) -> Self {
        let input = if position < end { cursor.next(corpus) } else { None };
        PairReader { cursor, input, position, end }
    }

    /// The token ids of the next input and its target; `None` after the last prediction.
    #[inline]
    pub fn next(&mut self, corpus: &Corpus, vocab: &Vocab) -> Result<Option<(u32, u32)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let id = |symbol: Option<u32>, at: usize| {
            symbol.and_then(|symbol| vocab.id(symbol)).ok_or_else(|| unknown_symbol(corpus, vocab, symbol, at))
        };
        let input = id(self.input, self.position)?;
        self.input = self.cursor.next(corpus);
        self.position += 1;
        Ok(Some((input, id(self.input, self.position)?)))
    }
}

#[cold]
fn unknown_symbol(corpus: &Corpus, vocab: &Vocab, symbol: Option<u32>, at: usize) -> Error {
    // A modified file is the more likely cause, and the more useful message.
    if let Err(changed) = corpus.check_unchanged() {
        return changed;
    }
    let problem = match symbol {
        Some(symbol) => format!("the model has never seen {}, which is character {}", vocab.describe(symbol), at + 1),
        None => format!("the text ends at character {at}: it was truncated while in use"),
    };
    Error::corpus(corpus.name(), problem)
}
