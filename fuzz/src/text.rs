//! A text, as it is cut into pieces, decoded and split into lines.
//!
//! The first byte says after how many bytes of the text a piece of the scan ends, if they are few, the second where the text is cut into
//! two files; the rest is the text.

use charlstm::data::{self, Corpus, Encoding, LineHashes, Vocab};
use charlstm::error::{Error, Result};

use super::told;

/// Bytes of a piece of the scan of a short text.
const PIECE: usize = 1 << 16;
/// As far into a text a piece may end: to fill one takes a hundred times what all else does.
const FEW: u8 = 32;

pub fn check(bytes: &[u8]) {
    let Some((&[end, cut], text)) = bytes.split_first_chunk() else { return };
    let within = |at: u8| usize::from(at) % (text.len() + 1);
    agrees(text, 0);
    if end < FEW {
        let before = PIECE - within(end);
        agrees(&[&b"a".repeat(before)[..], text].concat(), before);
    }
    cut_in_two(text.split_at(within(cut)));
    of_bytes(text);
    in_passages(text);
}

fn corpus(text: &[u8], encoding: Encoding) -> Result<Corpus> {
    Corpus::from_text("text", text.to_vec(), encoding)
}

/// The characters from the one numbered `from` on.
fn decoded(corpus: &Corpus, from: usize) -> Vec<u32> {
    let mut cursor = corpus.cursor(from);
    std::iter::from_fn(|| cursor.next(corpus)).collect()
}

/// The characters are those of the standard library, from the one numbered `from` and from any one in the middle; what is not UTF-8
/// is told with its place.
fn agrees(text: &[u8], from: usize) {
    let wanted = match (text, std::str::from_utf8(text)) {
        (_, Err(e)) => Err(format!("not UTF-8 at byte {};", e.valid_up_to())),
        ([], _) => Err("empty".into()),
        (_, Ok(text)) => Ok(text),
    };
    let corpus = match (corpus(text, Encoding::Utf8), &wanted) {
        (Ok(corpus), Ok(_)) => corpus,
        (Err(e @ Error::Corpus { .. }), Err(problem)) => return assert!(e.to_string().contains(problem), "{e}"),
        (found, _) => panic!("{found:?}, not {wanted:?}"),
    };
    let chars: Vec<u32> = wanted.unwrap_or_default().chars().map(u32::from).collect();
    let vocab = Vocab::new(Encoding::Utf8, chars.iter().copied());
    assert_eq!((corpus.chars(), corpus.symbols()), (chars.len(), vocab.symbols()));
    let middle = (from + chars.len()) / 2;
    assert!(decoded(&corpus, from) == chars[from..] && decoded(&corpus, middle) == chars[middle..]);
    assert!(decoded(&corpus, chars.len() + 1).is_empty());
    let ids = vocab.encode(text).expect("it knows every character");
    assert!(vocab.decode(ids) == text && vocab.to_symbols(text) == chars);
}

/// Two files are one text.
fn cut_in_two((first, second): (&[u8], &[u8])) {
    let (Some(a), Some(b)) = (told(corpus(first, Encoding::Utf8)), told(corpus(second, Encoding::Utf8))) else {
        return;
    };
    let whole = [decoded(&a, 0), decoded(&b, 0)].concat();
    let joined = b.with_prefix(&a, a.chars()).expect("both are sound");
    assert!((0..=whole.len().min(9)).all(|from| decoded(&joined, from) == whole[from..]));
    assert_eq!(
        joined.identity(),
        corpus(&[first, second].concat(), Encoding::Utf8).expect("both are sound").identity()
    );
}

/// As bytes any text is sound.
fn of_bytes(text: &[u8]) {
    let Some(corpus) = told(corpus(text, Encoding::Bytes)) else { return };
    assert!(decoded(&corpus, 0) == text.iter().map(|byte| u32::from(*byte)).collect::<Vec<_>>());
    let mut set = LineHashes::default();
    set.add(&corpus).unwrap();
    let lines: Vec<&[u8]> = corpus.lines().collect();
    assert!(lines.iter().all(|line| set.contains(line)));
    assert_eq!(lines.join(&b"\n"[..]), text.strip_suffix(b"\n").unwrap_or(text));
}

/// Passages stand in the text where they say, in order, and leave out nothing but blanks and line ends.
fn in_passages(text: &[u8]) {
    for passages in [data::split_lines(text), data::split_paragraphs(text)] {
        let mut rest = 0;
        for passage in passages {
            assert!(text[passage.offset..].starts_with(passage.text) && !passage.text.trim_ascii().is_empty());
            assert!(text[rest..passage.offset].trim_ascii().is_empty());
            assert_eq!(passage.line, 1 + text[..passage.offset].iter().filter(|byte| **byte == b'\n').count());
            rest = passage.offset + passage.text.len();
        }
        assert!(text[rest..].trim_ascii().is_empty());
    }
}
