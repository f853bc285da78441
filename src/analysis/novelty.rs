//! How much of a text is copied from a corpus, to tell new text from memorized text.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::suffix_array::{MAX_BYTES, SuffixArray};
use crate::data::{Corpus, Encoding, Segment, is_continuation_byte};
use crate::error::{Error, Result};

/// Line ends are counted once per block of this many bytes.
const BLOCK: usize = 4096;

/// An index of a corpus that finds text copied verbatim from it. It takes five bytes per byte of the corpus, and seconds for texts of
/// megabytes; long runs of the same few characters in both corpus and text take longer.
#[derive(Debug)]
pub struct CorpusIndex {
    suffix_array: SuffixArray,
    encoding: Encoding,
    /// The files, each with the number of bytes before it.
    files: Vec<(PathBuf, usize)>,
    /// The number of line ends before each block of [`BLOCK`] bytes.
    ends: Vec<usize>,
}

/// Consecutive characters of a text that also occur in the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedSpan {
    /// The length in characters.
    pub chars: usize,
    /// The start in the text, in bytes.
    pub from: usize,
    /// The length in bytes.
    pub len: usize,
    /// The byte position of one of their occurrences in the corpus.
    pub at: usize,
}

/// How much of a text is copied from the corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyStats {
    /// The length of the text in characters.
    pub chars: usize,
    /// Characters in copied spans longer than the limit; overlapping spans count once.
    pub copied: usize,
    /// The longest copied span (the first one if several are equally long); `None` if no character occurs in the corpus.
    pub longest: Option<CopiedSpan>,
}

impl CopyStats {
    /// The fraction of the text that is copied, 0 to 1; 0 for an empty text.
    pub fn share(&self) -> f64 {
        self.copied as f64 / self.chars.max(1) as f64
    }
}

impl CorpusIndex {
    /// Indexes the first `chars` characters of a corpus.
    ///
    /// # Errors
    /// [`Error::Corpus`] if the text is 2 GiB or larger.
    pub fn new(corpus: &Corpus, chars: usize) -> Result<Self> {
        let bytes = corpus.prefix(chars).map(|(_, bytes)| bytes.len()).sum();
        check_size(corpus.name(), bytes)?;
        // Copied, because a memory-mapped file may change.
        let (mut text, mut files) = (Vec::with_capacity(bytes), Vec::new());
        for (name, bytes) in corpus.prefix(chars) {
            files.push((name.to_owned(), text.len()));
            text.extend_from_slice(&corpus.encoding().convert_line_ends(bytes));
        }
        corpus.check_not_truncated()?;
        let ends = text.chunks(BLOCK).scan(0, |ends, block| {
            let before = *ends;
            *ends += line_ends(block);
            Some(before)
        });
        let ends = ends.collect();
        Ok(CorpusIndex { suffix_array: SuffixArray::new(text)?, encoding: corpus.encoding(), files, ends })
    }

