//! A text with its suffixes in order, so that what stands in it is found fast (Manber & Myers 1993).

use libsais::SuffixArrayConstruction;

use crate::error::{Error, Result};

/// Bytes that a text may have: places in it are 32-bit numbers.
pub(super) const MOST: usize = i32::MAX as usize;

/// A text, at most [`MOST`] bytes, and its suffix array: five bytes for a byte of text.
#[derive(Debug)]
pub(super) struct Suffixes {
    text: Vec<u8>,
    /// Where the suffixes begin, in the order of their bytes.
    order: Vec<i32>,
}

/// The longest beginning of a pattern that stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Bytes; 0 where not even the first is there.
    pub len: usize,
    /// A place in the text where they stand.
    pub at: usize,
}

impl Suffixes {
    pub fn new(text: Vec<u8>) -> Result<Self> {
        let sorted = SuffixArrayConstruction::for_text(&text).in_owned_buffer32().single_threaded().run();
        let order = sorted.map_err(|e| Error::Internal(format!("the suffix array cannot be built: {e}")))?.into_vec();
        Ok(Suffixes { text, order })
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Looks for the pattern's place among the suffixes; the longest match is one of its two neighbours there. What the pattern has
    /// in common with the nearest suffix on either side that was looked at, it has in common with all between them.
    pub fn longest(&self, pattern: &[u8]) -> Match {
        let (mut low, mut high) = (0, self.order.len());
        let [mut below, mut above] = [Match { len: 0, at: 0 }; 2];
        while low < high {
            let middle = low.midpoint(high);
            let at = self.order[middle] as usize;
            let known = below.len.min(above.len);
            let len = known + common(&self.text[at + known..], &pattern[known..]);
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

/// How many bytes two texts have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
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
        fn finds_what_a_search_from_place_to_place_finds(
            text in "[ab]{0,80}", pattern in "[abc]{1,60}", repeat in 1usize..20, unit in "[ab]{1,3}"
        ) {
            // Repeats, so that many suffixes have much in common.
            let text = (text + &unit.repeat(repeat * 4)).into_bytes();
            let pattern = [unit.repeat(repeat).as_bytes(), pattern.as_bytes()].concat();
            let wanted = (0..text.len()).map(|at| common(&text[at..], &pattern)).max().unwrap_or(0);
            let suffixes = Suffixes::new(text).unwrap();
            let Match { len, at } = suffixes.longest(&pattern);
            prop_assert_eq!(len, wanted);
            prop_assert_eq!(&suffixes.text()[at..at + len], &pattern[..len]);
        }
    }

    #[test]
    fn suffixes_are_in_order() {
        let text: Vec<u8> = (0..5000u32).map(|i| (i * i / 7 % 5) as u8 * 60).collect();
        let suffixes = Suffixes::new(text.clone()).unwrap();
        let mut wanted: Vec<i32> = (0..5000).collect();
        wanted.sort_by_key(|&at| &text[at as usize..]);
        assert_eq!(suffixes.order, wanted);
    }

    #[test]
    fn an_empty_text_has_nothing() {
        assert_eq!(Suffixes::new(Vec::new()).unwrap().longest(b"a").len, 0);
    }

    #[test]
    fn common_beginnings_are_counted_beyond_blocks() {
        let text = [7u8; 100];
        for len in 0..100 {
            let mut other = text;
            other[len] = 8;
            assert_eq!(common(&text, &other), len);
            assert_eq!(common(&text, &text[..len]), len);
        }
    }
}
