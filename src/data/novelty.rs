//! What a text copies from a corpus: is it new, or learned by heart?

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::encoding::is_continuation_byte;
use super::suffixes::{MOST, Suffixes};
use super::{Corpus, Encoding, Segment};
use crate::error::{Error, Result};

/// Bytes between two places up to which the line ends are counted.
const BLOCK: usize = 4096;

/// A corpus in which copied text is looked for, exactly. Takes five bytes for each of the corpus, and seconds for texts of
/// megabytes; only where corpus and text both repeat the same few characters for many thousands does the time grow with that
/// length.
#[derive(Debug)]
pub struct Novelty {
    suffixes: Suffixes,
    encoding: Encoding,
    /// The files, each with the bytes before it.
    files: Vec<(PathBuf, usize)>,
    /// Line ends before each block of [`BLOCK`] bytes.
    ends: Vec<usize>,
}

/// Characters of a text that stand in the corpus, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Characters.
    pub chars: usize,
    /// Bytes of the text before them.
    pub from: usize,
    /// Their bytes.
    pub len: usize,
    /// A byte of the corpus from which on they stand there.
    pub at: usize,
}

/// How much of a text is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Characters of the text.
    pub chars: usize,
    /// Those of them that lie in copied spans that are long enough; where spans overlap they count once.
    pub copied: usize,
    /// The longest copied span, the first of equals; `None` where no character is in the corpus.
    pub longest: Option<Span>,
}

impl Copied {
    /// The share of the text that is copied, 0 to 1; 0 of a text without characters.
    pub fn share(&self) -> f64 {
        self.copied as f64 / self.chars.max(1) as f64
    }
}

impl Novelty {
    /// The first `chars` characters of a corpus, made ready.
    ///
    /// # Errors
    /// [`Error::Corpus`] for 2 GiB or more.
    pub fn against(corpus: &Corpus, chars: usize) -> Result<Self> {
        let bytes = corpus.prefix(chars).map(|(_, bytes)| bytes.len()).sum();
        validate(corpus.name(), bytes)?;
        // A copy, since a file may change underneath.
        let (mut text, mut files) = (Vec::with_capacity(bytes), Vec::new());
        for (name, bytes) in corpus.prefix(chars) {
            files.push((name.to_owned(), text.len()));
            text.extend_from_slice(bytes);
        }
        corpus.check_not_truncated()?;
        let ends = text.chunks(BLOCK).scan(0, |ends, block| {
            let before = *ends;
            *ends += line_ends(block);
            Some(before)
        });
        let ends = ends.collect();
        Ok(Novelty { suffixes: Suffixes::new(text)?, encoding: corpus.encoding(), files, ends })
    }

