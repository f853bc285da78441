//! The regions of a text over which `charlstm score` sums the surprisal.

use std::path::{Path, PathBuf};

use charlstm::data::{Encoding, RECORD_BOUNDARY, RecordKind};
use charlstm::error::{Error, Result};
use charlstm::score::Surprisal;

use super::line_reader::LineReader;

/// A file with a line for each line of a text: its text, with `|` between regions.
pub struct Regions {
    path: PathBuf,
    file: LineReader,
    encoding: Encoding,
    /// Whether blank lines are omitted, as those between records are.
    skips_blank_lines: bool,
    /// Lines that have been read and not used, in reverse order.
    waiting: Vec<Vec<u8>>,
    /// The number of lines of the file that have been used.
    used: usize,
}

impl Regions {
    /// Opens a file of regions for a text of this encoding, whose lines form records of kind `records`, if any.
    pub fn open(path: &Path, encoding: Encoding, records: Option<RecordKind>) -> Result<Self> {
        let skips_blank_lines = records.is_some_and(|kind| kind != RecordKind::File);
        let file = LineReader::open(path)?;
        Ok(Regions { path: path.into(), file, encoding, skips_blank_lines, waiting: Vec::new(), used: 0 })
    }

    /// Splits the next line or record of the text into regions. The end of a line or record belongs to its last region.
    pub fn split<'s>(&mut self, piece: &'s [Surprisal]) -> Result<Vec<&'s [Surprisal]>> {
        let mut regions = Vec::new();
        for line in piece.split_inclusive(|surprisal| surprisal.symbol == u32::from('\n')) {
            self.split_line(line, &mut regions)?;
        }
        Ok(regions)
    }

    fn split_line<'s>(&mut self, line: &'s [Surprisal], regions: &mut Vec<&'s [Surprisal]>) -> Result<()> {
        let next = self.next_line()?;
        let wrong = |problem: &str| Error::corpus(&self.path, format!("line {}: {problem}", self.used));
        let Some(given) = next else {
            return Err(wrong("missing: the text has more lines than this file"));
        };
        let is_end = |symbol: u32| symbol == RECORD_BOUNDARY || symbol == u32::from('\n') || symbol == u32::from('\r');
        let end = line.iter().rposition(|surprisal| !is_end(surprisal.symbol)).map_or(0, |at| at + 1);
        let mut at = 0;
        for region in given.split(|byte| *byte == b'|') {
            let symbols = self.encoding.to_symbols(region);
            let found = line[at..end].iter().map(|surprisal| surprisal.symbol).take(symbols.len());
            if !found.eq(symbols.iter().copied()) {
                return Err(wrong("its text without `|` differs from that line of the text"));
            }
            regions.push(&line[at..at + symbols.len()]);
            at += symbols.len();
        }
        if at != end {
            return Err(wrong("it is shorter than that line of the text"));
        }
        if let Some(last) = regions.last_mut() {
            *last = &line[end - last.len()..];
        }
        Ok(())
    }

    /// Rejects a file with more lines than the text.
    pub fn check_at_end(&mut self) -> Result<()> {
        match self.next_line()? {
            None => Ok(()),
            Some(_) => Err(Error::corpus(&self.path, "it has more lines than the text")),
        }
    }

    /// The next line without its line end. Counts it, even if it is missing.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            self.used += 1;
            if self.waiting.is_empty() {
                self.waiting = self.file.next_lines(self.encoding)?;
                self.waiting.reverse();
            }
            let Some(mut line) = self.waiting.pop() else { return Ok(None) };
            while line.ends_with(b"\n") || line.ends_with(b"\r") {
                line.pop();
            }
            if !self.skips_blank_lines || !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }
}
