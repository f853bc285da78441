//! The frame of a checkpoint: named sections of bytes, each with its length and checksum.
//!
//! ```text
//! "CHARLSTM"  version: u32  sections: u32
//! for each section:  name: [u8; 16], zero-padded  offset: u64  length: u64  checksum: u64
//! checksum of all of the above: u64
//! the sections, each padded with zeros to a multiple of 64 bytes
//! ```
//!
//! Numbers are little-endian. Checksums are XXH3 (64 bits); a section's covers its padding. Sections follow one another without
//! a gap and cover the file. A file is data from a stranger: every length is checked against the file before it is used, nothing
//! is allocated by a number that was read, nothing is executed.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"CHARLSTM";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;
const NAME: usize = 16;
const ENTRY: usize = NAME + 3 * 8;
const ALIGN: usize = 64;
/// More sections than any version has.
const MOST_SECTIONS: usize = 64;
/// A bincode section may claim at most this many bytes.
const LIMIT: usize = 1 << 26;

/// A named section. Its bytes are borrowed where they can be: saving takes no memory that grows with the model.
pub type Section<'a> = (&'static str, Cow<'a, [u8]>);

/// What stands before the sections.
pub fn header(sections: &[Section<'_>]) -> Vec<u8> {
    let mut header = Vec::with_capacity(header_len(sections.len()));
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    let mut offset = header_len(sections.len());
    for (name, bytes) in sections {
        let mut checksum = Xxh3::new();
        checksum.update(bytes);
        checksum.update(padding(bytes));
        let mut padded = [0; NAME];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        header.extend_from_slice(&padded);
        for number in [offset as u64, bytes.len() as u64, checksum.digest()] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        offset += bytes.len() + padding(bytes).len();
    }
    let checksum = xxh3_64(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    header.resize(header_len(sections.len()), 0);
    header
}

/// A whole checkpoint in pieces, to be written one after another; `header` is that of the same sections.
pub fn pieces<'a>(header: &'a [u8], sections: &'a [Section<'_>]) -> Vec<&'a [u8]> {
    let body = sections.iter().flat_map(|(_, bytes)| [&bytes[..], padding(bytes)]);
    std::iter::once(header).chain(body).collect()
}

/// A whole checkpoint in one piece.
pub fn frame(sections: &[Section<'_>]) -> Vec<u8> {
    pieces(&header(sections), sections).concat()
}

/// The zeros behind a section.
fn padding(bytes: &[u8]) -> &'static [u8] {
    &[0; ALIGN][..bytes.len().next_multiple_of(ALIGN) - bytes.len()]
}

/// The header, padded.
fn header_len(sections: usize) -> usize {
    (MAGIC.len() + 8 + sections * ENTRY + 8).next_multiple_of(ALIGN)
}

/// A checkpoint that was read: checked through and through, its sections at hand.
#[derive(Debug)]
pub struct Frame {
    path: std::path::PathBuf,
    bytes: Vec<u8>,
    sections: Vec<(String, std::ops::Range<usize>)>,
}

