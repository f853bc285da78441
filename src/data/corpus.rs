//! A corpus: one or several memory-mapped files that form one text.

use std::path::{Path, PathBuf};
use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::corpus_file::{CorpusFile, list_files};
use super::encoding::{Encoding, count_crlf, count_utf8, decode_utf8};
use super::scan::{Chunk, InvalidUtf8, Scan, scan};
use super::text_format::has_many_nuls;
use crate::error::{Error, Result};

/// Length and hash of a corpus, by which a resumed run recognizes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusIdentity {
    pub(super) bytes: u64,
    /// XXH3 (128 bits) of all bytes.
    pub(super) hash: u128,
}

/// A text that consists of files, which are memory-mapped and never copied, or of bytes in memory.
#[derive(Debug)]
pub struct Corpus {
    name: PathBuf,
    files: Vec<CorpusFile>,
    encoding: Encoding,
    chunks: Vec<Chunk>,
    chars: usize,
    symbols: Vec<u32>,
    identity: CorpusIdentity,
    notes: Vec<String>,
}

impl Corpus {
    /// Opens files and folders as one text. Files of UTF-8 are separated by a line end, and byte order marks are omitted.
    pub fn open(paths: &[PathBuf], encoding: Encoding) -> Result<Self> {
        let mut notes = Vec::new();
        let paths = list_files(paths, encoding, &mut notes)?;
        let files = paths.iter().map(|path| CorpusFile::open(path, encoding)).collect::<Result<Vec<_>>>()?;
        let files = if encoding.is_utf8() { with_line_ends(files) } else { files };
        Self::from_files(files, encoding, notes)
    }

    /// A text in memory.
    pub fn from_text(name: &str, text: impl Into<Cow<'static, [u8]>>, encoding: Encoding) -> Result<Self> {
        let file = CorpusFile::in_memory(name.as_ref(), text.into());
        let file = if encoding.is_utf8() { file.check_is_text()? } else { file };
        Self::from_files(vec![file], encoding, Vec::new())
    }

    /// This text preceded by the first `chars` characters of another one. Keeps its name and notes.
    pub fn with_prefix(self, other: &Corpus, chars: usize) -> Result<Self> {
        let end = other.cursor(chars);
        let mut files: Vec<CorpusFile> = other.files.iter().take(end.file).cloned().collect();
        files.extend(other.files.get(end.file).map(|file| file.prefix(end.byte)));
        files.extend(self.files);
        Ok(Corpus { name: self.name, notes: self.notes, ..Self::from_files(files, self.encoding, Vec::new())? })
    }

    fn from_files(files: Vec<CorpusFile>, encoding: Encoding, mut notes: Vec<String>) -> Result<Self> {
        let Some(first) = files.first() else {
            return Err(Error::Usage("a corpus needs at least one file".into()));
        };
        let bytes: Vec<&[u8]> = files.iter().map(CorpusFile::bytes).collect();
        let len: usize = bytes.iter().map(|bytes| bytes.len()).sum();
        if len == 0 {
            return Err(Error::corpus(&first.path, "the file is empty; choose one that contains text"));
        }
        let (scanned, hash) = rayon::join(|| scan(&bytes, encoding), || hash(&bytes));
        files.iter().try_for_each(CorpusFile::check_not_truncated)?;
        let Scan { chunks, chars, symbols } = scanned
            .map_err(|InvalidUtf8 { file, offset }| Error::NotUtf8 { path: files[file].path.clone(), byte: offset })?;
        let has = |char: char| symbols.contains(&u32::from(char));
        let (mut sources, has_nul) = (files.iter().filter(|file| file.is_source()), has('\0'));
        if let Some(file) = sources.clone().find(|file| encoding.is_utf8() && has_nul && has_many_nuls(file.bytes())) {
            return Err(Error::NotText { path: file.path.clone() });
        }
        if encoding.is_utf8() && has('\r') && sources.all(|file| !file.bytes().contains(&b'\n')) {
            notes.push("the text has carriage returns but no line feeds, so it is a single line".into());
        }
        let identity = CorpusIdentity { bytes: len as u64, hash };
        Ok(Corpus { name: first.path.clone(), files, encoding, chunks, chars, symbols, identity, notes })
    }

    /// Number of characters.
    pub fn chars(&self) -> usize {
        self.chars
    }

