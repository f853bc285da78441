//! UTF-8 decoded one character at a time, from bytes that may change underneath.

/// Whether a byte of UTF-8 continues a character.
#[inline]
pub(super) fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The code point of the character that begins at `at`, and where the next one begins. What is not UTF-8 gives some number or
/// other, which may be no character, and never a panic.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.get(at)?);
    let more = match first {
        0..0x80 => return Some((first, at + 1)),
        0x80..0xe0 => 1,
        0xe0..0xf0 => 2,
        _ => 3,
    };
    let tail = bytes[at + 1..].iter().take(more);
    let symbol = tail.fold(first & (0x3f >> more), |symbol, &byte| symbol << 6 | u32::from(byte & 0x3f));
    Some((symbol, bytes.len().min(at + 1 + more)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "\\PC{0,99}") {
            let (mut at, mut decoded) = (0, Vec::new());
            while let Some((symbol, next)) = decode(text.as_bytes(), at) {
                decoded.push(symbol);
                at = next;
            }
            prop_assert_eq!(decoded, text.chars().map(u32::from).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes: Vec<u8>) {
            let mut at = 0;
            while let Some((_, next)) = decode(&bytes, at) {
                prop_assert!(next > at);
                at = next;
            }
            prop_assert_eq!(at, bytes.len());
        }
    }
}
