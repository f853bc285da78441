//! One parallel pass over a text: is it sound, which characters does it have, how many.

use rayon::prelude::*;

use super::Encoding;
use super::utf8::{self, is_continuation};

/// A piece of one file, cut between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The file.
    pub part: usize,
    /// The first byte in it.
    pub byte: usize,
    /// Bytes.
    pub len: usize,
    /// Characters of the whole corpus before it.
    pub chars_before: usize,
}

/// Where a file stops being UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8 {
    pub part: usize,
    pub byte: usize,
}

/// What the pass finds.
#[derive(Debug)]
pub(super) struct Scan {
    pub pieces: Vec<Chunk>,
    pub chars: usize,
    /// Code points (or bytes), sorted.
    pub symbols: Vec<u32>,
}

/// Pieces are at least this long, and there are at most `MOST` of them, so that their list does not grow with the text.
const LEAST: usize = 1 << 16;
const MOST: usize = 1 << 12;

pub(super) fn scan(parts: &[&[u8]], encoding: Encoding) -> Result<Scan, NotUtf8> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    scan_by(parts, encoding, LEAST.max(total / MOST))
}

/// The same by pieces of about `size` bytes.
fn scan_by(parts: &[&[u8]], encoding: Encoding, size: usize) -> Result<Scan, NotUtf8> {
    let mut pieces = cut(parts, encoding, size);
    let look_at = |piece: &Chunk| look(&parts[piece.part][piece.byte..][..piece.len], *piece, encoding);
    // In order: of several errors the first is told.
    let found =
        pieces.par_iter().fold(Found::new, |found, piece| found.add(look_at(piece))).reduce(Found::new, Found::join);
    if let Some(error) = found.error {
        return Err(error);
    }
    let mut chars = 0;
    for (piece, count) in pieces.iter_mut().zip(found.counts) {
        piece.chars_before = chars;
        chars += count;
    }
    Ok(Scan { pieces, chars, symbols: found.seen.symbols() })
}

/// What some pieces have, one after another.
struct Found {
    counts: Vec<usize>,
    seen: Seen,
    error: Option<NotUtf8>,
}

impl Found {
    fn new() -> Self {
        Found { counts: Vec::new(), seen: Seen::new(), error: None }
    }

