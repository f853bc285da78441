//! How often characters occur.

use std::ops::Range;

use rayon::prelude::*;

use super::corpus::Corpus;
use super::vocab::Vocab;

/// Characters that one task reads.
const PIECE: usize = 1 << 20;

/// How often each of some characters occurs in a part of a corpus, in the order of their ids. One parallel pass.
pub fn count_tokens(corpus: &Corpus, part: Range<usize>, of: &Vocab) -> Vec<u64> {
    let none = || vec![0; of.len()];
    let add_piece = |mut counts: Vec<u64>, first: usize| {
        let mut cursor = corpus.cursor(first);
        for _ in first..part.end.min(first + PIECE) {
            if let Some(id) = cursor.next(corpus).and_then(|symbol| of.id(symbol)) {
                counts[id as usize] += 1;
            }
        }
        counts
    };
    let add = |mut a: Vec<u64>, b: Vec<u64>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let pieces = part.len().div_ceil(PIECE);
    let firsts = (0..pieces).into_par_iter().map(|piece| part.start + piece * PIECE);
    firsts.fold(none, add_piece).reduce(none, add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;

    #[test]
    fn a_part_is_counted_and_nothing_beside_it() {
        let text = format!("\u{e9}{}", "ab\u{e9}c".repeat(PIECE));
        let corpus = Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap();
        let of = Vocab::new(Encoding::Utf8, "\u{e9}az".chars().map(u32::from));
        assert_eq!(count_tokens(&corpus, 0..corpus.chars(), &of), [PIECE as u64, 0, PIECE as u64 + 1]);
        assert_eq!(count_tokens(&corpus, 2..4 * PIECE - 1, &of), [PIECE as u64 - 1, 0, PIECE as u64 - 1]);
        assert_eq!(count_tokens(&corpus, 7..7, &of), [0; 3]);
    }
}
