//! Arrays that the compiler vectorizes for the baseline of the compilation target.

use std::ops::{Add, Mul};

use super::traits::{Simd, SimdVec};

/// What the compilation target guarantees: SSE2 on x86-64, NEON on AArch64.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Simd for Portable {
    const HAS_FMA: bool = false;
}

// SAFETY: `load` and `store` access an array of `WIDTH` elements.
unsafe impl<R: Copy + Add<Output = R> + Mul<Output = R>> SimdVec<R> for Portable {
    type Register = [R; 4];
    const WIDTH: usize = 4;
    const REGISTERS: usize = 12;

    #[inline(always)]
    fn splat(self, value: R) -> [R; 4] {
        [value; 4]
    }
    #[inline(always)]
    fn mul_add(self, a: [R; 4], b: [R; 4], c: [R; 4]) -> [R; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn prefetch(self, _: *const R) {}
    #[inline(always)]
    unsafe fn load(self, from: *const R) -> [R; 4] {
        // SAFETY: the caller guarantees four readable elements.
        unsafe { from.cast::<[R; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut R, value: [R; 4]) {
        // SAFETY: the caller guarantees four writable elements.
        unsafe { to.cast::<[R; 4]>().write_unaligned(value) }
    }
}
