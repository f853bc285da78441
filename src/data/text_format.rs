//! How a file encodes text, guessed from its first bytes.

use std::path::Path;

use crate::error::{Error, Result};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes at the beginning of a file that are examined.
const EXAMINED: usize = 4096;
/// Text of one NUL in this many bytes or more is taken for binary data.
const MAX_NUL_SHARE: usize = 10;
/// UTF-16 has one NUL in this many bytes or more: those of spaces and line ends.
const MIN_NUL_SHARE: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextFormat {
    /// UTF-8, as far as the first bytes tell.
    Utf8,
    /// UTF-16 with this name.
    Utf16(&'static str),
    /// Many NUL bytes.
    Binary,
}

/// The format of a text. Without a byte order mark, UTF-16 is recognized by the high bytes of its characters: control codes in most
/// alphabets, or NUL in the spaces and line ends of a text that is not valid UTF-8.
fn text_format(bytes: &[u8]) -> TextFormat {
    let bytes = &bytes[..bytes.len().min(EXAMINED)];
    let count = |first: usize, is: fn(&u8) -> bool| bytes.iter().skip(first).step_by(2).filter(|byte| is(byte)).count();
    let [even, odd] = [0, 1].map(|first| (count(first, is_high_byte), count(first, is_nul)));
    let is_invalid = std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_some());
    let is_utf16 = |(high, nuls): (usize, usize), (low, low_nuls): (usize, usize)| {
        let has_many = high * 4 > bytes.len() && low * 2 < high;
        nuls * MIN_NUL_SHARE >= bytes.len().max(1) && low_nuls * 8 < nuls && (has_many || is_invalid)
    };
    match bytes {
        [0xff, 0xfe, ..] => TextFormat::Utf16("UTF-16LE"),
        [0xfe, 0xff, ..] => TextFormat::Utf16("UTF-16BE"),
        _ if is_utf16(odd, even) => TextFormat::Utf16("UTF-16LE"),
        _ if is_utf16(even, odd) => TextFormat::Utf16("UTF-16BE"),
        _ if has_many_nuls(bytes) => TextFormat::Binary,
        _ => TextFormat::Utf8,
    }
}

/// Whether a byte is probably the high byte of a UTF-16 character: a control code, but not a line end.
fn is_high_byte(byte: &u8) -> bool {
    *byte < 0x20 && !matches!(byte, b'\n' | b'\r')
}

fn is_nul(byte: &u8) -> bool {
    *byte == 0
}

/// Whether bytes are probably not text.
pub(super) fn has_many_nuls(bytes: &[u8]) -> bool {
    bytes.iter().filter(|byte| is_nul(byte)).count() * MAX_NUL_SHARE > bytes.len()
}

/// The text of a file, or its beginning, without a byte order mark. Rejects UTF-16 and binary data.
pub fn check_text<'t>(path: &Path, bytes: &'t [u8]) -> Result<&'t [u8]> {
    match text_format(bytes) {
        TextFormat::Utf8 => Ok(bytes.strip_prefix(MARK).unwrap_or(bytes)),
        TextFormat::Utf16(encoding) => Err(Error::Utf16 { path: path.into(), encoding }),
        TextFormat::Binary => Err(Error::NotText { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_utf_16_and_binary_data() {
        let text = "The fox met a crow.\n\u{e9}";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text_format(text.as_bytes()), TextFormat::Utf8);
        assert_eq!(text_format(&[&b"\xff\xfe"[..], &little].concat()), TextFormat::Utf16("UTF-16LE"));
        assert_eq!(text_format(&[&b"\xfe\xff"[..], &big].concat()), TextFormat::Utf16("UTF-16BE"));
        assert_eq!(text_format(&little), TextFormat::Utf16("UTF-16LE"));
        assert_eq!(text_format(&big), TextFormat::Utf16("UTF-16BE"));
        for text in [
            "\u{43b}\u{438}\u{441}\u{430} ",
            "\u{905}\u{92c} ",
            "\u{e01}\u{e32}\u{e23} \n",
            "\u{72d0}\u{72f8}\u{3068}\u{70cf}\n",
        ] {
            let text = text.repeat(60);
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(text_format(text.as_bytes()), TextFormat::Utf8, "{text}");
            assert_eq!(text_format(&little), TextFormat::Utf16("UTF-16LE"), "{text}");
            assert_eq!(text_format(&big), TextFormat::Utf16("UTF-16BE"), "{text}");
        }
        assert_eq!(text_format("1\t2\t3\t4\n".repeat(50).as_bytes()), TextFormat::Utf8);
        assert_eq!(text_format(&[0, 0, 1, 0, 2, 3, 0, 0, 9]), TextFormat::Binary);
        assert_eq!(text_format(b"a text with one NUL: \0"), TextFormat::Utf8);
        assert_eq!(text_format(b""), TextFormat::Utf8);
    }

    #[test]
    fn a_mark_is_dropped_at_the_beginning_only() {
        let check = |bytes| check_text("test".as_ref(), bytes);
        assert_eq!(check("\u{feff}a\u{feff}".as_bytes()).unwrap(), "a\u{feff}".as_bytes());
        assert_eq!(check(b"a").unwrap(), b"a");
        assert!(matches!(check(b"\xff\xfea\0"), Err(Error::Utf16 { encoding: "UTF-16LE", .. })));
    }
}
