//! Memory for tests that lies between two pages that nobody may touch: to read or write past its end is a SIGSEGV, there and then.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;
use proptest::prelude::*;
use proptest::sample::select;

use super::aligned::Aligned;
use super::tile::WIDEST;

/// A multiple of every system's page.
const PAGE: usize = 1 << 16;

/// The page that some numbers touch.
#[derive(Clone, Copy, Debug)]
pub enum Edge {
    /// The one before them.
    Before,
    /// The one behind them.
    Behind,
}

/// How some numbers lie: `off` elements off a page that nobody may touch, and so at any place within a register's width.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    edge: Edge,
    off: usize,
}

/// The page before, or the page behind.
pub fn edge() -> impl Strategy<Value = Edge> {
    select(&[Edge::Before, Edge::Behind])
}

/// Any place, half of them right at a page.
pub fn place() -> impl Strategy<Value = Place> {
    (edge(), prop_oneof![Just(0), 0..WIDEST]).prop_map(|(edge, off)| Place { edge, off })
}

/// Sizes up to `most`, half of them within 1 of a multiple of some vector's width.
pub fn size(most: usize) -> impl Strategy<Value = usize> {
    let beside = (select(&[4usize, 8, 16, 32]), 0usize..5, 0usize..3);
    prop_oneof![0..=most, beside.prop_map(move |(width, n, by)| (width * n + by).saturating_sub(1).min(most))]
}

/// What stands where nobody should read or write: all bits set, which is NaN, or an index behind every table.
pub fn canary<R: Pod>() -> R {
    let mut canary = R::zeroed();
    bytemuck::bytes_of_mut(&mut canary).fill(u8::MAX);
    canary
}

/// Whether nobody wrote there.
pub fn are_canaries<R: Pod>(values: &[R]) -> bool {
    bytemuck::cast_slice::<R, u8>(values).iter().all(|byte| *byte == u8::MAX)
}

/// A copy of some numbers, right at a page that nobody may touch.
pub fn beside<R: Pod>(edge: Edge, values: &[R]) -> Aligned<R> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let room = bytes.len().next_multiple_of(PAGE);
    let start = match edge {
        Edge::Before => PAGE,
        Edge::Behind => PAGE + room - bytes.len(),
    };
    let mut map = MmapMut::map_anon(PAGE + room + PAGE).unwrap();
    map[start..][..bytes.len()].copy_from_slice(bytes);
    forbid(&mut map, 0);
    forbid(&mut map, PAGE + room);
    Aligned::within(map, start, bytes.len())
}

/// Nobody may touch the page that begins there.
#[cfg(unix)]
fn forbid(map: &mut MmapMut, page: usize) {
    let page = map[page..][..PAGE].as_mut_ptr();
    // SAFETY: the page is part of a map of our own, and whoever is given a part of the map is given none of this page.
    let done = unsafe { libc::mprotect(page.cast(), PAGE, libc::PROT_NONE) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Elsewhere the canaries have to do.
#[cfg(not(unix))]
fn forbid(_: &mut MmapMut, _: usize) {}

/// Numbers at a [`Place`], canaries on both sides.
#[derive(Debug)]
pub struct Guarded<R> {
    memory: Aligned<R>,
    off: usize,
}

impl<R: Pod> Guarded<R> {
    /// A copy of `values` there.
    pub fn new(place: Place, values: &[R]) -> Self {
        let mut memory = vec![canary(); place.off + values.len() + place.off];
        memory[place.off..][..values.len()].copy_from_slice(values);
        Guarded { memory: beside(place.edge, &memory), off: place.off }
    }

    /// Whether nobody wrote on either side.
    pub fn is_intact(&self) -> bool {
        are_canaries(&self.memory[..self.off]) && are_canaries(&self.memory[self.off + self.len()..])
    }
}

impl<R: Pod> Deref for Guarded<R> {
    type Target = [R];
    fn deref(&self) -> &[R] {
        &self.memory[self.off..self.memory.len() - self.off]
    }
}

impl<R: Pod> DerefMut for Guarded<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        let end = self.memory.len() - self.off;
        &mut self.memory[self.off..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the system itself can read a byte there: it says EFAULT where a process would die.
    #[cfg(unix)]
    fn can_be_read(address: *const u8) -> bool {
        use std::os::fd::AsRawFd;
        let (_reader, writer) = std::io::pipe().unwrap();
        // SAFETY: the system looks whether the address can be read before it does.
        let written = unsafe { libc::write(writer.as_raw_fd(), address.cast(), 1) };
        let fault = std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT);
        assert!(written == 1 || fault, "neither read nor refused");
        written == 1
    }

    #[cfg(unix)]
    #[test]
    fn the_page_at_the_edge_cannot_be_read() {
        for (edge, bytes) in [Edge::Before, Edge::Behind].into_iter().flat_map(|edge| [1, 3, PAGE].map(|n| (edge, n))) {
            let memory = beside(edge, &vec![7u8; bytes]);
            let (first, behind) = (memory.as_ptr(), memory.as_ptr().wrapping_add(bytes));
            assert!(memory.iter().all(|x| *x == 7) && can_be_read(first) && can_be_read(behind.wrapping_sub(1)));
            let forbidden = match edge {
                Edge::Before => first.wrapping_sub(1),
                Edge::Behind => behind,
            };
            assert!(!can_be_read(forbidden), "{edge:?} {bytes}");
        }
    }

    #[test]
    fn what_is_written_on_either_side_is_noticed() {
        for (edge, at) in [(Edge::Before, 1), (Edge::Behind, 5)] {
            let mut numbers = Guarded::new(Place { edge, off: 2 }, &[1.0f32, 2.0, 3.0]);
            assert!(numbers[..] == [1.0, 2.0, 3.0] && numbers.is_intact());
            numbers.memory[at] = 0.0;
            assert!(!numbers.is_intact());
        }
    }
}
