//! How often each token occurs.

use std::ops::Range;

use rayon::prelude::*;

use super::{corpus::Corpus, vocab::Vocab};

const CHUNK: usize = 1 << 20;

/// Counts each token of `vocab` in characters `range` of a corpus, in parallel. Skips characters that are not in the vocabulary.
pub fn count_tokens(corpus: &Corpus, range: Range<usize>, vocab: &Vocab) -> Vec<u64> {
    let zeros = || vec![0; vocab.len()];
    let count_chunk = |mut counts: Vec<u64>, first: usize| {
        let mut cursor = corpus.cursor(first);
        for _ in first..range.end.min(first + CHUNK) {
            if let Some(id) = cursor.next(corpus).and_then(|symbol| vocab.id(symbol)) {
                counts[id as usize] += 1;
            }
        }
        counts
    };
    let add = |mut a: Vec<u64>, b: Vec<u64>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let chunks = range.len().div_ceil(CHUNK);
    let starts = (0..chunks).into_par_iter().map(|chunk| range.start + chunk * CHUNK);
    starts.fold(zeros, count_chunk).reduce(zeros, add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;

    #[test]
    fn counts_only_the_given_range() {
        let text = format!("\u{e9}{}", "ab\u{e9}c".repeat(CHUNK));
        let corpus = Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, "\u{e9}az".chars().map(u32::from));
        assert_eq!(count_tokens(&corpus, 0..corpus.chars(), &vocab), [CHUNK as u64, 0, CHUNK as u64 + 1]);
        assert_eq!(count_tokens(&corpus, 2..4 * CHUNK - 1, &vocab), [CHUNK as u64 - 1, 0, CHUNK as u64 - 1]);
        assert_eq!(count_tokens(&corpus, 7..7, &vocab), [0; 3]);
    }
}
