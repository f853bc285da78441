//! The error for a symbol of a corpus that a vocabulary lacks.

use super::{corpus::Corpus, vocab::Vocab};
use crate::error::Error;

/// `symbol` was read as character `at` of the corpus, if that is known; `None` is the end of the text.
#[cold]
pub(super) fn unknown_symbol(corpus: &Corpus, vocab: &Vocab, symbol: Option<u32>, at: Option<usize>) -> Error {
    // A modified file is the more likely cause, and the more useful message.
    if let Err(changed) = corpus.check_unchanged() {
        return changed;
    }
    let Some(symbol) = symbol else {
        return Error::corpus(corpus.name(), "the text is shorter than it was: it was truncated while in use");
    };
    let at = at.map_or(String::new(), |at| format!(" at character {}", at + 1));
    Error::UnknownInCorpus { path: corpus.name().into(), character: format!("{}{at}", vocab.describe(symbol)) }
}
