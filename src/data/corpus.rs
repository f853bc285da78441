//! Files one after another as one text, memory-mapped.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::Encoding;
use super::files;
use super::part::{Bytes, KEPT_OPEN, Part};
use super::scan::{self, Chunk, NotUtf8};
use super::utf8;
use crate::error::{Error, Result};

/// What a text is known by: a run resumes on the same text only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusIdentity {
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3 (128 bits) of all bytes.
    pub hash: u128,
}

/// A text: one or several files, or what is in memory. Nothing is copied.
#[derive(Debug)]
pub struct Corpus {
    name: PathBuf,
    parts: Vec<Part>,
    encoding: Encoding,
    pieces: Vec<Chunk>,
    chars: usize,
    symbols: Vec<u32>,
    identity: CorpusIdentity,
    notes: Vec<String>,
}

impl Corpus {
    /// Opens files and folders as one text.
    ///
    /// # Errors
    /// [`Error::Input`] where a file is missing or may not be read, [`Error::Corpus`] where there is no text or it is not UTF-8.
    pub fn open(paths: &[PathBuf], encoding: Encoding) -> Result<Self> {
        let mut notes = Vec::new();
        let files = files::list(paths, encoding, &mut notes)?;
        let keep = files.len() <= KEPT_OPEN;
        let parts = files.into_iter().map(|path| Part::open(&path, keep)).collect::<Result<Vec<_>>>()?;
        Self::from_parts(parts, encoding, notes)
    }

    /// A text in memory.
    ///
    /// # Errors
    /// [`Error::Corpus`] where there is no text or it is not UTF-8.
    pub fn from_text(name: &str, text: impl Into<Cow<'static, [u8]>>, encoding: Encoding) -> Result<Self> {
        let part = Part::new(name.as_ref(), Bytes::Memory(text.into()));
        Self::from_parts(vec![part], encoding, Vec::new())
    }

    /// The first `chars` characters of another text and then this one, whose name and notes it keeps, as one text.
    ///
    /// # Errors
    /// [`Error::Corpus`] where a file was changed meanwhile and is no longer UTF-8.
    pub fn with_prefix(self, other: &Corpus, chars: usize) -> Result<Self> {
        let end = other.cursor(chars);
        let mut parts = other.parts.clone();
        parts.truncate(end.part + 1);
        if let Some(last) = parts.get_mut(end.part) {
            last.len = end.byte;
        }
        parts.extend(self.parts);
        Ok(Corpus { name: self.name, notes: self.notes, ..Self::from_parts(parts, self.encoding, Vec::new())? })
    }

