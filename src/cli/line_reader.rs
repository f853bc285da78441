//! Reading a text of any length line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};

use charlstm::data::{Encoding, check_text};
use charlstm::error::{Error, Result};

use super::files;

const BUFFER: usize = 1 << 20;
/// Lines of about this many bytes are returned at once.
const BYTES_AT_ONCE: usize = 1 << 18;
/// Maximum length of a line in bytes; longer lines are split.
const MAX_LINE: u64 = 1 << 20;

pub struct LineReader {
    name: PathBuf,
    reader: BufReader<Box<dyn Read>>,
    is_at_start: bool,
}

impl LineReader {
    /// Opens a file; `-` is standard input.
    pub fn open(file: &Path) -> Result<Self> {
        let reader: Box<dyn Read> = if files::is_stdin(file) {
            Box::new(stdin())
        } else if file.is_dir() {
            return Err(Error::Usage(format!("{}: is a folder; specify a file", file.display())));
        } else {
            Box::new(File::open(file).map_err(|e| Error::input(file, e))?)
        };
        Ok(LineReader { name: file.into(), reader: BufReader::with_capacity(BUFFER, reader), is_at_start: true })
    }

    /// The next line with its line end, or a piece of a line that is too long.
    fn next_line(&mut self) -> std::io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        // Do not split a UTF-8 character, which has at most three continuation bytes.
        while (MAX_LINE..MAX_LINE + 3).contains(&(line.len() as u64))
            && self.reader.fill_buf()?.first().is_some_and(|byte| byte & 0xc0 == 0x80)
        {
            let mut rest = [0];
            self.reader.read_exact(&mut rest)?;
            line.extend(rest);
        }
        Ok(line)
    }

    /// The next lines with their line ends: those that have arrived, but at most about 256 KiB and at least one; none at the
    /// end of the file. A byte order mark is omitted, and text that is not UTF-8 is rejected if its first line shows what it is.
    pub fn next_lines(&mut self, encoding: Encoding) -> Result<Vec<Vec<u8>>> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        loop {
            let mut line = self.next_line().map_err(|e| Error::io(&self.name, e))?;
            if std::mem::take(&mut self.is_at_start) && encoding.is_utf8() {
                line = check_text(&self.name, &line)?.to_vec();
            }
            if line.is_empty() {
                return Ok(lines);
            }
            bytes += line.len();
            lines.push(line);
            if bytes >= BYTES_AT_ONCE || !self.reader.buffer().contains(&b'\n') {
                return Ok(lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a few bytes at a time, like a pipe.
    struct SlowReader(std::io::Cursor<Vec<u8>>, usize);

    impl Read for SlowReader {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let len = self.1.min(to.len());
            self.0.read(&mut to[..len])
        }
    }

    fn lines(text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let slow: Box<dyn Read> = Box::new(SlowReader(std::io::Cursor::new(text.to_vec()), piece));
        let reader = BufReader::with_capacity(BUFFER, slow);
        let mut text = LineReader { name: "text".into(), reader, is_at_start: true };
        let lines =
            std::iter::from_fn(|| Some(text.next_lines(Encoding::Utf8).unwrap()).filter(|lines| !lines.is_empty()));
        lines.flatten().collect()
    }

    #[test]
    fn splits_long_lines_between_characters() {
        for before in 0..4 {
            let text = "a".repeat(before) + &"\u{1f600}".repeat(MAX_LINE as usize / 4 + 9) + "\nend\n";
            for piece in [4097, BUFFER] {
                let lines = lines(text.as_bytes(), piece);
                assert_eq!(lines.len(), 3);
                assert!(lines.iter().all(|line| std::str::from_utf8(line).is_ok()));
                assert!(lines.concat() == text.as_bytes());
            }
        }
    }

    #[test]
    fn splits_lines_of_continuation_bytes() {
        let text = vec![0x80; 3 * MAX_LINE as usize];
        let lines = lines(&text, BUFFER);
        assert!(lines.iter().all(|line| line.len() as u64 <= MAX_LINE + 3) && lines.concat() == text);
    }
}
