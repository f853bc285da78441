//! Whether a text has the line ends that a model was trained on.

use charlstm::data::{Corpus, Encoding, Vocab};

use super::terminal::Terminal;

/// The kinds of line ends in a text, as it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineEnds {
    has_crlf: bool,
    has_lf: bool,
}

impl LineEnds {
    pub fn of_corpus(corpus: &Corpus) -> Self {
        let has_crlf = corpus.encoding() == Encoding::Utf8 && corpus.has_crlf();
        LineEnds { has_crlf, has_lf: !has_crlf && corpus.symbols().contains(&u32::from('\n')) }
    }

    pub fn of_symbols(symbols: &[u32]) -> Self {
        let mut found = LineEnds::default();
        for (i, _) in symbols.iter().enumerate().filter(|(_, symbol)| **symbol == u32::from('\n')) {
            found.add(i > 0 && symbols[i - 1] == u32::from('\r'));
        }
        found
    }

    pub fn add(&mut self, is_crlf: bool) {
        self.has_crlf |= is_crlf;
        self.has_lf |= !is_crlf;
    }

    /// Notes that the line ends of the text are not those that the model was trained on, which makes each of them surprising. `who`
    /// names the model.
    pub fn note_mismatch(self, vocab: &Vocab, who: &str, terminal: &Terminal) {
        if !vocab.encoding().is_utf8() {
            return;
        }
        let expects_crlf = vocab.known_id(u32::from('\r')).is_some();
        if self.has_crlf && !expects_crlf {
            terminal.say(&format!(
                "note: {who} was trained on line feeds, and the text has CRLF line ends; convert them, or use score \
                 --newline lf"
            ));
        }
        if self.has_lf && !self.has_crlf && expects_crlf {
            terminal.say(&format!("note: {who} was trained on CRLF line ends, and the text has line feeds"));
        }
    }
}