    /// How much of each segment is copied in spans of more than `limit` characters. Spans do not cross segments and consist of
    /// whole characters.
    pub fn copied(&self, segments: &[Segment<'_>], limit: usize) -> Vec<CopyStats> {
        segments.par_iter().map(|segment| self.segment_stats(segment.text, limit)).collect()
    }

    /// The file and the line number (starting at 1) of a byte position in the corpus.
    pub fn file_and_line(&self, at: usize) -> (&Path, usize) {
        let file = self.files.partition_point(|(_, before)| *before <= at).saturating_sub(1);
        let (name, before) =
            self.files.get(file).map_or((Path::new(""), 0), |(name, before)| (name.as_path(), *before));
        (name, 1 + self.line_ends_before(at) - self.line_ends_before(before))
    }

    fn line_ends_before(&self, at: usize) -> usize {
        let block = at / BLOCK;
        self.ends.get(block).map_or(0, |ends| ends + line_ends(&self.suffix_array.text()[block * BLOCK..at]))
    }

    fn segment_stats(&self, text: &[u8], limit: usize) -> CopyStats {
        let mut found = CopyStats { chars: self.chars(text), ..CopyStats::default() };
        let mut counted = 0;
        let mut span = self.span(text, 0);
        loop {
            if span.chars > found.longest.map_or(0, |longest| longest.chars) {
                found.longest = Some(span);
            }
            let end = span.from + span.len;
            if span.chars > limit {
                found.copied += self.chars(&text[counted.max(span.from)..end]);
                counted = end;
            }
            if end == text.len() {
                return found;
            }
            span = self.next_span(text, &span);
        }
    }

    /// The longest span that starts with the first character at or after byte `from`.
    fn span(&self, text: &[u8], from: usize) -> CopiedSpan {
        let whole = |at: &usize| self.is_boundary(text, *at);
        let from = (from..text.len()).find(whole).unwrap_or(text.len());
        let found = self.suffix_array.longest(&text[from..]);
        let end = (from..=from + found.len).rev().find(whole).unwrap_or(from);
        CopiedSpan { chars: self.chars(&text[from..end]), from, len: end - from, at: found.at }
    }

    /// The first span that ends after `last`; all spans that start between the two are contained in `last`. Since a span that
    /// starts later never ends earlier, the search doubles its steps and then bisects. `last` must end before the text does.
    fn next_span(&self, text: &[u8], last: &CopiedSpan) -> CopiedSpan {
        let end = last.from + last.len;
        let reaches = |span: &CopiedSpan| span.from + span.len > end;
        let mut step = 1;
        let mut found = loop {
            let span = self.span(text, (last.from + step).min(end + 1));
            if reaches(&span) {
                break span;
            }
            step *= 2;
        };
        let (mut low, mut high) = (last.from + step / 2 + 1, found.from);
        while low < high {
            let middle = low.midpoint(high);
            let span = self.span(text, middle);
            if reaches(&span) {
                (found, high) = (span, middle);
            } else {
                low = middle + 1;
            }
        }
        found
    }

    fn is_boundary(&self, text: &[u8], at: usize) -> bool {
        self.encoding == Encoding::Bytes || text.get(at).is_none_or(|&byte| !is_continuation_byte(byte))
    }

    fn chars(&self, text: &[u8]) -> usize {
        match self.encoding {
            Encoding::Bytes => text.len(),
            Encoding::Utf8 | Encoding::Utf8Lf => text.iter().filter(|byte| !is_continuation_byte(**byte)).count(),
        }
    }
}

fn check_size(name: &Path, bytes: usize) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let problem =
        format!("{bytes} bytes, but the limit is just under 2 GiB; split the corpus and search each part separately");
    Err(Error::corpus(name, problem))
}

