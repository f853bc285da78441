//! Storage that begins on a cache line; large storage in huge pages, where the system has them.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// Bytes that storage is aligned to: a cache line, and a full AVX-512 register.
pub(super) const ALIGNMENT: usize = 64;
/// Bytes from which on storage is mapped, a huge page. The products go through memory in strides: with pages of 4 KB the
/// processor spends its time on looking them up.
const LARGE: usize = 2 << 20;

/// Some numbers, the first of them on a cache line; allocated once.
#[derive(Debug)]
pub(super) struct Aligned<R> {
    storage: Storage,
    start: usize,
    len: usize,
    of: PhantomData<R>,
}

#[derive(Debug)]
enum Storage {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl<R: Pod> Aligned<R> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let bytes = len * size_of::<R>();
        if let Some(map) = Some(bytes).filter(|bytes| *bytes >= LARGE).and_then(map) {
            return Aligned { storage: Storage::Mapped(map), start: 0, len: bytes, of: PhantomData };
        }
        let storage = vec![0; bytes + ALIGNMENT];
        let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Aligned { storage: Storage::Heap(storage), start, len: bytes, of: PhantomData }
    }

    /// `bytes` of a map from `start` on, aligned or not.
    #[cfg(test)]
    pub fn within(map: MmapMut, start: usize, bytes: usize) -> Self {
        Aligned { storage: Storage::Mapped(map), start, len: bytes, of: PhantomData }
    }
}

/// Fresh memory, zero, in huge pages if it can be. `None` where the system has none left to map.
fn map(bytes: usize) -> Option<MmapMut> {
    let map = MmapMut::map_anon(bytes).ok()?;
    // A hint: without huge pages it works as well, only slower.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Some(map)
}

impl<R: Pod> Clone for Aligned<R> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len / size_of::<R>());
        copy.copy_from_slice(self);
        copy
    }
}

impl<R: Pod> Deref for Aligned<R> {
    type Target = [R];

    #[inline]
    fn deref(&self) -> &[R] {
        let bytes: &[u8] = match &self.storage {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(bytes) => bytes,
        };
        bytemuck::cast_slice(&bytes[self.start..][..self.len])
    }
}

impl<R: Pod> DerefMut for Aligned<R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [R] {
        let bytes: &mut [u8] = match &mut self.storage {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(bytes) => bytes,
        };
        bytemuck::cast_slice_mut(&mut bytes[self.start..][..self.len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_on_a_cache_line_and_so_does_its_copy() {
        for len in [0, 3, LARGE] {
            let mut numbers = Aligned::<f32>::zeros(len);
            assert!(numbers.len() == len && numbers.iter().all(|x| *x == 0.0));
            numbers.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            let copy = numbers.clone();
            assert!([&numbers, &copy].iter().all(|numbers| numbers.as_ptr().align_offset(ALIGNMENT) == 0));
            assert!(copy[..] == numbers[..]);
        }
    }
}
