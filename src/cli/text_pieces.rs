//! The pieces of a text that are scored one after another: lines, or the records of a model of records.

use std::path::Path;

use charlstm::data::{RECORD_BOUNDARY, RecordKind, Vocab};
use charlstm::error::Result;

use super::line_reader::LineReader;

const BYTES_AT_ONCE: usize = 1 << 18;

pub struct TextPieces {
    lines: LineReader,
    /// Whether CRLF is read as a line feed.
    crlf_to_lf: bool,
    /// Whether a line with each kind of line end has been read.
    pub has_crlf: bool,
    pub has_lf: bool,
    /// What a record is; `None` for running text.
    records: Option<RecordKind>,
    /// The lines of a record whose end has not been read yet.
    open: Vec<u8>,
}

impl TextPieces {
    /// Opens a file; `-` is standard input.
    pub fn open(file: &Path, crlf_to_lf: bool) -> Result<Self> {
        let lines = LineReader::open(file)?;
        Ok(TextPieces { lines, crlf_to_lf, has_crlf: false, has_lf: false, records: None, open: Vec::new() })
    }

    pub fn split_records(&mut self, kind: Option<RecordKind>) {
        self.records = kind;
    }

    /// The symbols of the next pieces that have arrived: lines with their line ends, or records with the boundary at their ends. None
    /// at the end of the text.
    pub fn next(&mut self, vocab: &Vocab) -> Result<Vec<Vec<u32>>> {
        let Some(kind) = self.records else {
            let lines = self.next_lines(vocab)?;
            return Ok(lines.iter().map(|line| vocab.to_symbols(line)).collect());
        };
        let mut records = Vec::new();
        while records.is_empty() {
            let lines = self.next_lines(vocab)?;
            if lines.is_empty() {
                records.extend(self.end_record(vocab));
                break;
            }
            for line in lines {
                let is_blank = line.trim_ascii().is_empty();
                if kind != RecordKind::File && (is_blank || kind == RecordKind::Line) {
                    records.extend(self.end_record(vocab));
                }
                if kind == RecordKind::File || !is_blank {
                    self.open.extend(line);
                }
            }
        }
        Ok(records)
    }

    fn next_lines(&mut self, vocab: &Vocab) -> Result<Vec<Vec<u8>>> {
        let mut lines = self.lines.next_lines(BYTES_AT_ONCE, vocab.encoding())?;
        for line in lines.iter_mut().filter(|line| line.ends_with(b"\n")) {
            let is_crlf = line.ends_with(b"\r\n");
            self.has_crlf |= is_crlf;
            self.has_lf |= !is_crlf;
            if is_crlf && self.crlf_to_lf {
                line.remove(line.len() - 2);
            }
        }
        Ok(lines)
    }

    fn end_record(&mut self, vocab: &Vocab) -> Option<Vec<u32>> {
        let record = std::mem::take(&mut self.open);
        let record = record.strip_suffix(b"\n").unwrap_or(&record);
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        (!record.is_empty()).then(|| vocab.to_symbols(record).into_iter().chain([RECORD_BOUNDARY]).collect())
    }
}