fn line_ends(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{split_lines, split_paragraphs};
    use proptest::prelude::*;

    fn corpus(text: impl Into<Vec<u8>>, encoding: Encoding) -> Corpus {
        Corpus::from_text("corpus", text.into(), encoding).unwrap()
    }

    fn index(text: &str) -> CorpusIndex {
        let corpus = corpus(text, Encoding::Utf8);
        CorpusIndex::new(&corpus, corpus.chars()).unwrap()
    }

    /// The length of the longest span and the number of copied characters, found by brute force.
    fn naive(corpus: &str, text: &str, most: usize) -> (usize, usize) {
        let chars: Vec<char> = text.chars().collect();
        let (mut longest, mut marked) = (0, vec![false; chars.len()]);
        for from in 0..chars.len() {
            for end in from + 1..=chars.len() {
                let span: String = chars[from..end].iter().collect();
                if corpus.contains(&span) {
                    longest = longest.max(end - from);
                    if end - from > most {
                        marked[from..end].fill(true);
                    }
                }
            }
        }
        (longest, marked.iter().filter(|marked| **marked).count())
    }

    proptest! {
        // Some of these characters begin or end with the same bytes as others.
        #[test]
        fn agrees_with_a_linear_search(
            source in "[ab\n\u{e9}\u{e8}\u{129}\u{20ac}\u{20ad}]{1,90}",
            text in "[abc\u{e9}\u{e8}\u{129}\u{20ac}\u{20ad}]{1,40}",
            copy in 0usize..60,
            most in 0usize..8,
        ) {
            let copy: String = source.chars().skip(copy).take(20).collect();
            let text = format!("{text}{copy}{text}");
            let index = index(&source);
            let passages = split_paragraphs(text.as_bytes());
            for (passage, found) in passages.iter().zip(index.copied(&passages, most)) {
                let text = std::str::from_utf8(passage.text).unwrap();
                let (longest, copied) = naive(&source, text, most);
                prop_assert_eq!((found.chars, found.copied), (text.chars().count(), copied));
                prop_assert_eq!(found.longest.map_or(0, |span| span.chars), longest);
                if let Some(CopiedSpan { chars, from, len, at }) = found.longest {
                    prop_assert_eq!(&source[at..at + len], &text[from..from + len]);
                    prop_assert_eq!(source[at..at + len].chars().count(), chars);
                }
            }
        }

        #[test]
        fn byte_corpora_are_compared_bytewise(source in proptest::collection::vec(126u8..130, 1..60), from in 0usize..60) {
            let corpus = corpus(source.clone(), Encoding::Bytes);
            let index = CorpusIndex::new(&corpus, corpus.chars()).unwrap();
            let copy = &source[from.min(source.len() - 1)..];
            let text = [copy, &[200], copy].concat();
            let found = index.copied(&split_lines(&text), copy.len() - 1)[0];
            prop_assert_eq!((found.chars, found.copied), (text.len(), text.len() - 1));
        }
    }

    #[test]
    fn spans_do_not_cross_segments() {
        let index = index("the fox\nmet a crow\nand left");
        let text = b"the fox\nmet a crow\n\nand left";
        let chars = |passages: &[Segment<'_>]| {
            let found = index.copied(passages, 8);
            found.iter().map(|found| (found.longest.unwrap().chars, found.copied)).collect::<Vec<_>>()
        };
        assert_eq!(chars(&split_lines(text)), [(7, 0), (10, 10), (8, 0)]);
        assert_eq!(chars(&split_paragraphs(text)), [(18, 18), (8, 0)]);
    }

    #[test]
    fn overlapping_spans_count_once() {
        let found = index("abcdef==cdefgh==xy").copied(&split_lines(b"abcdefgh.xy"), 3)[0];
        assert_eq!((found.chars, found.copied, found.longest.unwrap().chars), (11, 8, 6));
        assert!((found.share() - 8.0 / 11.0).abs() < 1e-12);
        let none = index("abc").copied(&split_lines(b"xyz"), 0)[0];
        assert_eq!((none.longest, none.share()), (None, 0.0));
    }

    #[test]
    fn fully_copied_text_takes_one_search() {
        // Searching from every position would take 10^12 comparisons.
        let text: String = (0..1_000_000u64).map(|i| char::from(b'a' + (i * i / 7 % 23) as u8)).collect();
        let found = index(&text).copied(&split_lines(text.as_bytes()), 20)[0];
        assert_eq!((found.copied, found.longest.unwrap().chars), (1_000_000, 1_000_000));
    }

    #[test]
    fn positions_have_a_file_and_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a line of nineteen.\n".repeat(1000);
        for (name, text) in [("a.txt", "one\ntwo\n"), ("b.txt", ""), ("c.txt", &*long), ("d.txt", "the end\nof it")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let corpus = Corpus::open(&[folder.path().into()], Encoding::Utf8).unwrap();
        let index = CorpusIndex::new(&corpus, corpus.chars()).unwrap();
        let place = |at| {
            let (file, line) = index.file_and_line(at);
            (file.file_name().unwrap().to_str().unwrap(), line)
        };
        assert_eq!([place(0), place(3), place(4)], [("a.txt", 1), ("a.txt", 1), ("a.txt", 2)]);
        for line in [0, 1, 204, 205, 499, 999] {
            assert_eq!(place(8 + 20 * line), ("c.txt", 1 + line));
            assert_eq!(place(8 + 20 * line + 19), ("c.txt", 1 + line));
        }
        assert_eq!([place(20_008), place(20_016)], [("d.txt", 1), ("d.txt", 2)]);
    }

    #[test]
    fn only_the_requested_prefix_is_searched() {
        let corpus = corpus("\u{e9}\u{e9}learned\u{e9}held out", Encoding::Utf8);
        let longest = |text: &[u8]| {
            let found = CorpusIndex::new(&corpus, 10).unwrap().copied(&split_lines(text), 0)[0];
            found.longest.map_or(0, |span| span.chars)
        };
        assert_eq!((longest("\u{e9}learned\u{e9}held".as_bytes()), longest(b"out")), (9, 0));
        assert!(CorpusIndex::new(&corpus, 0).unwrap().copied(&split_lines(b"a"), 0)[0].longest.is_none());
    }

    #[cfg(unix)]
    #[test]
    fn rejects_a_truncated_corpus() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "a line\n".repeat(10_000)).unwrap();
        let corpus = Corpus::open(std::slice::from_ref(&path), Encoding::Utf8).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
        assert!(matches!(CorpusIndex::new(&corpus, corpus.chars()), Err(Error::Changed { .. })));
    }

    #[test]
    fn rejects_a_corpus_that_is_too_large() {
        assert!(check_size(Path::new("big.txt"), MAX_BYTES).is_ok());
        let error = check_size(Path::new("big.txt"), MAX_BYTES + 1).unwrap_err();
        assert!(matches!(error, Error::Corpus { .. }));
        assert!(error.to_string().starts_with("big.txt: 2147483648 bytes"), "{error}");
    }
}
