//! The vocabulary: symbols and their token ids.

use serde::{Deserialize, Serialize};

use super::encoding::Encoding;
use crate::error::{Error, Result};

/// The reserved symbol that starts and ends each record of a list-like corpus.
pub const RECORD_BOUNDARY: u32 = 0x11_0000;
/// The reserved symbol in place of characters that are too rare for the vocabulary.
pub const UNKNOWN: u32 = 0x11_0001;

/// What a text follows when its first character is predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContextStart {
    /// A line end; for a model of records, the start of a record.
    #[default]
    Newline,
    /// Nothing: the first character of the text is read from the zero state, and not predicted.
    None,
}

/// The symbols that a model knows: code points or bytes, and reserved symbols, which have no text. Token ids number them in ascending
/// order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocab {
    encoding: Encoding,
    symbols: Vec<u32>,
}

impl Vocab {
    /// A vocabulary of these symbols, given in any order and with repetitions.
    pub fn new(encoding: Encoding, symbols: impl IntoIterator<Item = u32>) -> Self {
        let mut symbols: Vec<u32> = symbols.into_iter().collect();
        symbols.sort_unstable();
        symbols.dedup();
        Vocab { encoding, symbols }
    }

    /// Whether a deserialized vocabulary is valid: sorted, without duplicates, and with symbols of its encoding and reserved ones only.
    pub(crate) fn is_valid(&self) -> bool {
        let is_allowed = |&symbol: &u32| match self.encoding {
            Encoding::Utf8 | Encoding::Utf8Lf => char::from_u32(symbol).is_some(),
            Encoding::Bytes => symbol < 256,
        };
        let is_reserved = |symbol: &u32| matches!(*symbol, RECORD_BOUNDARY | UNKNOWN);
        self.symbols.iter().all(|symbol| is_allowed(symbol) || is_reserved(symbol))
            && self.symbols.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// The unit that counts as a character.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether it has no symbols.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The symbol of a token id.
    pub fn symbol(&self, id: u32) -> u32 {
        self.symbols[id as usize]
    }

    /// All symbols in the order of their token ids.
    pub fn symbols(&self) -> &[u32] {
        &self.symbols
    }

    /// The token id of a symbol: that of [`UNKNOWN`], if the vocabulary has it, for a symbol that is not in the vocabulary.
    #[inline]
    pub fn id(&self, symbol: u32) -> Option<u32> {
        self.known_id(symbol).or_else(|| self.unknown())
    }

    /// The token id of a symbol that is in the vocabulary.
    #[inline]
    pub fn known_id(&self, symbol: u32) -> Option<u32> {
        self.symbols.binary_search(&symbol).ok().map(|id| id as u32)
    }

    /// The token id of [`UNKNOWN`].
    pub fn unknown(&self) -> Option<u32> {
        let last = self.symbols.len().checked_sub(1)?;
        (self.symbols[last] == UNKNOWN).then_some(last as u32)
    }

    /// The token id of the reserved symbol that starts and ends each record; `None` for a model of running text.
    pub fn record_boundary(&self) -> Option<u32> {
        self.known_id(RECORD_BOUNDARY)
    }

    /// The token id that is read before the first character of a text.
    pub fn context_start(&self, start: ContextStart) -> Option<u32> {
        match start {
            ContextStart::Newline => self.record_boundary().or_else(|| self.known_id(u32::from('\n'))),
            ContextStart::None => None,
        }
    }

    /// A symbol formatted for error messages, such as `'e' (U+0065)` or `byte 0x65`.
    pub fn describe(&self, symbol: u32) -> String {
        match (self.encoding, char::from_u32(symbol)) {
            _ if symbol == RECORD_BOUNDARY => "the record boundary".into(),
            _ if symbol == UNKNOWN => "the unknown character".into(),
            (Encoding::Utf8 | Encoding::Utf8Lf, Some(c)) if c.is_control() => format!("U+{symbol:04X}"),
            (Encoding::Utf8 | Encoding::Utf8Lf, Some(c)) => format!("{c:?} (U+{symbol:04X})"),
            _ => format!("byte 0x{symbol:02X}"),
        }
    }

    /// A symbol as a character; a byte that is not ASCII becomes U+FFFD, and the end of a record a line end.
    pub fn display_char(&self, symbol: u32) -> char {
        if symbol == RECORD_BOUNDARY {
            return '\n';
        }
        let is_character = self.encoding.is_utf8() || symbol < 0x80;
        char::from_u32(symbol).filter(|_| is_character).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// The token ids of a text.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>> {
        let is_utf8 = self.encoding.is_utf8();
        if is_utf8 {
            std::str::from_utf8(text)
                .map_err(|e| Error::Usage(format!("the text is not valid UTF-8 at byte {}", e.valid_up_to())))?;
        }
        let id = |(i, symbol): (usize, u32)| {
            self.id(symbol).ok_or_else(|| {
                let at = if is_utf8 { format!("character {}", i + 1) } else { format!("byte {i}") };
                Error::UnknownCharacter(format!("{}, at {at}", self.describe(symbol)))
            })
        };
        self.to_symbols(text).into_iter().enumerate().map(id).collect()
    }

    /// The symbols of a text, including unknown ones. Invalid UTF-8 becomes U+FFFD.
    pub fn to_symbols(&self, text: &[u8]) -> Vec<u32> {
        self.encoding.to_symbols(text)
    }

    /// Appends the bytes of a token to `to`; reserved symbols have none.
    pub fn decode_into(&self, id: u32, to: &mut Vec<u8>) {
        let symbol = self.symbol(id);
        match (self.encoding, char::from_u32(symbol)) {
            (Encoding::Utf8 | Encoding::Utf8Lf, Some(c)) => to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            (Encoding::Bytes, Some(_)) => to.push(symbol as u8),
            (_, None) => {}
        }
    }

    /// The bytes of tokens.
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
    fn encodes_and_decodes() {
        let vocab = Vocab::new(Encoding::Utf8, "h\u{e9}llo \u{1f600}".chars().map(u32::from));
        assert!(vocab.is_valid());
        assert_eq!(vocab.symbols(), [0x20, 0x68, 0x6c, 0x6f, 0xe9, 0x1f600]);
        let text = "\u{1f600} hello".replace('e', "\u{e9}");
        assert_eq!(vocab.decode(vocab.encode(text.as_bytes()).unwrap()), text.as_bytes());
    }

    #[test]
    fn unknown_characters_are_reported_with_their_position() {
        let vocab = Vocab::new(Encoding::Utf8, "abc".chars().map(u32::from));
        let message = vocab.encode(b"abz").unwrap_err().to_string();
        assert!(message.contains("'z' (U+007A), at character 3"), "{message}");
        let bytes = Vocab::new(Encoding::Bytes, [0, 255]);
        assert!(bytes.encode(&[0, 7]).unwrap_err().to_string().contains("byte 0x07, at byte 1"));
        assert_eq!(bytes.decode([1, 0]), [255, 0]);
    }

    #[test]
    fn to_symbols_accepts_any_bytes() {
        let vocab = Vocab::new(Encoding::Utf8, [97]);
        assert_eq!(vocab.to_symbols(b"a\xff\xc3\xa9b"), [97, 0xfffd, 0xe9, 98]);
        assert_eq!(Vocab::new(Encoding::Bytes, [97]).to_symbols(b"a\xff"), [97, 255]);
    }

    #[test]
    fn reserved_symbols_are_valid_and_have_no_text() {
        for encoding in [Encoding::Utf8, Encoding::Bytes] {
            let vocab = Vocab::new(encoding, [10, 97, RECORD_BOUNDARY, UNKNOWN]);
            assert!(vocab.is_valid());
            assert_eq!(vocab.decode([3, 1, 2, 0]), b"a\n");
            assert_eq!(vocab.context_start(ContextStart::Newline), Some(2));
        }
        let text = Vocab::new(Encoding::Utf8, [10, 97]);
        let starts = [ContextStart::Newline, ContextStart::None].map(|start| text.context_start(start));
        assert_eq!((starts, text.record_boundary()), ([Some(0), None], None));
    }

    #[test]
    fn symbols_outside_the_vocabulary_are_unknown() {
        let vocab = Vocab::new(Encoding::Utf8, [97, UNKNOWN]);
        assert_eq!(
            (vocab.id(97), vocab.id(98), vocab.known_id(98), vocab.unknown()),
            (Some(0), Some(1), None, Some(1))
        );
        assert_eq!((vocab.record_boundary(), vocab.context_start(ContextStart::Newline)), (None, None));
        assert_eq!(vocab.encode(b"ab").unwrap(), [0, 1]);
    }

    #[test]
    fn is_valid_rejects_malformed_vocabularies() {
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
