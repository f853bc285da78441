//! Scanning, decoding and splitting of a text.
//!
//! The first byte sets where a chunk of the parallel scan ends, the second where the text is split into two files; the rest is the text.

use charlstm::data::{self, Corpus, Encoding, RecordHashes, RecordIndex, RecordKind, RecordPart, Vocab};
use charlstm::error::{Error, Result};

use super::ok;

/// Bytes per chunk when scanning a short text.
const CHUNK: usize = 1 << 16;
/// The maximum number of chunk boundaries to test: filling a chunk takes much longer than all other checks.
const MAX_BOUNDARY: u8 = 32;

pub fn check(bytes: &[u8]) {
    let Some((&[end, cut], text)) = bytes.split_first_chunk() else { return };
    let within = |at: u8| usize::from(at) % (text.len() + 1);
    check_decoding(text, 0);
    if end < MAX_BOUNDARY {
        let before = CHUNK - within(end);
        check_decoding(&[&b"a".repeat(before)[..], text].concat(), before);
    }
    check_two_files(text.split_at(within(cut)));
    check_bytes(text);
    check_segments(text);
}

fn corpus(text: &[u8], encoding: Encoding) -> Result<Corpus> {
    Corpus::from_text("text", text.to_vec(), encoding)
}

/// The characters starting at index `from`.
fn decoded(corpus: &Corpus, from: usize) -> Vec<u32> {
    let mut cursor = corpus.cursor(from);
    std::iter::from_fn(|| cursor.next(corpus)).collect()
}

/// Checks that decoding agrees with the standard library from index `from` and from the middle, and so does the position of invalid UTF-8.
fn check_decoding(text: &[u8], from: usize) {
    let Some(text) = ok(data::check_text("text".as_ref(), text)) else { return };
    let expected = std::str::from_utf8(text);
    let corpus = match (corpus(text, Encoding::Utf8), expected) {
        (Ok(corpus), Ok(_)) => corpus,
        (Err(Error::NotUtf8 { byte, .. }), Err(e)) => return assert_eq!(byte, e.valid_up_to()),
        (Err(Error::Corpus { .. }), Ok("")) => return,
        (found, _) => panic!("{found:?}, not {expected:?}"),
    };
    let chars: Vec<u32> = expected.unwrap_or_default().chars().map(u32::from).collect();
    let vocab = Vocab::new(Encoding::Utf8, chars.iter().copied());
    assert_eq!((corpus.chars(), corpus.symbols()), (chars.len(), vocab.symbols()));
    let middle = (from + chars.len()) / 2;
    assert!(decoded(&corpus, from) == chars[from..] && decoded(&corpus, middle) == chars[middle..]);
    assert!(decoded(&corpus, chars.len() + 1).is_empty());
    let ids = vocab.encode(text).expect("the vocabulary contains every character");
    assert!(vocab.decode(ids) == text && vocab.to_symbols(text) == chars);
}

/// Checks that two files decode like their concatenation.
fn check_two_files((first, second): (&[u8], &[u8])) {
    if second.starts_with("\u{feff}".as_bytes()) {
        return;
    }
    let (Some(a), Some(b)) = (ok(corpus(first, Encoding::Utf8)), ok(corpus(second, Encoding::Utf8))) else {
        return;
    };
    let whole = [decoded(&a, 0), decoded(&b, 0)].concat();
    let joined = b.with_prefix(&a, a.chars()).expect("both are valid");
    assert!((0..=whole.len().min(9)).all(|from| decoded(&joined, from) == whole[from..]));
    if let Some(both) = ok(corpus(&[first, second].concat(), Encoding::Utf8)) {
        assert_eq!(joined.identity(), both.identity());
    }
}

/// Checks that any byte sequence is a valid byte corpus.
fn check_bytes(text: &[u8]) {
    let Some(corpus) = ok(corpus(text, Encoding::Bytes)) else { return };
    assert!(decoded(&corpus, 0) == text.iter().map(|byte| u32::from(*byte)).collect::<Vec<_>>());
    let mut set = RecordHashes::default();
    set.add(&corpus, RecordKind::Line).unwrap();
    assert!(data::split_lines(text).iter().all(|line| set.contains(line.text)));
    for kind in [RecordKind::Line, RecordKind::Block, RecordKind::File] {
        let Some(index) = ok(RecordIndex::new(&corpus, kind, 0.5)) else { continue };
        let counts = [RecordPart::Training, RecordPart::HeldOut].map(|part| index.counts(part).records);
        assert_eq!(counts[0] + counts[1], index.count());
    }
}

/// Checks that segments occur in the text at their offsets, in order, and omit only white space.
fn check_segments(text: &[u8]) {
    for segments in [data::split_lines(text), data::split_paragraphs(text)] {
        let mut rest = 0;
        for segment in segments {
            assert!(text[segment.offset..].starts_with(segment.text) && !segment.text.trim_ascii().is_empty());
            assert!(text[rest..segment.offset].trim_ascii().is_empty());
            assert_eq!(segment.line, 1 + text[..segment.offset].iter().filter(|byte| **byte == b'\n').count());
            rest = segment.offset + segment.text.len();
        }
        assert!(text[rest..].trim_ascii().is_empty());
    }
}
