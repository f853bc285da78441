//! The lines of texts, to tell whether a line is one of them.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::Corpus;
use crate::error::Result;

/// The lines of some texts, by their XXH3 (128 bits): 16 bytes and a little each, however long they are. Line ends, `\n` and
/// `\r\n`, do not belong to them.
#[derive(Clone, Debug, Default)]
pub struct LineHashes(HashSet<u128>);

impl LineHashes {
    /// Takes in the lines of a text.
    ///
    /// # Errors
    /// As [`Corpus::check_not_truncated`].
    pub fn add(&mut self, corpus: &Corpus) -> Result<()> {
        self.0.extend(corpus.lines().map(hash));
        corpus.check_not_truncated()
    }

    /// Whether a line is one of them.
    pub fn contains(&self, line: &[u8]) -> bool {
        self.0.contains(&hash(line))
    }
}

fn hash(line: &[u8]) -> u128 {
    xxh3_128(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;

    #[test]
    fn a_line_is_known_whatever_ends_it() {
        let mut lines = LineHashes::default();
        for text in ["one\ntwo\r\n\nlast", "three\n"] {
            lines.add(&Corpus::from_text("t", text.as_bytes(), Encoding::Utf8).unwrap()).unwrap();
        }
        assert!(["one", "two", "", "last", "three", "one\r"].iter().all(|line| lines.contains(line.as_bytes())));
        assert!(!["on", "onet", "two\n", "t"].iter().any(|line| lines.contains(line.as_bytes())));
    }

    /// Elsewhere than on Unix a file that is mapped cannot be cut.
    #[cfg(unix)]
    #[test]
    fn lines_that_are_gone_when_they_are_read_are_not_taken_for_others() {
        use crate::data::Novelty;
        use crate::error::Error;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "a line\n".repeat(10_000)).unwrap();
        let text = Corpus::open(std::slice::from_ref(&path), Encoding::Utf8).unwrap();
        LineHashes::default().add(&text).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
        assert!(matches!(LineHashes::default().add(&text), Err(Error::Changed { .. })));
        assert!(matches!(Novelty::against(&text, text.chars()), Err(Error::Changed { .. })));
    }
}
