//! The frame of a checkpoint: named sections with lengths and checksums.
//!
//! ```text
//! "CHARLSTM"  version: u32  sections: u32
//! for each section:  name: [u8; 16], zero-padded  offset: u64  length: u64  checksum: u64
//! checksum of all of the above: u64
//! the sections, each padded with zeros to a multiple of 64 bytes
//! ```
//!
//! Numbers are little-endian. Checksums are XXH3 (64 bits); the checksum of a section covers its padding. Sections are contiguous
//! and extend to the end of the file. A file is untrusted: every length is checked against the length of the file before anything
//! is allocated.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::{Error, Result};

/// The first bytes of every checkpoint.
pub const MAGIC: &[u8; 8] = b"CHARLSTM";
/// The version of the frame.
pub const VERSION: u32 = 1;
/// The length of a section name in the header, in bytes.
pub(super) const NAME: usize = 16;
pub(super) const ENTRY: usize = NAME + 3 * 8;
/// Sections start at multiples of this.
pub(super) const ALIGN: usize = 64;
const MAX_SECTIONS: usize = 64;

/// A name and the bytes of a section. The bytes of large arenas are borrowed, so saving does not copy the model.
pub type Section<'a> = (&'static str, Cow<'a, [u8]>);

/// A value that is stored in bincode as a section, after the version of its layout.
pub trait SectionValue: Serialize + DeserializeOwned {
    /// The name of the section.
    const NAME: &'static str;
    /// The version of the layout; it increases with every change of the type. Other versions are rejected: optional data belongs in a
    /// separate section, whose presence a reader checks with [`Frame::has`](super::Frame::has).
    const VERSION: u32;

    /// Encodes the value as a section.
    fn to_section(&self) -> Result<Section<'static>> {
        Ok((Self::NAME, encode(&(Self::VERSION, self))?.into()))
    }
}

/// Encodes the header of a checkpoint with these sections.
pub fn encode_header(sections: &[Section<'_>]) -> Vec<u8> {
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

/// The parts of a checkpoint in the order in which they are written; `header` is [`encode_header`] of the same sections.
pub fn chunks<'a>(header: &'a [u8], sections: &'a [Section<'_>]) -> Vec<&'a [u8]> {
    let body = sections.iter().flat_map(|(_, bytes)| [&bytes[..], padding(bytes)]);
    std::iter::once(header).chain(body).collect()
}

/// Encodes a whole checkpoint.
pub fn encode_checkpoint(sections: &[Section<'_>]) -> Vec<u8> {
    chunks(&encode_header(sections), sections).concat()
}

fn padding(bytes: &[u8]) -> &'static [u8] {
    &[0; ALIGN][..bytes.len().next_multiple_of(ALIGN) - bytes.len()]
}

fn header_len(sections: usize) -> usize {
    (MAGIC.len() + 8 + sections * ENTRY + 8).next_multiple_of(ALIGN)
}

/// Encodes a value as bincode.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|e| Error::Internal(format!("a checkpoint section cannot be encoded: {e}")))
}

/// Encodes `f32`s as little-endian bytes.
pub fn encode_floats(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SectionEntry {
    pub name: String,
    /// The position of its bytes in the file, excluding padding.
    pub range: Range<u64>,
    /// The number of zero bytes that follow it.
    pub padding: usize,
    /// XXH3 of its bytes and its padding.
    pub checksum: u64,
}

pub(super) fn max_header_len() -> usize {
    header_len(MAX_SECTIONS)
}

/// Parses and checks the header of a file of `len` bytes; `bytes` are its first [`max_header_len`] bytes, or all of a shorter file.
pub(super) fn parse_header(bytes: &[u8], len: u64) -> Result<(u32, Vec<SectionEntry>), String> {
    let number = |at: usize| -> Option<u64> { Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?)) };
    let truncated = |needed: usize| format!("truncated at {len} of at least {needed} bytes, within the header");
    if !bytes.starts_with(MAGIC) {
        return Err(if bytes.is_empty() || !MAGIC.starts_with(bytes) {
            not_a_checkpoint(bytes)
        } else {
            truncated(header_len(0))
        });
    }
    let Some(counts) = number(8) else { return Err(truncated(header_len(0))) };
    let (version, count) = (counts as u32, (counts >> 32) as usize);
    if version > VERSION {
        return Err(format!(
            "format version {version} is newer than this program supports ({VERSION}); update charlstm"
        ));
    }
    if version == 0 || count > MAX_SECTIONS {
        return Err("the header is damaged".into());
    }
    let header = header_len(count);
    if bytes.len() < header {
        return Err(truncated(header));
    }
    let end = 16 + count * ENTRY;
    if number(end) != Some(xxh3_64(&bytes[..end])) || bytes[end + 8..header].iter().any(|b| *b != 0) {
        return Err("the header is damaged".into());
    }
    let mut sections = Vec::with_capacity(count);
    let mut next = header as u64;
    let mut truncated_section = None;
    for entry in bytes[16..end].chunks_exact(ENTRY) {
        let Some(name) =
            name(&entry[..NAME]).filter(|name| sections.iter().all(|other: &SectionEntry| other.name != *name))
        else {
            return Err("the header is damaged".into());
        };
        let name = name.to_owned();
        let field = |i: usize| u64::from_le_bytes(*entry[NAME + i * 8..].first_chunk().unwrap_or(&[0; 8]));
        let (offset, length, checksum) = (field(0), field(1), field(2));
        let padded = length.checked_next_multiple_of(ALIGN as u64);
        let stop = padded.and_then(|padded| next.checked_add(padded));
        let Some(stop) = stop.filter(|_| offset == next) else {
            return Err(format!("section \"{name}\" is misplaced"));
        };
        if stop > len {
            truncated_section.get_or_insert_with(|| name.clone());
        }
        let range = next..next + length;
        sections.push(SectionEntry { name, padding: (stop - range.end) as usize, range, checksum });
        next = stop;
    }
    if let Some(name) = truncated_section {
        return Err(format!("truncated at {len} of {next} bytes, within section \"{name}\""));
    }
    if next != len {
        return Err(format!("{} bytes follow the last section", len - next));
    }
    Ok((version, sections))
}

/// A section's name: graphic ASCII characters, then zeros.
fn name(padded: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(padded).ok()?.trim_end_matches('\0');
    name.bytes().all(|byte| byte.is_ascii_graphic()).then_some(name)
}

/// Whether the first entry of a zip archive is the pickle of a PyTorch file. The name follows an entry header of 30 bytes.
fn has_pickle(archive: &[u8]) -> bool {
    archive.get(30..).unwrap_or_default().windows(9).take(256).any(|part| part == b"/data.pkl")
}

fn not_a_checkpoint(bytes: &[u8]) -> String {
    let looks = match bytes {
        [] => "it is empty",
        [b'P', b'K', 3, 4, ..] if has_pickle(bytes) => "it looks like a PyTorch file",
        [b'P', b'K', 3, 4, ..] => "it looks like a zip archive",
        [0x80, 2..=5, 0x8a, 10, b'l', 0xfc, ..] => "it looks like a legacy PyTorch file",
        [0x80, 2..=5, ..] => "it looks like a Python pickle",
        [1..=8, 0, 0, 0, 1, 0, 0, 0, ..] | [b'1'..=b'8', b'\n', b'1', b'\n', ..] => "it looks like a Torch7 file",
        [_, _, _, _, _, _, _, 0, b'{', ..] => "it looks like a safetensors file",
        _ => "unknown format",
    };
    format!("not a charlstm checkpoint ({looks})")
}