    fn from_parts(parts: Vec<Part>, encoding: Encoding, mut notes: Vec<String>) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::Usage("a corpus needs at least one file".into()));
        };
        let bytes: Vec<&[u8]> = parts.iter().map(Part::bytes).collect();
        let length: usize = bytes.iter().map(|part| part.len()).sum();
        if length == 0 {
            return Err(Error::corpus(&first.name, "the file is empty; give one with text in it"));
        }
        let (scanned, hash) = rayon::join(|| scan::scan(&bytes, encoding), || hash(&bytes));
        parts.iter().try_for_each(Part::check_not_truncated)?;
        let found =
            scanned.map_err(|NotUtf8 { part, byte }| Error::NotUtf8 { path: parts[part].name.clone(), byte })?;
        if encoding == Encoding::Utf8 {
            if bytes[0].starts_with("\u{feff}".as_bytes()) {
                notes.push("the text begins with a byte order mark (U+FEFF), which is kept as a character".into());
            }
            if found.symbols.contains(&u32::from('\r')) {
                notes.push("the text has carriage returns (as of CRLF line ends), which are kept as characters".into());
            }
        }
        let identity = CorpusIdentity { bytes: length as u64, hash };
        let scan::Scan { pieces, chars, symbols } = found;
        Ok(Corpus { name: parts[0].name.clone(), parts, encoding, pieces, chars, symbols, identity, notes })
    }

    /// Number of characters.
    pub fn chars(&self) -> usize {
        self.chars
    }

    /// The distinct code points (or bytes), sorted.
    pub fn symbols(&self) -> &[u32] {
        &self.symbols
    }

    /// What a character is.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Length and hash.
    pub fn identity(&self) -> &CorpusIdentity {
        &self.identity
    }

    /// Refuses a text of which something was gone when it was read, so that zeros were read in its place. To be asked after
    /// reading; asks the system once a file.
    ///
    /// # Errors
    /// [`Error::Changed`] naming the file.
    pub fn check_not_truncated(&self) -> Result<()> {
        self.check_range_not_truncated(0..self.parts.len())
    }

    /// As [`check_not_truncated`](Self::must_be_whole), of some of the files.
    pub(super) fn check_range_not_truncated(&self, files: Range<usize>) -> Result<()> {
        self.parts.iter().take(files.end).skip(files.start).try_for_each(Part::check_not_truncated)
    }

    /// Refuses a text that was cut short, has grown or was rewritten since it was opened; reads all of it. Returns the files that
    /// are no longer there, or are others: what they were is read on.
    ///
    /// # Errors
    /// [`Error::Changed`] naming the file; of several, where they are as long as they were, the first.
    pub fn check_unchanged(&self) -> Result<Vec<&Path>> {
        let mut elsewhere = Vec::new();
        for part in &self.parts {
            if !part.must_be_as_long()? {
                elsewhere.push(&*part.name);
            }
        }
        let bytes: Vec<&[u8]> = self.parts.iter().map(Part::bytes).collect();
        let same = hash(&bytes) == self.identity.hash;
        self.check_not_truncated()?;
        match self.parts.len() {
            _ if same => Ok(elsewhere),
            1 => Err(self.parts[0].changed("it was rewritten while it was in use")),
            n => Err(self.parts[0].changed(&format!("one of {n} files, of which this is the first, was rewritten"))),
        }
    }

    /// What a user should know about the text: one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The first file.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The lines, without the line feeds that end them. A file's end ends a line too.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let texts = self.parts.iter().map(Part::bytes);
        texts.flat_map(|text| text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n'))
    }

    /// The first `chars` characters as bytes, a piece a file.
    pub fn prefix(&self, chars: usize) -> impl Iterator<Item = (&Path, &[u8])> {
        let end = self.cursor(chars);
        let parts = self.parts.iter().enumerate().take(end.part + 1);
        parts.map(move |(i, part)| {
            let bytes = part.bytes();
            let len = if i < end.part { bytes.len() } else { bytes.len().min(end.byte) };
            (&*part.name, &bytes[..len])
        })
    }

    /// A cursor before character `index`.
    pub fn cursor(&self, index: usize) -> CorpusCursor {
        let after = self.pieces.partition_point(|piece| piece.chars_before <= index);
        let Some(piece) = after.checked_sub(1).map(|i| self.pieces[i]) else {
            return CorpusCursor { part: 0, byte: 0 };
        };
        let mut cursor = CorpusCursor { part: piece.part, byte: piece.byte };
        for _ in piece.chars_before..index {
            cursor.next(self);
        }
        cursor
    }
}

impl Corpus {
    /// The cursor before character `to`, found from one before character `at` where that is near.
    pub fn advance(&self, mut cursor: CorpusCursor, at: usize, to: usize) -> CorpusCursor {
        const NEAR: usize = 1 << 16;
        match to.checked_sub(at) {
            Some(0) => cursor,
            Some(distance) if distance < NEAR => {
                for _ in 0..distance {
                    cursor.next(self);
                }
                cursor
            }
            _ => self.cursor(to),
        }
    }
}

fn hash(parts: &[&[u8]]) -> u128 {
    let mut hasher = Xxh3::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.digest128()
}

/// A place in a corpus between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusCursor {
    part: usize,
    byte: usize,
}

impl CorpusCursor {
    /// The number of the file that it stands in.
    pub(super) fn file(&self) -> usize {
        self.part
    }

