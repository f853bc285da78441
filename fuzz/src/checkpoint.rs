//! A checkpoint from a stranger: as it is, and with every checksum made right, which a stranger can who knows the format.

use std::borrow::Cow;
use std::path::Path;

use charlstm::checkpoint::{Frame, format};
use xxhash_rust::xxh3::xxh3_64;

use super::{sections, told};

/// A section's name, and its entry in the table: name, offset, length, checksum.
const NAME: usize = 16;
const ENTRY: usize = NAME + 3 * 8;
/// A section is padded to a multiple of this.
const ALIGN: usize = 64;

pub fn check(bytes: &[u8]) {
    read(bytes);
    read(&sealed(bytes).unwrap_or_default());
}

/// A checkpoint that is whole is one that we would write: to the same bytes.
fn read(bytes: &[u8]) {
    let Some(frame) = told(Frame::parse(Path::new("x.ckpt"), bytes.to_vec())) else { return };
    sections::read_everything(&frame);
    if told(frame.verify()).is_none() {
        return;
    }
    let known = |name: &str| sections::NAMES.into_iter().find(|known| *known == name);
    let again = |name: &str| Some((known(name)?, Cow::Owned(told(frame.section(name))?)));
    if let Some(again) = frame.names().map(again).collect::<Option<Vec<_>>>() {
        assert!(format::encode_checkpoint(&again) == bytes, "it would be written otherwise");
    }
}

/// The same bytes with the checksums that the sections and the header have; `None` where there is no such table.
fn sealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let mut sealed = bytes.to_vec();
    let end = 16 + (number(8)? >> 32) as usize * ENTRY;
    for entry in (16..end).step_by(ENTRY) {
        let (start, len) = (number(entry + NAME)? as usize, number(entry + NAME + 8)? as usize);
        let section = bytes.get(start..start.checked_add(len.checked_next_multiple_of(ALIGN)?)?)?;
        sealed.get_mut(entry + NAME + 16..)?.first_chunk_mut::<8>()?.copy_from_slice(&xxh3_64(section).to_le_bytes());
    }
    let header = xxh3_64(sealed.get(..end)?);
    sealed.get_mut(end..)?.first_chunk_mut::<8>()?.copy_from_slice(&header.to_le_bytes());
    Some(sealed)
}