impl Frame {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Input`] where it cannot be read, [`Error::Checkpoint`] where it is damaged or something else.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::input(path, e))?;
        Self::parse(path, bytes)
    }

    /// Takes in the bytes of a checkpoint; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where they are damaged or something else.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let sections = table(&bytes).map_err(|problem| Error::checkpoint(path, problem))?;
        Ok(Frame { path: path.into(), bytes, sections })
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a section of that name.
    pub fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|(known, _)| known == name)
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there is none of that name.
    pub fn section(&self, name: &str) -> Result<&[u8]> {
        let found = self.sections.iter().find(|(known, _)| known == name);
        let (_, range) = found.ok_or_else(|| self.error(format!("it has no section \"{name}\"")))?;
        Ok(&self.bytes[range.clone()])
    }

    /// A section that holds one value in bincode.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there is none, or it holds something else.
    pub fn value<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = self.section(name)?;
        let config = bincode::config::standard().with_limit::<LIMIT>();
        match bincode::serde::decode_from_slice(bytes, config) {
            Ok((value, read)) if read == bytes.len() => Ok(value),
            Ok(_) => Err(self.error(format!("section \"{name}\" is longer than what it holds"))),
            Err(e) => Err(self.error(format!("section \"{name}\" cannot be read: {e}"))),
        }
    }

    /// A section of `f32`s, copied into `to`, whose length it must have.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there is none, or its length is another.
    pub fn floats(&self, name: &str, to: &mut [f32]) -> Result<()> {
        let bytes = self.section(name)?;
        if Some(bytes.len()) != to.len().checked_mul(4) {
            return Err(self.error(format!("section \"{name}\" has {} bytes, not 4 x {}", bytes.len(), to.len())));
        }
        for (x, four) in to.iter_mut().zip(bytes.as_chunks().0) {
            *x = f32::from_le_bytes(*four);
        }
        Ok(())
    }

    /// An error about this checkpoint.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::checkpoint(&self.path, problem)
    }
}

/// One value in bincode.
///
/// # Errors
/// [`Error::Internal`], which would be a defect.
pub fn value<T: Serialize>(value: &T) -> Result<Cow<'static, [u8]>> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map(Cow::Owned)
        .map_err(|e| Error::Internal(format!("a checkpoint section cannot be written: {e}")))
}

/// `f32`s as little-endian bytes.
pub fn floats(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
}

/// The sections of a checkpoint, after every check of the frame.
fn table(bytes: &[u8]) -> Result<Vec<(String, std::ops::Range<usize>)>, String> {
    let number = |at: usize| -> Option<u64> { Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?)) };
    let short = |needed: usize| format!("truncated at {} of {needed} bytes", bytes.len());
    if bytes.len() < MAGIC.len() || !bytes.starts_with(MAGIC) {
        return Err(not_ours(bytes));
    }
    let Some(counts) = number(8) else { return Err(short(16)) };
    let (version, count) = (counts as u32, (counts >> 32) as usize);
    if version > VERSION {
        return Err(format!("format version {version} is newer than this program ({VERSION}); update charlstm"));
    }
    if version == 0 || count > MOST_SECTIONS {
        return Err("the header is damaged".into());
    }
    let header = header_len(count);
    if bytes.len() < header {
        return Err(short(header));
    }
    let end = 16 + count * ENTRY;
    if number(end) != Some(xxh3_64(&bytes[..end])) || bytes[end + 8..header].iter().any(|b| *b != 0) {
        return Err("the header is damaged".into());
    }
    let mut sections = Vec::with_capacity(count);
    let mut next = header;
    for entry in bytes[16..end].chunks_exact(ENTRY) {
        let name = entry[..NAME].split(|b| *b == 0).next().unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|_| "the header is damaged")?.to_owned();
        let field = |i: usize| u64::from_le_bytes(*entry[NAME + i * 8..].first_chunk().unwrap_or(&[0; 8]));
        let (offset, len, checksum) = (field(0), field(1), field(2));
        let padded = usize::try_from(len).ok().and_then(|len| len.checked_next_multiple_of(ALIGN));
        let stop = padded.and_then(|padded| next.checked_add(padded));
        let Some(stop) = stop.filter(|_| offset == next as u64) else {
            return Err(format!("section \"{name}\" is misplaced"));
        };
        if stop > bytes.len() {
            return Err(format!("truncated at {} of at least {stop} bytes, within section \"{name}\"", bytes.len()));
        }
        if xxh3_64(&bytes[next..stop]) != checksum {
            return Err(format!("section \"{name}\" is damaged (checksum)"));
        }
        sections.push((name, next..next + len as usize));
        next = stop;
    }
    if next != bytes.len() {
        return Err(format!("{} bytes follow the last section", bytes.len() - next));
    }
    Ok(sections)
}

/// What a file that is no checkpoint looks like.
fn not_ours(bytes: &[u8]) -> String {
    let looks = match bytes {
        [] => "it is empty",
        [b'P', b'K', 3, 4, ..] => "it looks like a zip archive or a PyTorch file",
        [0x80, 2..=5, ..] => "it looks like a Python pickle",
        [_, _, _, _, _, _, _, 0, b'{', ..] => "it looks like a safetensors file",
        _ if MAGIC.starts_with(bytes) => "it is cut off at the very beginning",
        _ => "it begins with something else",
    };
    format!("not a charlstm checkpoint: {looks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        frame(&[("one", vec![1; 100].into()), ("empty", vec![].into()), ("numbers", floats(&[1.5, -2.0, 0.25]))])
    }

    fn problem(bytes: Vec<u8>) -> String {
        Frame::parse(Path::new("x.ckpt"), bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn sections_come_back() {
        let frame = Frame::parse(Path::new("x.ckpt"), sample()).unwrap();
        assert_eq!(frame.section("one").unwrap(), [1; 100]);
        assert_eq!(frame.section("empty").unwrap(), [0; 0]);
        let mut numbers = [0.0; 3];
        frame.floats("numbers", &mut numbers).unwrap();
        assert_eq!(numbers, [1.5, -2.0, 0.25]);
        assert!(frame.floats("numbers", &mut [0.0; 2]).is_err());
        assert!(frame.section("two").is_err());
    }

    #[test]
    fn a_cut_at_any_byte_and_a_flip_of_any_byte_are_noticed() {
        let whole = sample();
        for n in 0..whole.len() {
            let message = problem(whole[..n].to_vec());
            assert!(n < 8 || message.contains("truncated"), "{n}: {message}");
            let mut flipped = whole.clone();
            flipped[n] ^= 0x10;
            problem(flipped);
        }
        problem([&whole[..], &[0; 64]].concat());
    }

    #[test]
    fn hostile_lengths_are_refused_before_anything_is_allocated() {
        for (field, value) in [(1, u64::MAX), (1, u64::MAX - 70), (0, 0), (0, u64::MAX), (1, 1 << 60)] {
            let mut bytes = sample();
            bytes[16 + NAME + field * 8..][..8].copy_from_slice(&value.to_le_bytes());
            let end = 16 + 3 * ENTRY;
            let checksum = xxh3_64(&bytes[..end]);
            bytes[end..end + 8].copy_from_slice(&checksum.to_le_bytes());
            let message = problem(bytes);
            assert!(message.contains("misplaced") || message.contains("truncated"), "{message}");
        }
        let mut many = sample();
        many[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(problem(many).contains("header"));
    }

    #[test]
    fn a_value_cannot_claim_more_than_the_limit() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Words(Vec<u64>);
        let mut claim = vec![253];
        claim.extend_from_slice(&(1u64 << 60).to_le_bytes());
        let frame = Frame::parse(Path::new("x.ckpt"), frame(&[("words", claim.into())])).unwrap();
        assert!(frame.value::<Words>("words").is_err());
    }

    #[test]
    fn other_files_are_named() {
        for (bytes, wanted) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04....", "zip"),
            (b"\x80\x02}q", "pickle"),
            (b"\x40\0\0\0\0\0\0\0{\"a\"", "safetensors"),
            (b"CHAR", "cut off"),
            (b"hello world", "something else"),
        ] {
            assert!(problem(bytes.to_vec()).contains(wanted));
        }
        let mut newer = sample();
        newer[8] = 2;
        assert!(problem(newer).contains("newer"));
    }
}
