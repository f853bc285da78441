//! Reads a checkpoint. The header is checked when the file is opened, a section when it is read. Sampling from `latest.ckpt`
//! therefore reads only the model.

use std::cell::RefCell;
use std::fmt::Debug;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::disk;
use super::format::{self, ALIGN, SectionEntry, SectionValue};
use crate::error::{Error, Result};

const MAX_VALUE_LEN: usize = 1 << 26;
/// Size of the read buffer; small enough that a chunk is hashed while it is in the cache.
const CHUNK_LEN: u64 = 1 << 18;

trait Source: Read + Seek + Debug {}
impl<T: Read + Seek + Debug> Source for T {}

/// A checkpoint with a valid header, whose sections can be read.
#[derive(Debug)]
pub struct Frame {
    path: PathBuf,
    source: RefCell<Box<dyn Source>>,
    version: u32,
    sections: Vec<SectionEntry>,
}

impl Frame {
    /// Opens a checkpoint.
    ///
    /// # Errors
    /// [`Error::Input`] if the file cannot be read, [`Error::Checkpoint`] if it is not a checkpoint or its header is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        Self::open(path, Box::new(disk::open(path).map_err(|e| Error::input(path, e))?))
    }

    /// Opens a checkpoint in memory; `path` is used in error messages.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the header is damaged or the bytes are not a checkpoint.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        Self::open(path, Box::new(Cursor::new(bytes)))
    }

    fn open(path: &Path, mut source: Box<dyn Source>) -> Result<Self> {
        let mut head = Vec::new();
        let mut read = || {
            source.by_ref().take(format::max_header_len() as u64).read_to_end(&mut head)?;
            source.seek(SeekFrom::End(0))
        };
        let len = read().map_err(|e| Error::input(path, e))?;
        let (version, sections) =
            format::parse_header(&head, len).map_err(|problem| Error::checkpoint(path, problem))?;
        Ok(Frame { path: path.into(), source: RefCell::new(source), version, sections })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The names of the sections, in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| &*section.name)
    }

    /// Whether a section exists.
    pub fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.name == name)
    }

    /// The length of a section in bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if there is no such section.
    pub fn len(&self, name: &str) -> Result<u64> {
        self.find(name).map(|section| section.range.end - section.range.start)
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the section is missing or damaged, [`Error::Input`] if it cannot be read.
    pub fn section(&self, name: &str) -> Result<Vec<u8>> {
        let len = self.len(name)?;
        let mut bytes = Vec::new();
        // The length was checked against the file, but a sparse file can be larger than memory.
        let room = usize::try_from(len).ok().filter(|len| bytes.try_reserve_exact(*len).is_ok());
        bytes.resize(room.ok_or_else(|| self.error(format!("section \"{name}\" does not fit into memory")))?, 0);
        self.read_into(name, &mut bytes)?;
        Ok(bytes)
    }

    /// Decodes a section.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the section is missing or damaged, or its version is not supported.
    pub fn value<T: SectionValue>(&self) -> Result<T> {
        let name = T::NAME;
        if self.len(name)? > MAX_VALUE_LEN as u64 {
            return Err(self.error(format!("section \"{name}\" is too long")));
        }
        let bytes = self.section(name)?;
        let config = bincode::config::standard().with_limit::<MAX_VALUE_LEN>();
        let undecodable = |e| self.error(format!("section \"{name}\" cannot be decoded: {e}"));
        let (version, read): (u32, _) = bincode::serde::decode_from_slice(&bytes, config).map_err(undecodable)?;
        if version != T::VERSION {
            let supported = T::VERSION;
            return Err(self.error(format!("section \"{name}\" has version {version}; this program reads {supported}")));
        }
        let rest = &bytes[read..];
        match bincode::serde::decode_from_slice(rest, config).map_err(undecodable)? {
            (value, read) if read == rest.len() => Ok(value),
            _ => Err(self.error(format!("section \"{name}\" has trailing bytes"))),
        }
    }

    /// Reads a section of `f32`s into `to`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the section is missing or damaged, or does not have the length of `to`.
    pub fn read_floats(&self, name: &str, to: &mut [f32]) -> Result<()> {
        let len = self.len(name)?;
        if Some(len) != (to.len() as u64).checked_mul(4) {
            return Err(self.error(format!("section \"{name}\" has {len} bytes, not 4 x {}", to.len())));
        }
        self.read_into(name, bytemuck::cast_slice_mut(to))?;
        to.iter_mut().for_each(|x| *x = f32::from_bits(u32::from_le(x.to_bits())));
        Ok(())
    }

    /// Checks the checksum of every section; memory use does not depend on their size.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if a section is damaged, [`Error::Input`] if it cannot be read.
    pub fn verify(&self) -> Result<()> {
        self.sections.iter().try_for_each(|section| self.for_each_chunk(section, |_| ()))
    }

    /// Adds a section to `hasher`; memory use does not depend on its size.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the section is missing or damaged, [`Error::Input`] if it cannot be read.
    pub fn hash_section(&self, name: &str, hasher: &mut Xxh3) -> Result<()> {
        self.for_each_chunk(self.find(name)?, |chunk| hasher.update(chunk))
    }

    /// An error about this checkpoint.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::checkpoint(&self.path, problem)
    }

    fn find(&self, name: &str) -> Result<&SectionEntry> {
        let found = self.sections.iter().find(|section| section.name == name);
        found.ok_or_else(|| self.error(format!("it has no section \"{name}\"")))
    }

    /// Reads a section into `to`, which must have its length, and checks its checksum.
    fn read_into(&self, name: &str, mut to: &mut [u8]) -> Result<()> {
        self.for_each_chunk(self.find(name)?, |chunk| {
            let (start, rest) = std::mem::take(&mut to).split_at_mut(chunk.len());
            start.copy_from_slice(chunk);
            to = rest;
        })
    }

    /// Reads a section chunk by chunk through a buffer of fixed size, then checks its checksum.
    fn for_each_chunk(&self, section: &SectionEntry, mut visit: impl FnMut(&[u8])) -> Result<()> {
        let name = &section.name;
        let mut checksum = Xxh3::new();
        let mut source = self.source.borrow_mut();
        let mut read = || {
            let mut left = section.range.end - section.range.start;
            let mut buffer = vec![0; left.min(CHUNK_LEN) as usize];
            source.seek(SeekFrom::Start(section.range.start))?;
            while left > 0 {
                let chunk = &mut buffer[..left.min(CHUNK_LEN) as usize];
                source.read_exact(chunk)?;
                checksum.update(chunk);
                visit(chunk);
                left -= chunk.len() as u64;
            }
            let padding = &mut [0; ALIGN][..section.padding];
            source.read_exact(padding)?;
            checksum.update(padding);
            Ok(padding.iter().all(|byte| *byte == 0))
        };
        let is_padded = read().map_err(|e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.error(format!("truncated within section \"{name}\"")),
            _ => Error::input(&self.path, e),
        })?;
        if is_padded && checksum.digest() == section.checksum {
            Ok(())
        } else {
            Err(self.error(format!("section \"{name}\" is damaged (wrong checksum)")))
        }
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::super::format::{ENTRY, NAME, encode_checkpoint, encode_floats};
    use super::*;

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Words(Vec<u64>);

    impl SectionValue for Words {
        const NAME: &'static str = "words";
        const VERSION: u32 = 3;
    }

    #[test]
    fn reads_a_value_back_unless_it_has_another_version() {
        let (name, bytes) = Words(vec![7, 8]).to_section().unwrap();
        let read = |bytes: Vec<u8>| {
            let frame = Frame::parse(Path::new("x.ckpt"), encode_checkpoint(&[(name, bytes.into())])).unwrap();
            frame.value::<Words>()
        };
        assert_eq!(read(bytes.to_vec()).unwrap().0, [7, 8]);
        let mut newer = bytes.to_vec();
        newer[0] += 1;
        assert!(read(newer).unwrap_err().to_string().contains("version 4"));
        assert!(read([&bytes[..], &[0]].concat()).unwrap_err().to_string().contains("trailing"));
    }

    fn sample() -> Vec<u8> {
        encode_checkpoint(&[
            ("one", vec![1; 100].into()),
            ("empty", vec![].into()),
            ("numbers", encode_floats(&[1.5, -2.0, 0.25])),
        ])
    }

    fn number(bytes: &[u8], at: usize) -> usize {
        u64::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize
    }

    /// The error from reading every section of a checkpoint.
    fn problem(bytes: Vec<u8>) -> String {
        let all = Frame::parse(Path::new("x.ckpt"), bytes)
            .and_then(|frame| ["one", "empty", "numbers"].iter().try_for_each(|name| frame.section(name).map(drop)));
        all.unwrap_err().to_string()
    }

    #[test]
    fn sections_round_trip() {
        let frame = Frame::parse(Path::new("x.ckpt"), sample()).unwrap();
        assert_eq!(frame.section("one").unwrap(), [1; 100]);
        assert_eq!(frame.section("empty").unwrap(), [0; 0]);
        assert_eq!(frame.version(), format::VERSION);
        let mut numbers = [0.0; 3];
        frame.read_floats("numbers", &mut numbers).unwrap();
        assert_eq!(numbers, [1.5, -2.0, 0.25]);
        assert!(frame.read_floats("numbers", &mut [0.0; 2]).is_err());
        assert!(frame.section("two").is_err());
    }

    #[test]
    fn detects_truncation_and_corruption_at_any_byte() {
        let whole = sample();
        for n in 0..whole.len() {
            let message = problem(whole[..n].to_vec());
            assert!(n == 0 || message.contains(&format!("truncated at {n} of ")), "{n}: {message}");
            let mut flipped = whole.clone();
            flipped[n] ^= 0x10;
            problem(flipped);
        }
        problem([&whole[..], &[0; 64]].concat());
    }

    #[test]
    fn rejects_hostile_lengths_before_allocating() {
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
    fn rejects_files_that_the_encoder_would_not_produce() {
        let sealed = |change: fn(&mut [u8])| {
            let mut bytes = sample();
            change(&mut bytes);
            let end = 16 + 3 * ENTRY;
            for section in 0..3 {
                let entry = 16 + section * ENTRY + NAME;
                let (start, len) = (number(&bytes, entry), number(&bytes, entry + 8));
                let checksum = xxh3_64(&bytes[start..start + len.next_multiple_of(ALIGN)]);
                bytes[entry + 16..entry + 24].copy_from_slice(&checksum.to_le_bytes());
            }
            let checksum = xxh3_64(&bytes[..end]);
            bytes[end..end + 8].copy_from_slice(&checksum.to_le_bytes());
            bytes
        };
        Frame::parse(Path::new("x.ckpt"), sealed(|_| ())).unwrap().verify().unwrap();
        let header = [
            // A duplicate name, a name with a character after a zero byte, a name with a newline.
            (|bytes| bytes.copy_within(16..16 + NAME, 16 + ENTRY)) as fn(&mut [u8]),
            |bytes| bytes[16 + 9] = b'x',
            |bytes| bytes[16 + 1] = b'\n',
        ];
        for change in header {
            assert!(problem(sealed(change)).contains("the header is damaged"));
        }
        let padding = sealed(|bytes| *bytes.last_mut().unwrap() = 1);
        assert!(problem(padding).contains("section \"numbers\" is damaged"));
    }

    #[test]
    fn a_value_cannot_claim_more_than_the_limit() {
        let mut claim = vec![Words::VERSION as u8, 253];
        claim.extend_from_slice(&(1u64 << 60).to_le_bytes());
        let frame = Frame::parse(Path::new("x.ckpt"), encode_checkpoint(&[("words", claim.into())])).unwrap();
        assert!(frame.value::<Words>().is_err());
    }

    #[test]
    fn rejects_an_oversized_value_before_reading_it() {
        let bytes = encode_checkpoint(&[("words", vec![0; MAX_VALUE_LEN + 1].into())]);
        let error = Frame::parse(Path::new("x.ckpt"), bytes).unwrap().value::<Words>().unwrap_err().to_string();
        assert!(error.contains("too long"), "{error}");
    }

    #[test]
    fn reports_truncation_while_reading() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = encode_checkpoint(&[("long", vec![7; 3 * CHUNK_LEN as usize + 5].into())]);
        std::fs::write(file.path(), &bytes).unwrap();
        let frame = Frame::read(file.path()).unwrap();
        assert!(frame.section("long").unwrap() == vec![7; 3 * CHUNK_LEN as usize + 5]);
        file.as_file().set_len(2 * CHUNK_LEN).unwrap();
        assert!(frame.section("long").unwrap_err().to_string().contains("truncated within section \"long\""));
    }

    #[test]
    fn hashes_a_section_piece_by_piece() {
        let bytes = vec![7; 3 * CHUNK_LEN as usize + 5];
        let frame = Frame::parse(Path::new("x.ckpt"), encode_checkpoint(&[("long", (&bytes[..]).into())])).unwrap();
        let mut hasher = Xxh3::new();
        frame.hash_section("long", &mut hasher).unwrap();
        assert_eq!(hasher.digest128(), xxhash_rust::xxh3::xxh3_128(&bytes));
        assert!(frame.hash_section("missing", &mut hasher).is_err());
    }

    #[test]
    fn errors_name_other_file_formats() {
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04....", "zip"),
            (b"PK\x03\x04..........................net/data.pkl", "PyTorch"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF", "legacy PyTorch"),
            (b"\x80\x02}q", "pickle"),
            (b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1", "Torch7"),
            (b"4\n1\n3\nV 1\n", "Torch7"),
            (b"\x40\0\0\0\0\0\0\0{\"a\"", "safetensors"),
            (b"CHAR", "truncated at 4 of at least 64 bytes"),
            (b"hello world", "unknown format"),
        ] {
            assert!(problem(bytes.to_vec()).contains(expected));
        }
        let mut newer = sample();
        newer[8] = 2;
        assert!(problem(newer).contains("newer"));
    }

    #[test]
    fn damage_is_detected_when_the_section_is_read() {
        let mut bytes = sample();
        let len = bytes.len();
        bytes[len - 60] ^= 1;
        let frame = Frame::parse(Path::new("x.ckpt"), bytes).unwrap();
        assert_eq!(frame.section("one").unwrap(), [1; 100]);
        let error = frame.read_floats("numbers", &mut [0.0; 3]).unwrap_err().to_string();
        assert!(error.contains("section \"numbers\" is damaged"), "{error}");
    }
}
