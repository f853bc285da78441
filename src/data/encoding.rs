//! How the bytes of a text become symbols: code points of UTF-8, or single bytes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The unit that a model reads and predicts: its symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// Unicode scalar values; the text must be valid UTF-8.
    #[default]
    Utf8,
    /// Unicode scalar values, with each pair of a carriage return and a line feed (CRLF) read as a line feed.
    Utf8Lf,
    /// Bytes.
    Bytes,
}

impl Encoding {
    /// Whether the text must be valid UTF-8.
    pub fn is_utf8(self) -> bool {
        self != Encoding::Bytes
    }

    /// The symbols of a text. Invalid UTF-8 becomes U+FFFD.
    pub fn to_symbols(self, text: &[u8]) -> Vec<u32> {
        match self {
            Encoding::Bytes => text.iter().copied().map(u32::from).collect(),
            _ => String::from_utf8_lossy(&self.convert_line_ends(text)).chars().map(u32::from).collect(),
        }
    }

    /// A text with the line ends that are read: CRLF becomes a line feed in [`Encoding::Utf8Lf`].
    pub fn convert_line_ends(self, text: &[u8]) -> Cow<'_, [u8]> {
        if self != Encoding::Utf8Lf || count_crlf(text) == 0 {
            return text.into();
        }
        let is_kept = |(at, byte): &(usize, &u8)| **byte != b'\r' || text.get(at + 1) != Some(&b'\n');
        text.iter().enumerate().filter(is_kept).map(|(_, byte)| *byte).collect()
    }
}

#[inline]
pub(crate) fn is_continuation_byte(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The number of characters in valid UTF-8.
pub(super) fn count_utf8(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !is_continuation_byte(**byte)).count()
}

/// The number of pairs of a carriage return and a line feed.
pub(super) fn count_crlf(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|pair| *pair == b"\r\n").count()
}

/// Decodes the character that starts at byte `at`. Returns its code point and the start of the next character.
///
/// The bytes may have changed since they were validated: malformed UTF-8 decodes to an arbitrary number, without a panic.
#[inline]
pub(super) fn decode_utf8(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.get(at)?);
    let continuation_bytes = match first {
        0..0x80 => return Some((first, at + 1)),
        0x80..0xe0 => 1,
        0xe0..0xf0 => 2,
        _ => 3,
    };
    let tail = bytes[at + 1..].iter().take(continuation_bytes);
    let symbol = tail.fold(first & (0x3f >> continuation_bytes), |symbol, &byte| symbol << 6 | u32::from(byte & 0x3f));
    Some((symbol, bytes.len().min(at + 1 + continuation_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "\\PC{0,99}") {
            let (mut at, mut decoded) = (0, Vec::new());
            while let Some((symbol, next)) = decode_utf8(text.as_bytes(), at) {
                decoded.push(symbol);
                at = next;
            }
            prop_assert_eq!(decoded, text.chars().map(u32::from).collect::<Vec<_>>());
        }

        #[test]
        fn decoding_arbitrary_bytes_terminates(bytes: Vec<u8>) {
            let mut at = 0;
            while let Some((_, next)) = decode_utf8(&bytes, at) {
                prop_assert!(next > at);
                at = next;
            }
            prop_assert_eq!(at, bytes.len());
        }
    }
}
