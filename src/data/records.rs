//! The records of a list-like corpus: lines, blocks of lines, or files.

use std::ops::Range;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::corpus::{Corpus, CorpusCursor};
use crate::error::{Error, Result};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// A line that is not blank.
    Line,
    /// The lines between blank lines.
    Block,
    /// A file.
    File,
}

impl RecordKind {
    /// The names that [`FromStr`] accepts.
    pub const NAMES: [&'static str; 3] = ["line", "blank", "file"];

    /// The name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The first record of `bytes`, a whole file, that starts at or after byte `from`, without its final line end.
    pub(crate) fn next(self, bytes: &[u8], from: usize) -> Option<Range<usize>> {
        let mut line = next_line(bytes, from)?;
        while is_blank(&bytes[line.clone()]) {
            line = next_line(bytes, line.end)?;
        }
        let (start, mut end) = (line.start, line.end);
        match self {
            RecordKind::Line => {}
            RecordKind::Block => {
                while let Some(line) = next_line(bytes, end).filter(|line| !is_blank(&bytes[line.clone()])) {
                    end = line.end;
                }
            }
            // Only the record at the start of a file is the file.
            RecordKind::File if from > 0 => return None,
            RecordKind::File => return Some(0..end_of_content(bytes, 0, bytes.len())),
        }
        Some(start..end_of_content(bytes, start, end))
    }

    /// A position at or after `at` where no record continues.
    fn boundary(self, bytes: &[u8], at: usize) -> usize {
        if at == 0 {
            return 0;
        }
        // The rest of the line that contains the byte before `at` belongs to the record there.
        let Some(mut line) = next_line(bytes, at - 1) else { return bytes.len() };
        match self {
            RecordKind::Line => line.end,
            RecordKind::File => bytes.len(),
            RecordKind::Block => loop {
                match next_line(bytes, line.end) {
                    None => return bytes.len(),
                    Some(next) if is_blank(&bytes[next.clone()]) => return next.end,
                    Some(next) => line = next,
                }
            },
        }
    }
}

impl FromStr for RecordKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let kinds = [RecordKind::Line, RecordKind::Block, RecordKind::File];
        let found = kinds.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::unknown_name("record kind", name, &Self::NAMES))
    }
}

/// The line from byte `from` on, with its line end; `None` at the end of the file.
fn next_line(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    Some(from..rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| from + at + 1))
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn end_of_content(bytes: &[u8], start: usize, end: usize) -> usize {
    let content = &bytes[start..end];
    let content = content.strip_suffix(b"\n").map_or(content, |content| content.strip_suffix(b"\r").unwrap_or(content));
    start + content.len()
}

/// Which records a set contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordPart {
    /// Those to train on.
    Training,
    /// Those that are held out.
    HeldOut,
}

/// The number of records of a part of a corpus, and of the predictions in them: each record's characters and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Records.
    pub records: u64,
    /// Predictions.
    pub predictions: u64,
}

/// Where records are: the position and number of a record in every 384 bytes. The others are found by reading on.
///
/// An entry has 24 bytes, so the index is at most a sixteenth of the text, plus an entry per file and per MiB.
#[derive(Clone, Debug)]
pub struct RecordIndex {
    kind: RecordKind,
    /// The fraction of all records that is held out.
    held_out_fraction: f64,
    entries: Vec<IndexEntry>,
    /// The number of all records.
    count: u64,
    training: RecordCounts,
    held_out: RecordCounts,
    has_line_feeds: bool,
    has_carriage_returns: bool,
}

#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    file: usize,
    byte: usize,
    /// The number of the record.
    number: u64,
}

const BYTES_PER_ENTRY: usize = 384;
const MIN_CHUNK: usize = 1 << 20;

/// A record in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordSpan {
    pub(super) file: usize,
    /// Its bytes in the file, without its final line end.
    pub(super) bytes: Range<usize>,
}

impl RecordSpan {
    pub fn cursor(&self) -> CorpusCursor {
        CorpusCursor { file: self.file, byte: self.bytes.start }
    }

    /// Whether a cursor has read all characters of the record.
    #[inline]
    pub(super) fn is_read(&self, cursor: CorpusCursor) -> bool {
        cursor.file != self.file || cursor.byte >= self.bytes.end
    }
}

