//! One parallel pass over a corpus that validates it, counts its characters and collects its symbols.

use rayon::prelude::*;

use super::encoding::{Encoding, count_crlf, count_utf8, decode_utf8, is_continuation_byte};

/// A part of one file that starts and ends between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub file: usize,
    pub offset: usize,
    pub len: usize,
    pub chars_before: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8 {
    pub file: usize,
    pub offset: usize,
}

#[derive(Debug)]
pub(super) struct Scan {
    pub chunks: Vec<Chunk>,
    pub chars: usize,
    pub symbols: Vec<u32>,
}

const MIN_CHUNK: usize = 1 << 16;
/// Bounds the size of the list of chunks, whatever the size of the corpus.
const MAX_CHUNKS: usize = 1 << 12;

pub(super) fn scan(files: &[&[u8]], encoding: Encoding) -> Result<Scan, InvalidUtf8> {
    let total: usize = files.iter().map(|file| file.len()).sum();
    scan_in_chunks(files, encoding, MIN_CHUNK.max(total / MAX_CHUNKS))
}

fn scan_in_chunks(files: &[&[u8]], encoding: Encoding, size: usize) -> Result<Scan, InvalidUtf8> {
    let mut chunks = split_into_chunks(files, encoding, size);
    let scan_one = |chunk: &Chunk| scan_chunk(&files[chunk.file][chunk.offset..][..chunk.len], *chunk, encoding);
    let scanned = chunks.par_iter().map(scan_one).reduce(Scanned::default, Scanned::append);
    if let Some(error) = scanned.first_error {
        return Err(error);
    }
    let mut chars = 0;
    for (chunk, count) in chunks.iter_mut().zip(scanned.char_counts) {
        chunk.chars_before = chars;
        chars += count;
    }
    Ok(Scan { chunks, chars, symbols: scanned.symbols.to_sorted() })
}

#[derive(Default)]
struct Scanned {
    char_counts: Vec<usize>,
    symbols: SymbolSet,
    first_error: Option<InvalidUtf8>,
}

impl Scanned {
    fn append(mut self, later: Scanned) -> Self {
        self.char_counts.extend(later.char_counts);
        self.symbols.union(&later.symbols);
        self.first_error = self.first_error.or(later.first_error);
        self
    }
}

/// Splits files into chunks of about `size` bytes. No chunk spans two files or ends within a character.
fn split_into_chunks(files: &[&[u8]], encoding: Encoding, size: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (file, bytes) in files.iter().enumerate() {
        let mut offset = 0;
        while offset < bytes.len() {
            let mut end = bytes.len().min(offset + size);
            if encoding.is_utf8() {
                // A character has at most three continuation bytes; the scan reports more as an error.
                end += bytes[end..].iter().take(3).take_while(|byte| is_continuation_byte(**byte)).count();
                // Nor does it end within a CRLF pair.
                end += usize::from(bytes[..end].ends_with(b"\r") && bytes[end..].starts_with(b"\n"));
            }
            chunks.push(Chunk { file, offset, len: end - offset, chars_before: 0 });
            offset = end;
        }
    }
    chunks
}

fn scan_chunk(bytes: &[u8], chunk: Chunk, encoding: Encoding) -> Scanned {
    let mut symbols = SymbolSet::default();
    if encoding.is_utf8()
        && let Err(e) = std::str::from_utf8(bytes)
    {
        let error = InvalidUtf8 { file: chunk.file, offset: chunk.offset + e.valid_up_to() };
        return Scanned { first_error: Some(error), ..Scanned::default() };
    }
    let mut chars = if encoding == Encoding::Bytes || bytes.is_ascii() {
        bytes.iter().for_each(|&byte| symbols.low[byte as usize] = true);
        bytes.len()
    } else {
        let mut at = 0;
        while let Some((symbol, next)) = decode_utf8(bytes, at) {
            symbols.insert(symbol);
            at = next;
        }
        count_utf8(bytes)
    };
    if encoding == Encoding::Utf8Lf && symbols.low[usize::from(b'\r')] {
        chars -= count_crlf(bytes);
        let is_single = |(at, byte): (usize, &u8)| *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n');
        symbols.low[usize::from(b'\r')] = bytes.iter().enumerate().any(is_single);
    }
    Scanned { char_counts: vec![chars], symbols, first_error: None }
}

/// A set of code points: a table for the first 256, a bitmap for the others that is allocated when needed.
struct SymbolSet {
    low: [bool; 256],
    high: Vec<u64>,
}

impl Default for SymbolSet {
    fn default() -> Self {
        SymbolSet { low: [false; 256], high: Vec::new() }
    }
}

