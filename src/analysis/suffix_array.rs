//! A text with its suffix array, for fast exact search (Manber & Myers 1993).

use libsais::SuffixArrayConstruction;

use crate::error::{Error, Result};

/// The maximum length of a text in bytes: its positions are 32-bit numbers.
pub(super) const MAX_BYTES: usize = i32::MAX as usize;

/// A text of at most [`MAX_BYTES`] bytes and its suffix array, together five bytes per byte of text.
#[derive(Debug)]
pub(super) struct SuffixArray {
    text: Vec<u8>,
    /// The starts of the suffixes in lexicographic order.
    order: Vec<i32>,
}

/// The longest prefix of a pattern that occurs in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Its length in bytes.
    pub len: usize,
    /// A position in the text where it occurs.
    pub at: usize,
}

impl SuffixArray {
    pub fn new(text: Vec<u8>) -> Result<Self> {
        let sorted = SuffixArrayConstruction::for_text(&text).in_owned_buffer32().single_threaded().run();
        let order = sorted.map_err(|e| Error::Internal(format!("the suffix array cannot be built: {e}")))?.into_vec();
        Ok(SuffixArray { text, order })
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// A binary search for the pattern among the suffixes; the longest match is one of its two neighbours. The prefix that the
    /// pattern shares with the nearest suffixes examined so far on both sides is shared by all suffixes between them.
    pub fn longest(&self, pattern: &[u8]) -> Match {
        let (mut low, mut high) = (0, self.order.len());
        let [mut below, mut above] = [Match { len: 0, at: 0 }; 2];
        while low < high {
            let middle = low.midpoint(high);
            let at = self.order[middle] as usize;
            let known = below.len.min(above.len);
            let len = known + common_prefix(&self.text[at + known..], &pattern[known..]);
            let found = Match { len, at };
            if len == pattern.len() {
                return found;
            }
            if self.text.get(at + len) < pattern.get(len) {
                (low, below) = (middle + 1, found);
            } else {
                (high, above) = (middle, found);
            }
        }
        if below.len > above.len { below } else { above }
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let alike = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    alike + a[alike..].iter().zip(&b[alike..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_linear_search(
            text in "[ab]{0,80}", pattern in "[abc]{1,60}", repeat in 1usize..20, unit in "[ab]{1,3}"
        ) {
            // Repetitions, so that many suffixes share long prefixes.
            let text = (text + &unit.repeat(repeat * 4)).into_bytes();
            let pattern = [unit.repeat(repeat).as_bytes(), pattern.as_bytes()].concat();
            let expected = (0..text.len()).map(|at| common_prefix(&text[at..], &pattern)).max().unwrap_or(0);
            let suffix_array = SuffixArray::new(text).unwrap();
            let Match { len, at } = suffix_array.longest(&pattern);
            prop_assert_eq!(len, expected);
            prop_assert_eq!(&suffix_array.text()[at..at + len], &pattern[..len]);
        }
    }

    #[test]
    fn suffixes_are_sorted() {
        let text: Vec<u8> = (0..5000u32).map(|i| (i * i / 7 % 5) as u8 * 60).collect();
        let suffix_array = SuffixArray::new(text.clone()).unwrap();
        let mut expected: Vec<i32> = (0..5000).collect();
        expected.sort_by_key(|&at| &text[at as usize..]);
        assert_eq!(suffix_array.order, expected);
    }

    #[test]
    fn an_empty_text_has_no_matches() {
        assert_eq!(SuffixArray::new(Vec::new()).unwrap().longest(b"a").len, 0);
    }

    #[test]
    fn common_prefixes_may_be_longer_than_a_block() {
        let text = [7u8; 100];
        for len in 0..100 {
            let mut other = text;
            other[len] = 8;
            assert_eq!(common_prefix(&text, &other), len);
            assert_eq!(common_prefix(&text, &text[..len]), len);
        }
    }
}
