//! Splits a text into lines or paragraphs.

/// A line or a paragraph that is not blank, without its final line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The number of its first line, counted from 1.
    pub line: usize,
    /// The offset of its first byte in the text.
    pub offset: usize,
    /// Its bytes.
    pub text: &'a [u8],
}

/// The lines that are not blank.
pub fn split_lines(text: &[u8]) -> Vec<Segment<'_>> {
    let mut end = 0;
    let lines = text.split_inclusive(|&byte| byte == b'\n').zip(1..).map(|(with_end, line)| {
        let offset = end;
        end += with_end.len();
        let content = with_end.strip_suffix(b"\n").unwrap_or(with_end);
        Segment { line, offset, text: content.strip_suffix(b"\r").unwrap_or(content) }
    });
    lines.filter(|line| !line.text.trim_ascii().is_empty()).collect()
}

/// The blocks of lines between blank lines.
pub fn split_paragraphs(text: &[u8]) -> Vec<Segment<'_>> {
    let lines = split_lines(text);
    let paragraphs = lines.chunk_by(|line, next| next.line == line.line + 1);
    let join = |lines: &[Segment<'_>]| {
        let (first, last) = (lines.first()?, lines.last()?);
        Some(Segment { text: &text[first.offset..last.offset + last.text.len()], ..*first })
    };
    paragraphs.filter_map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered<'a>(segments: &[Segment<'a>]) -> Vec<(usize, &'a str)> {
        segments.iter().map(|segment| (segment.line, std::str::from_utf8(segment.text).unwrap())).collect()
    }

    #[test]
    fn lines_exclude_line_ends_and_blank_lines() {
        let text = b"one\n\n two \r\n \t\r\n\nthree";
        assert_eq!(numbered(&split_lines(text)), [(1, "one"), (3, " two "), (6, "three")]);
        assert!(split_lines(text).iter().all(|line| text[line.offset..].starts_with(line.text)));
        assert_eq!(split_lines(b"\n \n"), []);
    }

    #[test]
    fn paragraphs_include_their_inner_line_ends() {
        let text = b"\n\none\ntwo\r\n  \nthree\r\n\r\nfour\nfive\n";
        assert_eq!(numbered(&split_paragraphs(text)), [(3, "one\ntwo"), (6, "three"), (8, "four\nfive")]);
        assert!(split_paragraphs(text).iter().all(|block| text[block.offset..].starts_with(block.text)));
        assert_eq!(split_paragraphs(b""), []);
    }
}
