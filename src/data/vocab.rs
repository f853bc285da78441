//! Characters and their ids.

use serde::{Deserialize, Serialize};

use super::Encoding;
use crate::error::{Error, Result};

/// The characters that a model knows. Ids number them in the order of their code points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocab {
    encoding: Encoding,
    symbols: Vec<u32>,
}

impl Vocab {
    /// A vocabulary of these code points (or bytes), in any order and as often as they come.
    pub fn new(encoding: Encoding, symbols: impl IntoIterator<Item = u32>) -> Self {
        let mut symbols: Vec<u32> = symbols.into_iter().collect();
        symbols.sort_unstable();
        symbols.dedup();
        Vocab { encoding, symbols }
    }

    /// Checks what came from a file: sorted, unique, and characters of its encoding.
    pub fn is_valid(&self) -> bool {
        let known = |&symbol: &u32| match self.encoding {
            Encoding::Utf8 => char::from_u32(symbol).is_some(),
            Encoding::Bytes => symbol < 256,
        };
        self.symbols.iter().all(known) && self.symbols.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// What a character is.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Number of characters.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The code point (or byte) of an id.
    pub fn symbol(&self, id: u32) -> u32 {
        self.symbols[id as usize]
    }

    /// The code points (or bytes) in the order of their ids.
    pub fn symbols(&self) -> &[u32] {
        &self.symbols
    }

    /// The id of a code point (or byte).
    #[inline]
    pub fn id(&self, symbol: u32) -> Option<u32> {
        self.symbols.binary_search(&symbol).ok().map(|id| id as u32)
    }

    /// A code point (or byte) as a message names it.
    pub fn describe(&self, symbol: u32) -> String {
        match (self.encoding, char::from_u32(symbol)) {
            (Encoding::Utf8, Some(c)) if c.is_control() => format!("U+{symbol:04X}"),
            (Encoding::Utf8, Some(c)) => format!("{c:?} (U+{symbol:04X})"),
            _ => format!("byte 0x{symbol:02X}"),
        }
    }

    /// A code point (or byte) as a character to look at: of a byte that is none by itself, the replacement character.
    pub fn display_char(&self, symbol: u32) -> char {
        let is_character = self.encoding == Encoding::Utf8 || symbol < 0x80;
        char::from_u32(symbol).filter(|_| is_character).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// [`Error::UnknownCharacter`] naming the first character that is not in the vocabulary.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>> {
        let unknown = |symbol, at| Error::UnknownCharacter(format!("{}, at {at}", self.describe(symbol)));
        match self.encoding {
            Encoding::Bytes => {
                let id = |(i, &byte): (usize, &u8)| {
                    self.id(u32::from(byte)).ok_or_else(|| unknown(u32::from(byte), format!("byte {i}")))
                };
                text.iter().enumerate().map(id).collect()
            }
            Encoding::Utf8 => {
                let text = std::str::from_utf8(text)
                    .map_err(|e| Error::Usage(format!("the text is not UTF-8 at byte {}", e.valid_up_to())))?;
                let id = |(i, c): (usize, char)| {
                    self.id(u32::from(c)).ok_or_else(|| unknown(u32::from(c), format!("character {}", i + 1)))
                };
                text.chars().enumerate().map(id).collect()
            }
        }
    }

    /// The code points (or bytes) of a text, whether they are known or not. What is not UTF-8 comes as U+FFFD.
    pub fn to_symbols(&self, text: &[u8]) -> Vec<u32> {
        match self.encoding {
            Encoding::Bytes => text.iter().copied().map(u32::from).collect(),
            Encoding::Utf8 => String::from_utf8_lossy(text).chars().map(u32::from).collect(),
        }
    }

    /// Appends the bytes of one character to `to`.
    pub fn decode_into(&self, id: u32, to: &mut Vec<u8>) {
        let symbol = self.symbol(id);
        match (self.encoding, char::from_u32(symbol)) {
            (Encoding::Utf8, Some(c)) => to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => to.push(symbol as u8),
        }
    }

    /// The bytes of some characters.
    pub fn decode(&self, ids: impl IntoIterator<Item = u32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        ids.into_iter().for_each(|id| self.decode_into(id, &mut bytes));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_code_points_and_come_back() {
        let vocab = Vocab::new(Encoding::Utf8, "h\u{e9}llo \u{1f600}".chars().map(u32::from));
        assert!(vocab.is_valid());
        assert_eq!(vocab.symbols(), [0x20, 0x68, 0x6c, 0x6f, 0xe9, 0x1f600]);
        let text = "\u{1f600} hello".replace('e', "\u{e9}");
        assert_eq!(vocab.decode(vocab.encode(text.as_bytes()).unwrap()), text.as_bytes());
    }

    #[test]
    fn an_unknown_character_is_named_with_its_place() {
        let vocab = Vocab::new(Encoding::Utf8, "abc".chars().map(u32::from));
        let message = vocab.encode(b"abz").unwrap_err().to_string();
        assert!(message.contains("'z' (U+007A), at character 3"), "{message}");
        let bytes = Vocab::new(Encoding::Bytes, [0, 255]);
        assert!(bytes.encode(&[0, 7]).unwrap_err().to_string().contains("byte 0x07, at byte 1"));
        assert_eq!(bytes.decode([1, 0]), [255, 0]);
    }

    #[test]
    fn whatever_a_text_holds_is_read() {
        let vocab = Vocab::new(Encoding::Utf8, [97]);
        assert_eq!(vocab.to_symbols(b"a\xff\xc3\xa9b"), [97, 0xfffd, 0xe9, 98]);
        assert_eq!(Vocab::new(Encoding::Bytes, [97]).to_symbols(b"a\xff"), [97, 255]);
    }

    #[test]
    fn a_vocabulary_from_a_file_is_checked() {
        for (encoding, symbols) in [
            (Encoding::Utf8, vec![0xd800]),
            (Encoding::Utf8, vec![5, 5]),
            (Encoding::Utf8, vec![6, 5]),
            (Encoding::Bytes, vec![256]),
        ] {
            assert!(!Vocab { encoding, symbols }.is_valid());
        }
    }
}