    /// The next character's code point (or byte); `None` at the end. What is no longer UTF-8, because the file was changed, gives
    /// values that no vocabulary has.
    #[inline]
    pub fn next(&mut self, corpus: &Corpus) -> Option<u32> {
        let mut bytes = corpus.parts.get(self.part)?.bytes();
        while self.byte >= bytes.len() {
            self.part += 1;
            self.byte = 0;
            bytes = corpus.parts.get(self.part)?.bytes();
        }
        if corpus.encoding == Encoding::Bytes {
            self.byte += 1;
            return Some(u32::from(bytes[self.byte - 1]));
        }
        let (symbol, next) = utf8::decode(bytes, self.byte)?;
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
        fn decodes_as_the_standard_library_from_anywhere(sample in "\\PC{1,200}", at in 0usize..200) {
            let corpus = text(&sample);
            let wanted: Vec<u32> = sample.chars().skip(at).map(u32::from).collect();
            let mut cursor = corpus.cursor(at);
            let got: Vec<u32> = std::iter::from_fn(|| cursor.next(&corpus)).collect();
            prop_assert_eq!(got, wanted);
        }
    }

    #[test]
    fn files_are_one_text_and_empty_ones_among_them_do_no_harm() {
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
        assert_eq!(read, "einszwei\u{fc}");
        assert_eq!(corpus.chars(), 9);
        assert!(corpus.notes()[0].contains("d.bin"), "{:?}", corpus.notes());
        let files = ["a.txt", "c.txt", "b.txt"].map(|name| folder.path().join(name));
        assert_eq!(Corpus::open(&files, Encoding::Utf8).unwrap().identity(), corpus.identity());
    }

    #[test]
    fn byte_order_mark_and_carriage_returns_are_kept_and_mentioned() {
        let corpus = text("\u{feff}a\r\nb");
        assert_eq!(corpus.chars(), 5);
        assert_eq!(corpus.notes().len(), 2);
    }

    #[test]
    fn the_beginning_of_another_text_can_come_first() {
        let corpus = text("\u{fc}ber").with_prefix(&text("\u{e9}a\u{e9}b"), 3).unwrap();
        let mut cursor = corpus.cursor(0);
        let read: String = std::iter::from_fn(|| cursor.next(&corpus)).filter_map(char::from_u32).collect();
        assert_eq!((read.as_str(), corpus.chars()), ("\u{e9}a\u{e9}\u{fc}ber", 7));
        assert_eq!(corpus.identity(), text("\u{e9}a\u{e9}\u{fc}ber").identity());
    }

    #[test]
    fn of_several_files_that_one_was_rewritten_is_said_of_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a.txt", "b.txt"].map(|name| folder.path().join(name));
        files.iter().for_each(|file| std::fs::write(file, "text").unwrap());
        let corpus = Corpus::open(&files, Encoding::Utf8).unwrap();
        assert_eq!(corpus.check_unchanged().unwrap().len(), 0);
        std::fs::write(&files[1], "test").unwrap();
        let message = corpus.check_unchanged().unwrap_err().to_string();
        assert!(message.ends_with("one of 2 files, of which this is the first, was rewritten"), "{message}");
    }

    #[test]
    fn bytes_are_bytes() {
        let corpus = Corpus::from_text("test", vec![0u8, 255, 0xc3], Encoding::Bytes).unwrap();
        let mut cursor = corpus.cursor(1);
        assert_eq!([cursor.next(&corpus), cursor.next(&corpus), cursor.next(&corpus)], [Some(255), Some(0xc3), None]);
    }

    #[test]
    fn a_text_that_changed_underneath_is_read_without_a_panic() {
        let mut corpus = text("abc\u{1f600}");
        for changed in [&[0xf0u8, 0x9f][..], &[0xff; 7], &[0x80], &[0xe2, 0x28, 0xa1]] {
            corpus.parts[0] = Part::new("test".as_ref(), Bytes::Memory(changed.to_vec().into()));
            let mut cursor = CorpusCursor { part: 0, byte: 0 };
            while cursor.next(&corpus).is_some() {}
        }
    }
}
