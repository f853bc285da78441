//! AVX2 and FMA.

use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
};

use super::traits::{Simd, SimdKernel, SimdVec};

/// Proof that this machine supports AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// Returns a proof if the machine supports AVX2 and FMA.
    pub fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        detected.then_some(Avx2(()))
    }

    /// Runs `kernel` compiled for this instruction set.
    pub fn run<K: SimdKernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<K: SimdKernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `detect`, the only constructor, found these features.
        unsafe { compiled(self, kernel) }
    }
}

impl Simd for Avx2 {
    const HAS_FMA: bool = true;
}

// SAFETY: `load` and `store` access exactly 8 `f32` elements.
unsafe impl SimdVec<f32> for Avx2 {
    type Register = __m256;
    const WIDTH: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` proves that the instruction is available.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves that the instruction is available.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn prefetch(self, from: *const f32) {
        // SAFETY: x86-64 guarantees the instruction, which never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: `self` proves that the instruction is available; the caller guarantees 8 readable elements.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: __m256) {
        // SAFETY: `self` proves that the instruction is available; the caller guarantees 8 writable elements.
        unsafe { _mm256_storeu_ps(to, value) }
    }
}
