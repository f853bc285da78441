//! Untrusted checkpoints: unmodified, and with corrected checksums, since an attacker can compute them.

use std::borrow::Cow;
use std::path::Path;

use charlstm::checkpoint::{Frame, format};
use xxhash_rust::xxh3::xxh3_64;

use super::{ok, sections};

/// The lengths in bytes of a section name and of a table entry (name, offset, length, checksum).
const NAME: usize = 16;
const ENTRY: usize = NAME + 3 * 8;
/// Sections are padded to a multiple of this.
const ALIGN: usize = 64;

pub fn check(bytes: &[u8]) {
    read(bytes);
    read(&with_checksums(bytes).unwrap_or_default());
}

/// Checks that re-encoding a valid checkpoint yields the same bytes.
fn read(bytes: &[u8]) {
    let Some(frame) = ok(Frame::parse(Path::new("x.ckpt"), bytes.to_vec())) else { return };
    sections::read_everything(&frame);
    if ok(frame.verify()).is_none() {
        return;
    }
    let known = |name: &str| sections::NAMES.into_iter().find(|known| *known == name);
    let again = |name: &str| Some((known(name)?, Cow::Owned(ok(frame.section(name))?)));
    if let Some(again) = frame.names().map(again).collect::<Option<Vec<_>>>() {
        assert!(format::encode_checkpoint(&again) == bytes, "re-encoding the checkpoint changed its bytes");
    }
}

/// The bytes with corrected checksums of the sections and the header; `None` if there is no section table.
fn with_checksums(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let mut corrected = bytes.to_vec();
    let end = 16 + (number(8)? >> 32) as usize * ENTRY;
    for entry in (16..end).step_by(ENTRY) {
        let (start, len) = (number(entry + NAME)? as usize, number(entry + NAME + 8)? as usize);
        let section = bytes.get(start..start.checked_add(len.checked_next_multiple_of(ALIGN)?)?)?;
        corrected
            .get_mut(entry + NAME + 16..)?
            .first_chunk_mut::<8>()?
            .copy_from_slice(&xxh3_64(section).to_le_bytes());
    }
    let header = xxh3_64(corrected.get(..end)?);
    corrected.get_mut(end..)?.first_chunk_mut::<8>()?.copy_from_slice(&header.to_le_bytes());
    Some(corrected)
}
