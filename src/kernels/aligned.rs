//! Storage that begins on a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes that storage is aligned to: a cache line, and a full AVX-512 register.
pub(super) const ALIGNMENT: usize = 64;

/// Some numbers, the first of them on a cache line; allocated once.
#[derive(Debug)]
pub(super) struct Aligned<R> {
    storage: Vec<R>,
    start: usize,
    len: usize,
}

impl<R: Copy + Default> Aligned<R> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let slack = ALIGNMENT / size_of::<R>();
        let storage = vec![R::default(); len + slack];
        let start = storage.as_ptr().align_offset(ALIGNMENT).min(slack);
        Aligned { storage, start, len }
    }
}

impl<R: Copy + Default> Clone for Aligned<R> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<R> Deref for Aligned<R> {
    type Target = [R];

    #[inline]
    fn deref(&self) -> &[R] {
        &self.storage[self.start..][..self.len]
    }
}

impl<R> DerefMut for Aligned<R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [R] {
        &mut self.storage[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_on_a_cache_line_and_so_does_its_copy() {
        let mut numbers = Aligned::<f32>::zeros(3);
        numbers[2] = 5.0;
        for numbers in [&numbers, &numbers.clone()] {
            assert_eq!(numbers.as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(numbers[..], [0.0, 0.0, 5.0]);
        }
    }
}