    /// The distinct symbols (code points or bytes) in ascending order.
    pub fn symbols(&self) -> &[u32] {
        &self.symbols
    }

    /// The unit that counts as a character.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Length and hash.
    pub fn identity(&self) -> &CorpusIdentity {
        &self.identity
    }

    /// Checks that no file was truncated, so that everything read so far is what the files contain. Call it after reading.
    pub fn check_not_truncated(&self) -> Result<()> {
        self.check_range_not_truncated(0..self.files.len())
    }

    pub(super) fn check_range_not_truncated(&self, files: Range<usize>) -> Result<()> {
        self.files.iter().take(files.end).skip(files.start).try_for_each(CorpusFile::check_not_truncated)
    }

    /// Reads the whole text again and checks that no file was modified; a deleted or replaced file stays mapped and passes.
    pub fn check_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(CorpusFile::check_same_len)?;
        let bytes: Vec<&[u8]> = self.files.iter().map(CorpusFile::bytes).collect();
        let is_same = hash(&bytes) == self.identity.hash;
        self.check_not_truncated()?;
        let problem = match self.files.len() {
            _ if is_same => return Ok(()),
            1 => "it was rewritten while it was in use".into(),
            n => format!("this file or one of the next {} files was rewritten while it was in use", n - 1),
        };
        Err(self.files[0].changed(problem))
    }

    /// Remarks for the user, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether a carriage return precedes a line feed in any file.
    pub fn has_crlf(&self) -> bool {
        self.symbols.contains(&u32::from('\r')) && self.files.iter().any(|file| count_crlf(file.bytes()) > 0)
    }

    /// The number of files.
    pub fn source_count(&self) -> usize {
        self.files.iter().filter(|file| file.is_source()).count()
    }

    /// The path of the first file.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The bytes of the first `chars` characters, file by file.
    pub(crate) fn prefix(&self, chars: usize) -> impl Iterator<Item = (&Path, &[u8])> {
        let end = self.cursor(chars);
        let files = self.files.iter().enumerate().take(end.file + 1);
        files.map(move |(i, file)| {
            let bytes = file.bytes();
            let len = if i < end.file { bytes.len() } else { bytes.len().min(end.byte) };
            (&*file.path, &bytes[..len])
        })
    }

    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn file_bytes(&self, file: usize) -> &[u8] {
        self.files.get(file).map_or(&[], CorpusFile::bytes)
    }

    /// Whether no carriage return in bytes of this corpus is a character.
    pub(super) fn reads_all_as_line_feeds(&self, bytes: &[u8]) -> bool {
        let returns = bytes.iter().filter(|byte| **byte == b'\r').count();
        self.encoding == Encoding::Utf8Lf && returns == count_crlf(bytes)
    }

    /// The number of characters in bytes of this corpus.
    pub(super) fn count_chars(&self, bytes: &[u8]) -> u64 {
        match self.encoding {
            Encoding::Bytes => bytes.len() as u64,
            Encoding::Utf8 => count_utf8(bytes) as u64,
            Encoding::Utf8Lf => (count_utf8(bytes) - count_crlf(bytes)) as u64,
        }
    }

    /// A cursor at character `index`.
    pub fn cursor(&self, index: usize) -> CorpusCursor {
        let after = self.chunks.partition_point(|chunk| chunk.chars_before <= index);
        // A corpus is not empty: its first chunk starts at character 0.
        let chunk = self.chunks[after - 1];
        let mut cursor = CorpusCursor { file: chunk.file, byte: chunk.offset };
        (chunk.chars_before..index).for_each(|_| _ = cursor.next(self));
        cursor
    }

    /// A cursor at character `to`; faster than [`cursor`](Self::cursor) if `cursor`, which is at character `from`, is close to it.
    pub(crate) fn advance(&self, mut cursor: CorpusCursor, from: usize, to: usize) -> CorpusCursor {
        const NEAR: usize = 1 << 16;
        if !(from..from + NEAR).contains(&to) {
            return self.cursor(to);
        }
        (from..to).for_each(|_| _ = cursor.next(self));
        cursor
    }
}

