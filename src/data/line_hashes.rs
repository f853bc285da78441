//! The lines of a corpus as hashes, to test whether a line occurs in it.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::corpus::Corpus;
use crate::error::Result;

/// The XXH3 hashes of lines without their ends (`\n` and `\r\n`): about 16 bytes per distinct line, whatever its length.
#[derive(Clone, Debug, Default)]
pub struct LineHashes(HashSet<u128>);

impl LineHashes {
    /// Adds every line of a corpus.
    pub fn add(&mut self, corpus: &Corpus) -> Result<()> {
        self.0.extend(corpus.lines().map(hash_line));
        corpus.check_not_truncated()
    }

    /// Whether a line was added.
    pub fn contains(&self, line: &[u8]) -> bool {
        self.0.contains(&hash_line(line))
    }
}

fn hash_line(line: &[u8]) -> u128 {
    xxh3_128(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;

    #[test]
    fn finds_lines_regardless_of_line_ends() {
        let mut lines = LineHashes::default();
        for text in ["one\ntwo\r\n\nlast", "three\n"] {
            lines.add(&Corpus::from_text("t", text.as_bytes(), Encoding::Utf8).unwrap()).unwrap();
        }
        assert!(["one", "two", "", "last", "three", "one\r"].iter().all(|line| lines.contains(line.as_bytes())));
        assert!(!["on", "onet", "two\n", "t"].iter().any(|line| lines.contains(line.as_bytes())));
    }

    #[cfg(unix)]
    #[test]
    fn rejects_a_truncated_corpus() {
        use crate::error::Error;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "a line\n".repeat(10_000)).unwrap();
        let corpus = Corpus::open(std::slice::from_ref(&path), Encoding::Utf8).unwrap();
        LineHashes::default().add(&corpus).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
        assert!(matches!(LineHashes::default().add(&corpus), Err(Error::Changed { .. })));
    }
}
