//! A text in passages: its lines, or its paragraphs.

/// A piece of a text that has more in it than blanks. The end of its last line is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The number of its first line, from 1.
    pub line: usize,
    /// Bytes of the text before it.
    pub from: usize,
    /// Its own bytes.
    pub text: &'a [u8],
}

/// The lines that are not blank.
pub fn split_lines(text: &[u8]) -> Vec<Segment<'_>> {
    let mut before = 0;
    let passages = text.split_inclusive(|&byte| byte == b'\n').zip(1..).map(|(whole, line)| {
        let from = before;
        before += whole.len();
        let inner = whole.strip_suffix(b"\n").unwrap_or(whole);
        Segment { line, from, text: inner.strip_suffix(b"\r").unwrap_or(inner) }
    });
    passages.filter(|passage| !passage.text.trim_ascii().is_empty()).collect()
}

/// The blocks between blank lines.
pub fn split_paragraphs(text: &[u8]) -> Vec<Segment<'_>> {
    let lines = split_lines(text);
    let blocks = lines.chunk_by(|line, next| next.line == line.line + 1);
    let join = |block: &[Segment<'_>]| {
        let (first, last) = (block.first()?, block.last()?);
        Some(Segment { text: &text[first.from..last.from + last.text.len()], ..*first })
    };
    blocks.filter_map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(passages: &[Segment<'a>]) -> Vec<(usize, &'a str)> {
        passages.iter().map(|passage| (passage.line, std::str::from_utf8(passage.text).unwrap())).collect()
    }

    #[test]
    fn lines_come_without_their_ends_and_blank_ones_not_at_all() {
        let text = b"one\n\n two \r\n \t\r\n\nthree";
        assert_eq!(told(&split_lines(text)), [(1, "one"), (3, " two "), (6, "three")]);
        assert!(split_lines(text).iter().all(|line| text[line.from..].starts_with(line.text)));
        assert_eq!(split_lines(b"\n \n"), []);
    }

    #[test]
    fn paragraphs_keep_the_line_ends_within_them() {
        let text = b"\n\none\ntwo\r\n  \nthree\r\n\r\nfour\nfive\n";
        assert_eq!(told(&split_paragraphs(text)), [(3, "one\ntwo"), (6, "three"), (8, "four\nfive")]);
        assert!(split_paragraphs(text).iter().all(|block| text[block.from..].starts_with(block.text)));
        assert_eq!(split_paragraphs(b""), []);
    }
}
