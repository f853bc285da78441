//! Storage that is aligned to cache lines; large storage is mapped in huge pages where the system supports them.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// Alignment in bytes: a cache line, and an AVX-512 register.
const ALIGNMENT: usize = 64;
/// Size in bytes from which storage is mapped: a huge page. Products access memory in strides, and with pages of 4 KiB, TLB misses
/// take most of the time.
const HUGE_PAGE: usize = 2 << 20;

/// A buffer of fixed size that starts at a cache line.
#[derive(Debug)]
pub(super) struct AlignedBuffer<R> {
    storage: Storage,
    start: usize,
    len: usize,
    element: PhantomData<R>,
}

#[derive(Debug)]
enum Storage {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl<R: Pod> AlignedBuffer<R> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let bytes = len * size_of::<R>();
        if let Some(map) = Some(bytes).filter(|bytes| *bytes >= HUGE_PAGE).and_then(map_zeros) {
            return AlignedBuffer { storage: Storage::Mapped(map), start: 0, len: bytes, element: PhantomData };
        }
        let storage = vec![0; bytes + ALIGNMENT];
        let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        AlignedBuffer { storage: Storage::Heap(storage), start, len: bytes, element: PhantomData }
    }

    /// `bytes` bytes of a map from `start`, whatever their alignment.
    #[cfg(test)]
    pub fn within(map: MmapMut, start: usize, bytes: usize) -> Self {
        AlignedBuffer { storage: Storage::Mapped(map), start, len: bytes, element: PhantomData }
    }
}

/// Zeros in huge pages if possible; `None` if the system cannot map more memory.
fn map_zeros(bytes: usize) -> Option<MmapMut> {
    let map = MmapMut::map_anon(bytes).ok()?;
    // Only a hint: small pages work too.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Some(map)
}

impl<R: Pod> Clone for AlignedBuffer<R> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len / size_of::<R>());
        copy.copy_from_slice(self);
        copy
    }
}

impl<R: Pod> Deref for AlignedBuffer<R> {
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

impl<R: Pod> DerefMut for AlignedBuffer<R> {
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
    fn buffers_and_their_copies_are_aligned() {
        for len in [0, 3, HUGE_PAGE] {
            let mut numbers = AlignedBuffer::<f32>::zeros(len);
            assert!(numbers.len() == len && numbers.iter().all(|x| *x == 0.0));
            numbers.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            let copy = numbers.clone();
            assert!([&numbers, &copy].iter().all(|numbers| numbers.as_ptr().align_offset(ALIGNMENT) == 0));
            assert!(copy[..] == numbers[..]);
        }
    }
}