/// Adds a line end between files where one is missing.
fn with_line_ends(files: Vec<CorpusFile>) -> Vec<CorpusFile> {
    if files.iter().all(|file| file.bytes().is_empty()) {
        return files;
    }
    let mut joined: Vec<CorpusFile> = Vec::with_capacity(files.len());
    for file in files.into_iter().filter(|file| !file.bytes().is_empty()) {
        if let Some(last) = joined.last().filter(|last| !last.bytes().ends_with(b"\n")) {
            joined.push(CorpusFile::in_memory(&last.path, Cow::Borrowed(b"\n")));
        }
        joined.push(file);
    }
    joined
}

fn hash(files: &[&[u8]]) -> u128 {
    let mut hasher = Xxh3::new();
    files.iter().for_each(|bytes| hasher.update(bytes));
    hasher.digest128()
}

/// A position in a corpus between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusCursor {
    pub(super) file: usize,
    pub(super) byte: usize,
}

impl CorpusCursor {
    /// Reads the next symbol; `None` at the end. In a file that was modified, it may be one that no vocabulary contains.
    #[inline]
    pub fn next(&mut self, corpus: &Corpus) -> Option<u32> {
        let mut bytes = corpus.files.get(self.file)?.bytes();
        while self.byte >= bytes.len() {
            (self.file, self.byte) = (self.file + 1, 0);
            bytes = corpus.files.get(self.file)?.bytes();
        }
        if corpus.encoding == Encoding::Bytes {
            self.byte += 1;
            return Some(u32::from(bytes[self.byte - 1]));
        }
        let (mut symbol, mut next) = decode_utf8(bytes, self.byte)?;
        if symbol == u32::from(b'\r') && corpus.encoding == Encoding::Utf8Lf && bytes.get(next) == Some(&b'\n') {
            (symbol, next) = (u32::from(b'\n'), next + 1);
        }
        self.byte = next;
        Some(symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Corpus {
        Corpus::from_text("test", text.to_owned().into_bytes(), Encoding::Utf8).unwrap()
    }

    proptest! {
        #[test]
        fn decodes_like_the_standard_library_from_any_position(sample in "\\PC{1,200}", at in 0usize..200) {
            let corpus = text(&sample);
            let expected: Vec<u32> = sample.chars().skip(at).map(u32::from).collect();
            let mut cursor = corpus.cursor(at);
            let got: Vec<u32> = std::iter::from_fn(|| cursor.next(&corpus)).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_folder_is_read_as_one_text() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("b.txt", "zwei\u{fc}"), ("a.txt", "eins"), ("c.txt", ""), (".hidden", "no"), ("d.bin", "\0")]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("e")).unwrap();
        std::fs::write(folder.path().join("e/below.txt"), "not entered").unwrap();
        let corpus = Corpus::open(&[folder.path().into()], Encoding::Utf8).unwrap();
        let mut cursor = corpus.cursor(0);
        let read: String = std::iter::from_fn(|| cursor.next(&corpus)).filter_map(char::from_u32).collect();
        assert_eq!(read, "eins\nzwei\u{fc}");
        assert_eq!(corpus.chars(), 10);
        assert!(corpus.notes()[0].contains("d.bin"), "{:?}", corpus.notes());
        let files = ["a.txt", "c.txt", "b.txt"].map(|name| folder.path().join(name));
        assert_eq!(Corpus::open(&files, Encoding::Utf8).unwrap().identity(), corpus.identity());
    }

    #[test]
    fn files_are_separated_by_line_ends_and_have_no_byte_order_marks() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [("a", "\u{feff}x"), ("b", "\u{feff}"), ("c", "y\n"), ("d", "\u{feff}z")].map(|(name, text)| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        });
        let read = |encoding| {
            let corpus = Corpus::open(&paths, encoding).unwrap();
            let mut cursor = corpus.cursor(0);
            std::iter::from_fn(|| cursor.next(&corpus)).collect::<Vec<_>>()
        };
        assert!(read(Encoding::Utf8).into_iter().eq("x\ny\nz".bytes().map(u32::from)));
        assert_eq!(read(Encoding::Bytes).len(), 13);
    }

    #[test]
    fn a_text_without_line_feeds_is_noted() {
        assert!(text("a\r\nb").notes().is_empty());
        assert!(text("a\rb\r").notes()[0].contains("no line feeds"));
        assert!(text("a\nb").notes().is_empty());
        let folder = tempfile::tempdir().unwrap();
        ["a", "b"].iter().for_each(|name| std::fs::write(folder.path().join(name), "a\rb\r").unwrap());
        let corpus = Corpus::open(&[folder.path().into()], Encoding::Utf8).unwrap();
        assert!(corpus.notes()[0].contains("no line feeds") && !corpus.has_crlf());
        assert!(text("a\r\nb").has_crlf());
    }

    proptest! {
        #[test]
        fn crlf_is_read_as_a_line_feed(lines in proptest::collection::vec("[ab\u{e9}\r]{0,5}(\r\n|\n|\r)", 1..30), at in 0usize..60) {
            let text = lines.concat();
            let corpus = Corpus::from_text("test", text.clone().into_bytes(), Encoding::Utf8Lf).unwrap();
            let expected = text.replace("\r\n", "\n");
            let symbols = |text: &str| text.chars().map(u32::from).collect::<Vec<_>>();
            prop_assert_eq!(corpus.chars(), symbols(&expected).len());
            let mut distinct = symbols(&expected);
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(corpus.symbols(), distinct);
            let mut cursor = corpus.cursor(at.min(corpus.chars()));
            let read: Vec<u32> = std::iter::from_fn(|| cursor.next(&corpus)).collect();
            prop_assert_eq!(read, symbols(&expected)[at.min(corpus.chars())..].to_vec());
            prop_assert_eq!(corpus.count_chars(text.as_bytes()) as usize, corpus.chars());
        }
    }

    #[test]
    fn rejects_utf_16_and_binary_data() {
        let utf16: Vec<u8> = "some text".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let open = |bytes: Vec<u8>, encoding| Corpus::from_text("test", bytes, encoding);
        assert!(matches!(open(utf16.clone(), Encoding::Utf8), Err(Error::Utf16 { .. })));
        assert!(matches!(open(vec![0; 9], Encoding::Utf8), Err(Error::NotText { .. })));
        let zeros_at_the_end = [vec![b'a'; 9000], vec![0; 9000]].concat();
        assert!(matches!(open(zeros_at_the_end, Encoding::Utf8), Err(Error::NotText { .. })));
        assert!(open(utf16, Encoding::Bytes).is_ok());
    }

    #[test]
    fn a_prefix_of_another_text_can_be_prepended() {
        let corpus = text("\u{fc}ber").with_prefix(&text("\u{e9}a\u{e9}b"), 3).unwrap();
        let mut cursor = corpus.cursor(0);
        let read: String = std::iter::from_fn(|| cursor.next(&corpus)).filter_map(char::from_u32).collect();
        assert_eq!((read.as_str(), corpus.chars()), ("\u{e9}a\u{e9}\u{fc}ber", 7));
        assert_eq!(corpus.identity(), text("\u{e9}a\u{e9}\u{fc}ber").identity());
    }

    #[test]
    fn detects_a_file_rewritten_with_the_same_length() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a.txt", "b.txt"].map(|name| folder.path().join(name));
        files.iter().for_each(|file| std::fs::write(file, "text").unwrap());
        let corpus = Corpus::open(&files, Encoding::Utf8).unwrap();
        corpus.check_unchanged().unwrap();
        std::fs::write(&files[1], "test").unwrap();
        assert!(matches!(corpus.check_unchanged(), Err(Error::Changed { .. })));
    }

    #[test]
    fn reads_raw_bytes() {
        let corpus = Corpus::from_text("test", vec![0u8, 255, 0xc3], Encoding::Bytes).unwrap();
        let mut cursor = corpus.cursor(1);
        assert_eq!([cursor.next(&corpus), cursor.next(&corpus), cursor.next(&corpus)], [Some(255), Some(0xc3), None]);
    }

    #[test]
    fn malformed_utf8_after_a_change_does_not_panic() {
        let mut corpus = text("abc\u{1f600}");
        for changed in [&[0xf0u8, 0x9f][..], &[0xff; 7], &[0x80], &[0xe2, 0x28, 0xa1]] {
            corpus.files[0] = CorpusFile::in_memory("test".as_ref(), changed.to_vec().into());
            let mut cursor = CorpusCursor { file: 0, byte: 0 };
            while cursor.next(&corpus).is_some() {}
        }
    }
}
