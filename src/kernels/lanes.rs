//! The few vector instructions that the products are written in, once per instruction set.

use super::isa::Isa;

/// A SIMD register of `R`s and what the products do with it.
///
/// # Safety
/// Every method may be called only where the instruction set of the implementation is available and enabled in the caller;
/// `load` and `store` touch `WIDTH` elements behind their pointer, of any alignment. `fetch` takes any pointer.
pub(super) trait Lanes<R> {
    /// The register.
    type V: Copy;
    /// Elements in a register.
    const WIDTH: usize;
    /// Registers in a row of a panel.
    const VECTORS: usize;
    /// Registers that there are.
    const REGISTERS: usize;
    /// Elements of a row of a panel.
    const COLUMNS: usize = Self::WIDTH * Self::VECTORS;

    unsafe fn splat(value: R) -> Self::V;
    unsafe fn load(from: *const R) -> Self::V;
    unsafe fn store(to: *mut R, value: Self::V);
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Asks for the cache line at `from`; a hint.
    unsafe fn fetch(from: *const R);
}

/// A product that is compiled once per instruction set. `run` must be `#[inline(always)]`, or it is compiled for the baseline.
pub(super) trait Work<R> {
    /// The product itself. `V` is `L::VECTORS`, as a parameter since an array cannot take its length from a trait.
    ///
    /// # Safety
    /// The instruction set of `L` must be available and enabled in the caller.
    unsafe fn run<L: Lanes<R>, const V: usize>(self);
}

/// Runs `work` compiled for `isa`, or for the baseline where the machine lacks it.
pub(super) fn run_f32(isa: Isa, work: impl Work<f32>) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if isa.is_available() => {
            // SAFETY: the features that `avx512` is compiled with were found on this machine just above.
            unsafe { x86::avx512(work) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if isa.is_available() => {
            // SAFETY: the features that `avx2` is compiled with were found on this machine just above.
            unsafe { x86::avx2(work) }
        }
        _ => run_portable(work),
    }
}

/// Runs `work` compiled for the baseline.
pub(super) fn run_portable<R: super::Real>(work: impl Work<R>) {
    // SAFETY: the portable lanes need no instruction set of their own.
    unsafe { work.run::<Portable, 2>() }
}

/// Arrays of four that compilers vectorise.
pub(super) enum Portable {}

impl<R: super::Real> Lanes<R> for Portable {
    type V = [R; 4];
    const WIDTH: usize = 4;
    const VECTORS: usize = 2;
    const REGISTERS: usize = 12;

    #[inline(always)]
    unsafe fn splat(value: R) -> [R; 4] {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const R) -> [R; 4] {
        // SAFETY: the caller answers for four readable elements; `read_unaligned` asks no alignment.
        unsafe { from.cast::<[R; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut R, value: [R; 4]) {
        // SAFETY: the caller answers for four writable elements; `write_unaligned` asks no alignment.
        unsafe { to.cast::<[R; 4]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn fma(a: [R; 4], b: [R; 4], c: [R; 4]) -> [R; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn fetch(_: *const R) {}
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{Lanes, Work};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) fn avx512(work: impl Work<f32>) {
        // SAFETY: this function is compiled with the features that the lanes need.
        unsafe { work.run::<Avx512, 2>() }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(work: impl Work<f32>) {
        // SAFETY: this function is compiled with the features that the lanes need.
        unsafe { work.run::<Avx2, 2>() }
    }

    /// Eight `f32`, sixteen registers.
    pub(in super::super) enum Avx2 {}

    impl Lanes<f32> for Avx2 {
        type V = __m256;
        const WIDTH: usize = 8;
        const VECTORS: usize = 2;
        const REGISTERS: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            // SAFETY: the caller answers for AVX2.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            // SAFETY: the caller answers for AVX2 and for eight readable elements.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m256) {
            // SAFETY: the caller answers for AVX2 and for eight writable elements.
            unsafe { _mm256_storeu_ps(to, value) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: the caller answers for FMA.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn fetch(from: *const f32) {
            // SAFETY: prefetching is part of x86-64 and touches nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }
    }

    /// Sixteen `f32`, thirty-two registers.
    pub(in super::super) enum Avx512 {}

    impl Lanes<f32> for Avx512 {
        type V = __m512;
        const WIDTH: usize = 16;
        const VECTORS: usize = 2;
        const REGISTERS: usize = 32;

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            // SAFETY: the caller answers for AVX-512 F.
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            // SAFETY: the caller answers for AVX-512 F and for sixteen readable elements.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            // SAFETY: the caller answers for AVX-512 F and for sixteen writable elements.
            unsafe { _mm512_storeu_ps(to, value) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: the caller answers for AVX-512 F.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn fetch(from: *const f32) {
            // SAFETY: prefetching is part of x86-64 and touches nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }
    }
}
