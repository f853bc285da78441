//! How a file encodes text, guessed from its first bytes.

use std::path::Path;

use crate::error::{Error, Result};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes at the beginning of a file that are examined.
const EXAMINED: usize = 4096;
/// Text of one NUL in this many bytes or more is taken for binary data.
const MAX_NUL_SHARE: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextFormat {
    /// UTF-8, as far as the first bytes tell.
    Utf8,
    /// UTF-16 with this name.
    Utf16(&'static str),
    /// Many NUL bytes.
    Binary,
}

/// The format of a text. Without a byte order mark, UTF-16 is recognized by the NUL bytes of its ASCII characters.
fn text_format(bytes: &[u8]) -> TextFormat {
    let bytes = &bytes[..bytes.len().min(EXAMINED)];
    let nuls = |first: usize| bytes.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let is_most = |nuls: usize, others: usize| nuls * 4 > bytes.len() && others * 8 < nuls;
    match bytes {
        [0xff, 0xfe, ..] => TextFormat::Utf16("UTF-16LE"),
        [0xfe, 0xff, ..] => TextFormat::Utf16("UTF-16BE"),
        _ if is_most(odd, even) => TextFormat::Utf16("UTF-16LE"),
        _ if is_most(even, odd) => TextFormat::Utf16("UTF-16BE"),
        _ if (even + odd) * MAX_NUL_SHARE > bytes.len() => TextFormat::Binary,
        _ => TextFormat::Utf8,
    }
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
