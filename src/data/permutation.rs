//! A random permutation that is computed, not stored.

/// A permutation of `0..len`: a Feistel network over the next power of four, applied until the result is in range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    len: u64,
    half_bits: u32,
    key: u64,
}

const ROUNDS: u64 = 8;

impl Permutation {
    /// `key` selects the permutation; `len` must be below 2^62.
    pub fn new(len: u64, key: u64) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Permutation { len, half_bits: bits.div_ceil(2), key }
    }

    /// The element at a position below `len`.
    pub fn at(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of {}", self.len);
        let mut at = self.encrypt(position);
        while at >= self.len {
            at = self.encrypt(at);
        }
        at
    }

    fn encrypt(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (left, right) = (value >> self.half_bits, value & mask);
        let (left, right) = (0..ROUNDS).fold((left, right), |(left, right), round| {
            (right, left ^ (mix(self.key ^ mix(right << 3 | round)) & mask))
        });
        left << self.half_bits | right
    }
}

/// The finalizer of SplitMix64.
pub(super) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn visits_every_element_once(len in 1u64..3000, key: u64) {
            let permutation = Permutation::new(len, key);
            let mut seen: Vec<u64> = (0..len).map(|position| permutation.at(position)).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..len));
        }
    }

    #[test]
    fn elements_are_equally_likely_at_each_position() {
        const LEN: usize = 6;
        let mut counts = [[0u32; LEN]; LEN];
        for key in 0..12_000 {
            let permutation = Permutation::new(LEN as u64, mix(key));
            (0..LEN).for_each(|position| counts[position][permutation.at(position as u64) as usize] += 1);
        }
        let expected = 12_000 / LEN as u32;
        assert!(counts.iter().flatten().all(|count| count.abs_diff(expected) < 200), "{counts:?}");
    }
}
