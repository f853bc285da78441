//! The pieces of a text that are scored one after another: lines, or the records of a model of records.

use charlstm::data::{Encoding, RECORD_BOUNDARY, RecordKind};
use charlstm::error::Result;

use super::line_ends::LineEnds;
use super::line_reader::LineReader;

pub struct TextPieces {
    lines: LineReader,
    encoding: Encoding,
    /// What a record is; `None` for running text.
    records: Option<RecordKind>,
    /// The lines of a record whose end has not been read yet.
    open: Vec<u8>,
    /// The kinds of line ends that have been read.
    pub line_ends: LineEnds,
}

impl TextPieces {
    pub fn new(lines: LineReader, encoding: Encoding, records: Option<RecordKind>) -> Self {
        TextPieces { lines, encoding, records, open: Vec::new(), line_ends: LineEnds::default() }
    }

    /// The symbols of the next pieces that have arrived: lines with their line ends, or records with the boundary at their ends. None
    /// at the end of the text.
    pub fn next(&mut self) -> Result<Vec<Vec<u32>>> {
        let Some(kind) = self.records else {
            let lines = self.next_lines()?;
            return Ok(lines.iter().map(|line| self.encoding.to_symbols(line)).collect());
        };
        let mut records = Vec::new();
        while records.is_empty() {
            let lines = self.next_lines()?;
            if lines.is_empty() {
                records.extend(self.end_record());
                break;
            }
            for line in lines {
                let is_blank = line.trim_ascii().is_empty();
                if kind != RecordKind::File && (is_blank || kind == RecordKind::Line) {
                    records.extend(self.end_record());
                }
                if kind == RecordKind::File || !is_blank {
                    self.open.extend(line);
                }
            }
        }
        Ok(records)
    }

    fn next_lines(&mut self) -> Result<Vec<Vec<u8>>> {
        let lines = self.lines.next_lines(self.encoding)?;
        for line in lines.iter().filter(|line| line.ends_with(b"\n")) {
            let is_crlf = line.ends_with(b"\r\n") && self.encoding == Encoding::Utf8;
            self.line_ends.add(is_crlf);
        }
        Ok(lines)
    }

    fn end_record(&mut self) -> Option<Vec<u32>> {
        let record = std::mem::take(&mut self.open);
        let record = record.strip_suffix(b"\n").unwrap_or(&record);
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        (!record.is_empty()).then(|| self.encoding.to_symbols(record).into_iter().chain([RECORD_BOUNDARY]).collect())
    }
}
