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
    let problem = match (symbol, at) {
        (Some(symbol), Some(at)) => {
            format!("the model has never seen {}, which is character {}", vocab.describe(symbol), at + 1)
        }
        (Some(symbol), None) => format!("the model has never seen {}", vocab.describe(symbol)),
        (None, _) => "the text is shorter than it was: it was truncated while in use".into(),
    };
    Error::corpus(corpus.name(), problem)
}