    /// How much of each passage is copied, in spans of more than `most` characters. No span is longer than its passage, and none
    /// has a part of a character.
    pub fn copied(&self, passages: &[Segment<'_>], most: usize) -> Vec<Copied> {
        passages.par_iter().map(|passage| self.copied_of(passage.text, most)).collect()
    }

    /// The file and the line, from 1, of a byte of the corpus.
    pub fn place(&self, at: usize) -> (&Path, usize) {
        let file = self.files.partition_point(|(_, before)| *before <= at).saturating_sub(1);
        let (name, before) =
            self.files.get(file).map_or((Path::new(""), 0), |(name, before)| (name.as_path(), *before));
        (name, 1 + self.ends_before(at) - self.ends_before(before))
    }

    fn ends_before(&self, at: usize) -> usize {
        let block = at / BLOCK;
        self.ends.get(block).map_or(0, |ends| ends + line_ends(&self.suffixes.text()[block * BLOCK..at]))
    }

    fn copied_of(&self, text: &[u8], most: usize) -> Copied {
        let mut found = Copied { chars: self.chars(text), ..Copied::default() };
        let mut counted = 0;
        let mut span = self.span(text, 0);
        loop {
            if span.chars > found.longest.map_or(0, |longest| longest.chars) {
                found.longest = Some(span);
            }
            let end = span.from + span.len;
            if span.chars > most {
                found.copied += self.chars(&text[counted.max(span.from)..end]);
                counted = end;
            }
            if end == text.len() {
                return found;
            }
            span = self.next(text, &span);
        }
    }

    /// The longest span that begins with the first character from byte `from` on.
    fn span(&self, text: &[u8], from: usize) -> Span {
        let whole = |at: &usize| self.is_boundary(text, *at);
        let from = (from..text.len()).find(whole).unwrap_or(text.len());
        let found = self.suffixes.longest(&text[from..]);
        let end = (from..=from + found.len).rev().find(whole).unwrap_or(from);
        Span { chars: self.chars(&text[from..end]), from, len: end - from, at: found.at }
    }

    /// The first span that ends behind `last`; those that begin between the two are parts of `last`. A span that begins later never
    /// ends earlier, so the search doubles its steps and then halves them. `last` must end before the text.
    fn next(&self, text: &[u8], last: &Span) -> Span {
        let end = last.from + last.len;
        let reaches = |span: &Span| span.from + span.len > end;
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

    /// Whether a character ends or begins at a byte.
    fn is_boundary(&self, text: &[u8], at: usize) -> bool {
        self.encoding == Encoding::Bytes || text.get(at).is_none_or(|&byte| !is_continuation_byte(byte))
    }

    fn chars(&self, text: &[u8]) -> usize {
        match self.encoding {
            Encoding::Bytes => text.len(),
            Encoding::Utf8 => text.iter().filter(|byte| !is_continuation_byte(**byte)).count(),
        }
    }
}

fn validate(name: &Path, bytes: usize) -> Result<()> {
    if bytes <= MOST {
        return Ok(());
    }
    let problem =
        format!("{bytes} bytes, but less than 2 GiB can be searched; compare with its parts, one after another");
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

    fn novelty(text: &str) -> Novelty {
        let corpus = corpus(text, Encoding::Utf8);
        Novelty::against(&corpus, corpus.chars()).unwrap()
    }

    /// The longest span and the characters copied, each span looked for from place to place.
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
        fn agrees_with_a_search_from_place_to_place(
            source in "[ab\n\u{e9}\u{e8}\u{129}\u{20ac}\u{20ad}]{1,90}",
            text in "[abc\u{e9}\u{e8}\u{129}\u{20ac}\u{20ad}]{1,40}",
            copy in 0usize..60,
            most in 0usize..8,
        ) {
            let copy: String = source.chars().skip(copy).take(20).collect();
            let text = format!("{text}{copy}{text}");
            let novelty = novelty(&source);
            let passages = split_paragraphs(text.as_bytes());
            for (passage, found) in passages.iter().zip(novelty.copied(&passages, most)) {
                let text = std::str::from_utf8(passage.text).unwrap();
                let (longest, copied) = naive(&source, text, most);
                prop_assert_eq!((found.chars, found.copied), (text.chars().count(), copied));
                prop_assert_eq!(found.longest.map_or(0, |span| span.chars), longest);
                if let Some(Span { chars, from, len, at }) = found.longest {
                    prop_assert_eq!(&source[at..at + len], &text[from..from + len]);
                    prop_assert_eq!(source[at..at + len].chars().count(), chars);
                }
            }
        }

        #[test]
        fn bytes_are_compared_as_bytes(source in proptest::collection::vec(126u8..130, 1..60), from in 0usize..60) {
            let corpus = corpus(source.clone(), Encoding::Bytes);
            let novelty = Novelty::against(&corpus, corpus.chars()).unwrap();
            let copy = &source[from.min(source.len() - 1)..];
            let text = [copy, &[200], copy].concat();
            let found = novelty.copied(&split_lines(&text), copy.len() - 1)[0];
            prop_assert_eq!((found.chars, found.copied), (text.len(), text.len() - 1));
        }
    }

    #[test]
    fn spans_end_with_their_line_and_not_with_their_paragraph() {
        let novelty = novelty("the fox\nmet a crow\nand left");
        let text = b"the fox\nmet a crow\n\nand left";
        let chars = |passages: &[Segment<'_>]| {
            let found = novelty.copied(passages, 8);
            found.iter().map(|found| (found.longest.unwrap().chars, found.copied)).collect::<Vec<_>>()
        };
        assert_eq!(chars(&split_lines(text)), [(7, 0), (10, 10), (8, 0)]);
        assert_eq!(chars(&split_paragraphs(text)), [(18, 18), (8, 0)]);
    }

    #[test]
    fn overlapping_spans_count_once() {
        let found = novelty("abcdef--cdefgh--xy").copied(&split_lines(b"abcdefgh.xy"), 3)[0];
        assert_eq!((found.chars, found.copied, found.longest.unwrap().chars), (11, 8, 6));
        assert!((found.share() - 8.0 / 11.0).abs() < 1e-12);
        let none = novelty("abc").copied(&split_lines(b"xyz"), 0)[0];
        assert_eq!((none.longest, none.share()), (None, 0.0));
    }

    #[test]
    fn a_text_copied_whole_takes_no_more_than_one_search() {
        // Looked up from every place, these would be a million million comparisons.
        let text: String = (0..1_000_000u64).map(|i| char::from(b'a' + (i * i / 7 % 23) as u8)).collect();
        let found = novelty(&text).copied(&split_lines(text.as_bytes()), 20)[0];
        assert_eq!((found.copied, found.longest.unwrap().chars), (1_000_000, 1_000_000));
    }

    #[test]
    fn places_are_told_by_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a line of nineteen.\n".repeat(1000);
        for (name, text) in [("a.txt", "one\ntwo\n"), ("b.txt", ""), ("c.txt", &*long), ("d.txt", "the end\nof it")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let corpus = Corpus::open(&[folder.path().into()], Encoding::Utf8).unwrap();
        let novelty = Novelty::against(&corpus, corpus.chars()).unwrap();
        let place = |at| {
            let (file, line) = novelty.place(at);
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
    fn only_the_beginning_that_was_asked_for_is_searched() {
        let corpus = corpus("\u{e9}\u{e9}learned\u{e9}held out", Encoding::Utf8);
        let longest = |text: &[u8]| {
            let found = Novelty::against(&corpus, 10).unwrap().copied(&split_lines(text), 0)[0];
            found.longest.map_or(0, |span| span.chars)
        };
        assert_eq!((longest("\u{e9}learned\u{e9}held".as_bytes()), longest(b"out")), (9, 0));
        assert!(Novelty::against(&corpus, 0).unwrap().copied(&split_lines(b"a"), 0)[0].longest.is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(validate(Path::new("big.txt"), MOST).is_ok());
        let error = validate(Path::new("big.txt"), MOST + 1).unwrap_err();
        assert!(matches!(error, Error::Corpus { .. }));
        assert!(error.to_string().starts_with("big.txt: 2147483648 bytes"), "{error}");
    }
}
