//! The lines of texts, to tell whether a line is one of them.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::Corpus;

/// The lines of some texts, by their XXH3 (128 bits): 16 bytes and a little each, however long they are. Line ends, `\n` and
/// `\r\n`, do not belong to them.
#[derive(Clone, Debug, Default)]
pub struct LineSet(HashSet<u128>);

impl LineSet {
    /// Takes in the lines of a text.
    pub fn add(&mut self, corpus: &Corpus) {
        self.0.extend(corpus.lines().map(hash));
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
        let mut lines = LineSet::default();
        for text in ["one\ntwo\r\n\nlast", "three\n"] {
            lines.add(&Corpus::from_text("t", text.as_bytes(), Encoding::Utf8).unwrap());
        }
        assert!(["one", "two", "", "last", "three", "one\r"].iter().all(|line| lines.contains(line.as_bytes())));
        assert!(!["on", "onet", "two\n", "t"].iter().any(|line| lines.contains(line.as_bytes())));
    }
}