    fn add(mut self, piece: Result<(usize, Seen), NotUtf8>) -> Self {
        match piece {
            Ok((count, seen)) => {
                self.counts.push(count);
                self.seen.join(&seen);
            }
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    fn join(mut self, later: Found) -> Self {
        self.counts.extend(later.counts);
        self.seen.join(&later.seen);
        self.error = self.error.or(later.error);
        self
    }
}

/// Pieces of about `size` bytes, none across a file's end or within a character.
fn cut(parts: &[&[u8]], encoding: Encoding, size: usize) -> Vec<Chunk> {
    let mut pieces = Vec::new();
    for (part, bytes) in parts.iter().enumerate() {
        let mut byte = 0;
        while byte < bytes.len() {
            let mut end = bytes.len().min(byte + size);
            if encoding == Encoding::Utf8 {
                // At most three bytes continue a character; more is an error that the pass will report.
                let continues = bytes[end..].iter().take(3).take_while(|b| is_continuation(**b)).count();
                end += continues;
            }
            pieces.push(Chunk { part, byte, len: end - byte, chars_before: 0 });
            byte = end;
        }
    }
    pieces
}

fn look(bytes: &[u8], piece: Chunk, encoding: Encoding) -> Result<(usize, Seen), NotUtf8> {
    let mut seen = Seen::new();
    match encoding {
        Encoding::Bytes => bytes.iter().for_each(|&b| seen.low[b as usize] = true),
        Encoding::Utf8 => {
            std::str::from_utf8(bytes).map_err(|e| NotUtf8 { part: piece.part, byte: piece.byte + e.valid_up_to() })?;
            for run in bytes.chunks(4096) {
                if run.is_ascii() {
                    run.iter().for_each(|&b| seen.low[b as usize] = true);
                } else {
                    seen.wide = true;
                }
            }
            if seen.wide {
                let mut at = 0;
                while let Some((symbol, next)) = utf8::decode(bytes, at) {
                    seen.insert(symbol);
                    at = next;
                }
            }
            return Ok((bytes.iter().filter(|b| !is_continuation(**b)).count(), seen));
        }
    }
    Ok((bytes.len(), seen))
}

/// A set of code points: a table for the first 256, a bitmap for the rest once there is one.
#[derive(Debug)]
struct Seen {
    low: [bool; 256],
    wide: bool,
    high: Vec<u64>,
}

impl Seen {
    fn new() -> Self {
        Seen { low: [false; 256], wide: false, high: Vec::new() }
    }

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

    fn join(&mut self, other: &Seen) {
        self.low.iter_mut().zip(&other.low).for_each(|(a, b)| *a |= b);
        if self.high.is_empty() {
            self.high.clone_from(&other.high);
        } else {
            self.high.iter_mut().zip(&other.high).for_each(|(a, b)| *a |= b);
        }
    }

    fn symbols(&self) -> Vec<u32> {
        let low = (0..256).filter(|&s| self.low[s as usize]);
        let words = self.high.iter().enumerate().filter(|(_, word)| **word != 0);
        let high =
            words.flat_map(|(i, &word)| (0..64).filter(move |b| word >> b & 1 == 1).map(move |b| i as u32 * 64 + b));
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
            let parts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let found = scan(&parts, Encoding::Utf8).unwrap();
            let whole = texts.concat();
            let mut symbols: Vec<u32> = whole.chars().map(u32::from).collect();
            symbols.sort_unstable();
            symbols.dedup();
            prop_assert_eq!(found.chars, whole.chars().count());
            prop_assert_eq!(found.symbols, symbols);
            for piece in found.pieces {
                let before: usize = texts[..piece.part].iter().map(|text| text.chars().count()).sum();
                let within = texts[piece.part][..piece.byte].chars().count();
                prop_assert_eq!(piece.chars_before, before + within);
            }
        }
    }

    /// Characters of every length, and now and then what is none.
    fn almost_utf8() -> impl Strategy<Value = Vec<u8>> {
        let char = any::<char>().prop_map(|c| c.to_string().into_bytes());
        let broken =
            prop_oneof![Just(0x80u8), Just(0xc3), Just(0xe2), Just(0xf0), any::<u8>()].prop_map(|byte| vec![byte]);
        let some = |weight| proptest::collection::vec(prop_oneof![30 => char.clone(), weight => broken.clone()], 0..40);
        prop_oneof![some(1), some(10)].prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_cut_decodes_as_the_standard_library_and_finds_the_same_error(bytes in almost_utf8(), size in 1usize..20) {
            match (scan_by(&[&bytes], Encoding::Utf8, size), std::str::from_utf8(&bytes)) {
                (Ok(found), Ok(text)) => {
                    let mut decoded = Vec::new();
                    for piece in &found.pieces {
                        prop_assert_eq!(piece.chars_before, decoded.len());
                        let (bytes, mut at) = (&bytes[piece.byte..][..piece.len], 0);
                        while let Some((symbol, next)) = utf8::decode(bytes, at) {
                            decoded.push(symbol);
                            at = next;
                        }
                    }
                    prop_assert_eq!(found.chars, decoded.len());
                    prop_assert_eq!(decoded, text.chars().map(u32::from).collect::<Vec<_>>());
                }
                (Err(error), Err(wanted)) => prop_assert_eq!(error, NotUtf8 { part: 0, byte: wanted.valid_up_to() }),
                (found, wanted) => prop_assert!(false, "{found:?}, not {wanted:?}"),
            }
        }
    }

    #[test]
    fn the_byte_at_which_utf8_ends_is_named() {
        let mut bytes = "\u{e9}".repeat(100_000).into_bytes();
        bytes[150_001] = b'x';
        let error = scan(&[b"fine", &bytes], Encoding::Utf8).unwrap_err();
        assert_eq!(error, NotUtf8 { part: 1, byte: 150_000 });
        assert_eq!(scan(&[&bytes], Encoding::Bytes).unwrap().symbols, [0x78, 0xa9, 0xc3]);
        let twice = [&bytes[..], &bytes[..]].concat();
        for _ in 0..20 {
            assert_eq!(scan(&[&twice], Encoding::Utf8).unwrap_err().byte, 150_000, "the first of several");
        }
        let endless = vec![0x80; 10];
        assert_eq!(scan(&[&endless], Encoding::Utf8).unwrap_err().byte, 0);
    }
}