impl SymbolSet {
    fn insert(&mut self, symbol: u32) {
        if symbol < 256 {
            self.low[symbol as usize] = true;
        } else if symbol < 0x11_0000 {
            if self.high.is_empty() {
                self.high = vec![0; 0x11_0000 / 64];
            }
            self.high[symbol as usize / 64] |= 1 << (symbol % 64);
        }
    }

    fn union(&mut self, other: &SymbolSet) {
        self.low.iter_mut().zip(&other.low).for_each(|(a, b)| *a |= b);
        if self.high.is_empty() {
            self.high.clone_from(&other.high);
        } else {
            self.high.iter_mut().zip(&other.high).for_each(|(a, b)| *a |= b);
        }
    }

    fn to_sorted(&self) -> Vec<u32> {
        let low = (0..256).filter(|&symbol| self.low[symbol as usize]);
        let high = self.high.iter().enumerate().flat_map(|(word, &bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word as u32 * 64 + bit)
        });
        low.chain(high).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(texts in proptest::collection::vec(".{0,60}", 1..5), repeat in 1usize..4000) {
            let texts: Vec<String> = texts.iter().map(|text| text.repeat(repeat)).collect();
            let files: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let found = scan(&files, Encoding::Utf8).unwrap();
            let whole = texts.concat();
            let mut symbols: Vec<u32> = whole.chars().map(u32::from).collect();
            symbols.sort_unstable();
            symbols.dedup();
            prop_assert_eq!(found.chars, whole.chars().count());
            prop_assert_eq!(found.symbols, symbols);
            for chunk in found.chunks {
                let before: usize = texts[..chunk.file].iter().map(|text| text.chars().count()).sum();
                let within = texts[chunk.file][..chunk.offset].chars().count();
                prop_assert_eq!(chunk.chars_before, before + within);
            }
        }
    }

    /// Mostly valid UTF-8: characters of every length and occasional stray bytes.
    fn almost_utf8() -> impl Strategy<Value = Vec<u8>> {
        let char = any::<char>().prop_map(|c| c.to_string().into_bytes());
        let broken =
            prop_oneof![Just(0x80u8), Just(0xc3), Just(0xe2), Just(0xf0), any::<u8>()].prop_map(|byte| vec![byte]);
        let some = |weight| proptest::collection::vec(prop_oneof![30 => char.clone(), weight => broken.clone()], 0..40);
        prop_oneof![some(1), some(10)].prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn chunks_of_any_size_decode_like_the_standard_library(bytes in almost_utf8(), size in 1usize..20) {
            match (scan_in_chunks(&[&bytes], Encoding::Utf8, size), std::str::from_utf8(&bytes)) {
                (Ok(found), Ok(text)) => {
                    let mut decoded = Vec::new();
                    for chunk in &found.chunks {
                        prop_assert_eq!(chunk.chars_before, decoded.len());
                        let (bytes, mut at) = (&bytes[chunk.offset..][..chunk.len], 0);
                        while let Some((symbol, next)) = decode_utf8(bytes, at) {
                            decoded.push(symbol);
                            at = next;
                        }
                    }
                    prop_assert_eq!(found.chars, decoded.len());
                    prop_assert_eq!(decoded, text.chars().map(u32::from).collect::<Vec<_>>());
                }
                (Err(error), Err(expected)) => prop_assert_eq!(error, InvalidUtf8 { file: 0, offset: expected.valid_up_to() }),
                (found, expected) => prop_assert!(false, "{found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn chunks_do_not_split_crlf_pairs() {
        let text = "a\r\n\r\n\rb\r\n".repeat(9);
        for size in 1..9 {
            let found = scan_in_chunks(&[text.as_bytes()], Encoding::Utf8Lf, size).unwrap();
            assert_eq!(found.chars, text.replace("\r\n", "\n").len(), "{size}");
            assert_eq!(found.symbols, [10, 13, 97, 98]);
        }
        let pairs = scan_in_chunks(&[b"a\r\nb\r\n"], Encoding::Utf8Lf, 2).unwrap();
        assert_eq!(pairs.symbols, [10, 97, 98]);
    }

    #[test]
    fn reports_the_first_invalid_byte() {
        let mut bytes = "\u{e9}".repeat(100_000).into_bytes();
        bytes[150_001] = b'x';
        let error = scan(&[b"fine", &bytes], Encoding::Utf8).unwrap_err();
        assert_eq!(error, InvalidUtf8 { file: 1, offset: 150_000 });
        assert_eq!(scan(&[&bytes], Encoding::Bytes).unwrap().symbols, [0x78, 0xa9, 0xc3]);
        let twice = [&bytes[..], &bytes[..]].concat();
        for _ in 0..20 {
            assert_eq!(scan(&[&twice], Encoding::Utf8).unwrap_err().offset, 150_000, "the first of several");
        }
        let endless = vec![0x80; 10];
        assert_eq!(scan(&[&endless], Encoding::Utf8).unwrap_err().offset, 0);
    }
}
