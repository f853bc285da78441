//! The records of a corpus as hashes, to test whether a line or another record occurs in it.

use std::collections::HashSet;

use xxhash_rust::xxh3::Xxh3;

use super::corpus::Corpus;
use super::records::{RecordKind, records};
use crate::error::Result;

/// The XXH3 hashes of records without their final line ends, and with `\n` for each `\r\n`: about 16 bytes per distinct record, whatever its length.
#[derive(Clone, Debug, Default)]
pub struct RecordHashes(HashSet<u128>);

impl RecordHashes {
    /// Adds every record of a corpus.
    pub fn add(&mut self, corpus: &Corpus, kind: RecordKind) -> Result<()> {
        self.0.extend(records(corpus, kind).map(|(_, content)| hash_record(content)));
        corpus.check_not_truncated()
    }

    /// Whether a record was added.
    pub fn contains(&self, record: &[u8]) -> bool {
        self.0.contains(&hash_record(record))
    }
}

fn hash_record(record: &[u8]) -> u128 {
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut hasher = Xxh3::new();
    for (i, line) in record.split(|byte| *byte == b'\n').enumerate() {
        hasher.update(if i > 0 { b"\n" } else { b"" });
        hasher.update(line.strip_suffix(b"\r").unwrap_or(line));
    }
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;

    #[test]
    fn finds_lines_regardless_of_line_ends() {
        let mut lines = RecordHashes::default();
        for text in ["one\ntwo\r\n\nlast", "three\n"] {
            lines.add(&Corpus::from_text("t", text.as_bytes(), Encoding::Utf8).unwrap(), RecordKind::Line).unwrap();
        }
        assert!(["one", "two", "last", "three", "one\r"].iter().all(|line| lines.contains(line.as_bytes())));
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
        RecordHashes::default().add(&corpus, RecordKind::Line).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
        assert!(matches!(RecordHashes::default().add(&corpus, RecordKind::Line), Err(Error::Changed { .. })));
    }
}