impl RecordIndex {
    /// Finds the records of a corpus. Each is held out with probability `held_out_fraction`, as decided by a hash of its content, so
    /// equal records are in the same part.
    pub fn new(corpus: &Corpus, kind: RecordKind, held_out_fraction: f64) -> Result<Self> {
        let chunks = (0..corpus.file_count()).flat_map(|file| {
            let bytes = corpus.file_bytes(file);
            let mut end = 0;
            std::iter::from_fn(move || {
                let start = end;
                end = kind.boundary(bytes, bytes.len().min(start + MIN_CHUNK));
                (start < bytes.len()).then_some((file, start..end))
            })
        });
        let chunks: Vec<_> = chunks.collect();
        let scan = |(file, chunk)| scan_chunk(corpus, kind, held_out_fraction, file, chunk);
        let mut index = RecordIndex {
            kind,
            held_out_fraction,
            entries: Vec::new(),
            count: 0,
            training: RecordCounts::default(),
            held_out: RecordCounts::default(),
            has_line_feeds: false,
            has_carriage_returns: false,
        };
        let scanned: Vec<RecordIndex> = chunks.into_par_iter().map(scan).collect();
        index.entries.reserve_exact(scanned.iter().map(|chunk| chunk.entries.len()).sum());
        scanned.into_iter().for_each(|chunk| index.append(chunk));
        corpus.check_not_truncated()?;
        if index.count == 0 {
            return Err(Error::corpus(corpus.name(), "the text has no records: it is blank"));
        }
        Ok(index)
    }

    fn append(&mut self, chunk: RecordIndex) {
        let renumbered = |entry: IndexEntry| IndexEntry { number: self.count + entry.number, ..entry };
        self.entries.extend(chunk.entries.into_iter().map(renumbered));
        self.count += chunk.count;
        for (sum, counts) in [(&mut self.training, chunk.training), (&mut self.held_out, chunk.held_out)] {
            sum.records += counts.records;
            sum.predictions += counts.predictions;
        }
        self.has_line_feeds |= chunk.has_line_feeds;
        self.has_carriage_returns |= chunk.has_carriage_returns;
    }

    /// What a record is.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The number of all records.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The records and predictions of a part.
    pub fn counts(&self, part: RecordPart) -> RecordCounts {
        match part {
            RecordPart::Training => self.training,
            RecordPart::HeldOut => self.held_out,
        }
    }

    /// Whether a record contains this symbol, if it is a line feed or a carriage return; those between records do not count.
    pub(super) fn contains(&self, symbol: u32) -> bool {
        match char::from_u32(symbol) {
            Some('\n') => self.has_line_feeds,
            Some('\r') => self.has_carriage_returns,
            _ => true,
        }
    }

    /// Whether a record belongs to a part.
    pub(super) fn is_in(&self, part: RecordPart, content: &[u8]) -> bool {
        is_held_out(content, self.held_out_fraction) == (part == RecordPart::HeldOut)
    }

    /// Record `number`; `None` if there is none, or if the file was modified.
    pub(super) fn locate(&self, corpus: &Corpus, number: u64) -> Option<RecordSpan> {
        let after = self.entries.partition_point(|entry| entry.number <= number);
        let entry = self.entries[after.checked_sub(1)?];
        let bytes = corpus.file_bytes(entry.file);
        let mut record = self.kind.next(bytes, entry.byte)?;
        for _ in entry.number..number {
            record = self.kind.next(bytes, record.end)?;
        }
        Some(RecordSpan { file: entry.file, bytes: record })
    }
}

/// All records of a corpus in order, with their contents.
pub(super) fn records(corpus: &Corpus, kind: RecordKind) -> impl Iterator<Item = (RecordSpan, &[u8])> {
    (0..corpus.file_count()).flat_map(move |file| {
        let (bytes, mut end) = (corpus.file_bytes(file), 0);
        std::iter::from_fn(move || {
            let record = kind.next(bytes, end)?;
            end = record.end;
            Some((RecordSpan { file, bytes: record.clone() }, &bytes[record]))
        })
    })
}

fn scan_chunk(
    corpus: &Corpus,
    kind: RecordKind,
    held_out_fraction: f64,
    file: usize,
    chunk: Range<usize>,
) -> RecordIndex {
    let bytes = &corpus.file_bytes(file)[..chunk.end];
    let (mut entries, mut count) = (Vec::new(), 0);
    let (mut training, mut held_out) = (RecordCounts::default(), RecordCounts::default());
    let (mut has_line_feeds, mut has_carriage_returns) = (false, false);
    let mut next_entry = 0;
    let mut end = chunk.start;
    while let Some(record) = kind.next(bytes, end) {
        if record.start >= next_entry {
            entries.push(IndexEntry { file, byte: record.start, number: count });
            next_entry = record.start + BYTES_PER_ENTRY;
        }
        end = record.end;
        let content = &bytes[record];
        let counts = if is_held_out(content, held_out_fraction) { &mut held_out } else { &mut training };
        counts.records += 1;
        counts.predictions += 1 + corpus.count_chars(content);
        has_line_feeds |= content.contains(&b'\n');
        has_carriage_returns |= content.contains(&b'\r') && !corpus.reads_all_as_line_feeds(content);
        count += 1;
    }
    entries.shrink_to_fit();
    RecordIndex { kind, held_out_fraction, entries, count, training, held_out, has_line_feeds, has_carriage_returns }
}

