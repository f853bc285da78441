//! The regions of a text over which `charlstm score` sums the surprisal.

use std::path::{Path, PathBuf};

use charlstm::data::{RECORD_BOUNDARY, Vocab};
use charlstm::error::{Error, Result};
use charlstm::score::Surprisal;

use super::line_reader::LineReader;

const BYTES_AT_ONCE: usize = 1 << 18;

/// A file with a line for each line or record of a text: its text, with `|` between regions.
pub struct Regions {
    path: PathBuf,
    file: LineReader,
    /// Lines that have been read and not used, in reverse order.
    waiting: Vec<Vec<u8>>,
}

impl Regions {
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Regions { path: path.into(), file: LineReader::open(path)?, waiting: Vec::new() })
    }

    /// Splits line or record `number` of the text, counted from 1, into the regions of the next line.
    pub fn split<'s>(&mut self, piece: &'s [Surprisal], vocab: &Vocab, number: usize) -> Result<Vec<&'s [Surprisal]>> {
        let next = self.next_line(vocab)?;
        let wrong = |problem: &str| Error::corpus(&self.path, format!("line {number}: {problem}"));
        let Some(line) = next else {
            return Err(wrong("missing: the text has more lines than this file"));
        };
        let is_end = |symbol: u32| symbol == RECORD_BOUNDARY || symbol == u32::from('\n') || symbol == u32::from('\r');
        let end = piece.iter().rposition(|surprisal| !is_end(surprisal.symbol)).map_or(0, |at| at + 1);
        let (mut regions, mut at) = (Vec::new(), 0);
        for region in line.split(|byte| *byte == b'|') {
            let symbols = vocab.to_symbols(region);
            let is_same =
                piece[at..end].iter().map(|surprisal| surprisal.symbol).take(symbols.len()).eq(symbols.iter().copied());
            if !is_same {
                return Err(wrong("its text without `|` differs from that line of the text"));
            }
            regions.push(at..at + symbols.len());
            at += symbols.len();
        }
        if at != end {
            return Err(wrong("it is shorter than that line of the text"));
        }
        if let Some(last) = regions.last_mut() {
            last.end = piece.len();
        }
        Ok(regions.into_iter().map(|region| &piece[region]).collect())
    }

    /// Rejects a file with more lines than the text.
    pub fn check_at_end(&mut self) -> Result<()> {
        let lines = self.file.next_lines(1, charlstm::data::Encoding::Utf8)?;
        if self.waiting.is_empty() && lines.is_empty() {
            return Ok(());
        }
        Err(Error::corpus(&self.path, "it has more lines than the text"))
    }

    /// The next line without its line end.
    fn next_line(&mut self, vocab: &Vocab) -> Result<Option<Vec<u8>>> {
        if self.waiting.is_empty() {
            self.waiting = self.file.next_lines(BYTES_AT_ONCE, vocab.encoding())?;
            self.waiting.reverse();
        }
        Ok(self.waiting.pop().map(|mut line| {
            while line.ends_with(b"\n") || line.ends_with(b"\r") {
                line.pop();
            }
            line
        }))
    }
}