fn is_held_out(content: &[u8], fraction: f64) -> bool {
    ((xxh3_64(content) >> 11) as f64) < fraction * (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;
    use proptest::prelude::*;

    fn contents(text: &str, kind: RecordKind) -> Vec<String> {
        let corpus = Corpus::from_text("test", text.to_owned().into_bytes(), Encoding::Utf8).unwrap();
        records(&corpus, kind).map(|(_, content)| String::from_utf8(content.to_vec()).unwrap()).collect()
    }

    #[test]
    fn records_are_lines_blocks_or_files() {
        let text = "\n\none\r\ntwo\n \t\nthree\n\n\nfour\r\nfive";
        assert_eq!(contents(text, RecordKind::Line), ["one", "two", "three", "four", "five"]);
        assert_eq!(contents(text, RecordKind::Block), ["one\r\ntwo", "three", "four\r\nfive"]);
        assert_eq!(contents(text, RecordKind::File), [text]);
        assert_eq!(contents("a\n\nb\n", RecordKind::File), ["a\n\nb"]);
        for kind in [RecordKind::Line, RecordKind::Block, RecordKind::File] {
            assert!(contents(" \n\n", kind).is_empty());
            let blank = Corpus::from_text("test", &b" \n"[..], Encoding::Utf8).unwrap();
            assert!(matches!(RecordIndex::new(&blank, kind, 0.1), Err(Error::Corpus { .. })));
        }
    }

    #[test]
    fn files_end_records() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [("a", "one\ntwo"), ("b", ""), ("c", "three\n\nfour\n")].map(|(name, text)| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        });
        let corpus = Corpus::open(&paths, Encoding::Utf8).unwrap();
        for (kind, expected) in [
            (RecordKind::Line, &["one", "two", "three", "four"][..]),
            (RecordKind::Block, &["one\ntwo", "three", "four"]),
            (RecordKind::File, &["one\ntwo", "three\n\nfour"]),
        ] {
            let found: Vec<&[u8]> = records(&corpus, kind).map(|(_, content)| content).collect();
            assert!(
                found.iter().eq(expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>().iter()),
                "{kind:?}"
            );
            let index = RecordIndex::new(&corpus, kind, 0.0).unwrap();
            let located = (0..index.count()).map(|i| index.locate(&corpus, i).unwrap());
            assert!(located.eq(records(&corpus, kind).map(|(span, _)| span)), "{kind:?}");
        }
    }

    #[test]
    fn the_index_locates_every_record_and_is_small() {
        let mut text: String = (0..200_000).map(|i| format!("{}\n", "ab".repeat(i * i % 13))).collect();
        text.push_str(&"long".repeat(100_000));
        let corpus = Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap();
        for kind in [RecordKind::Line, RecordKind::Block] {
            let index = RecordIndex::new(&corpus, kind, 0.1).unwrap();
            let all: Vec<RecordSpan> = records(&corpus, kind).map(|(span, _)| span).collect();
            assert_eq!(index.count(), all.len() as u64);
            for number in (0..all.len()).step_by(7).chain([all.len() - 1]) {
                assert_eq!(index.locate(&corpus, number as u64).as_ref(), Some(&all[number]));
            }
            assert_eq!(index.locate(&corpus, index.count()), None);
            let bytes = index.entries.capacity() * size_of::<IndexEntry>();
            assert!(bytes <= corpus.file_bytes(0).len() / 16 + 24 * 8, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn equal_records_are_on_the_same_side_of_the_split(list in proptest::collection::vec("[a-c\u{e9}]{1,2}", 1..60)) {
            let corpus = Corpus::from_text("test", list.join("\n").into_bytes(), Encoding::Utf8).unwrap();
            let index = RecordIndex::new(&corpus, RecordKind::Line, 0.5).unwrap();
            let held_out: Vec<bool> = list.iter().map(|line| index.is_in(RecordPart::HeldOut, line.as_bytes())).collect();
            for (a, of_a) in list.iter().zip(&held_out) {
                prop_assert!(list.iter().zip(&held_out).all(|(b, of_b)| a != b || of_a == of_b));
            }
            let predictions = |part: bool| -> u64 {
                let lines = list.iter().zip(&held_out).filter(|(_, is_held_out)| **is_held_out == part);
                lines.map(|(line, _)| line.chars().count() as u64 + 1).sum()
            };
            prop_assert_eq!(index.counts(RecordPart::HeldOut).predictions, predictions(true));
            prop_assert_eq!(index.counts(RecordPart::Training).predictions, predictions(false));
        }
    }
}
