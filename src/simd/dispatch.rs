//! The dispatcher: picks the copy of a kernel that was compiled for an instruction set.

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
use super::isa::Isa;
use super::portable::Portable;
use super::traits::SimdKernel;

/// Runs `kernel` on the [active](Isa::active) instruction set.
#[inline]
pub fn dispatch<K: SimdKernel>(kernel: K) -> K::Output {
    dispatch_on(Isa::active(), kernel)
}

/// Runs `kernel` on `isa`, and falls back to the portable one if this machine does not support `isa`.
#[inline]
pub fn dispatch_on<K: SimdKernel>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if isa == Isa::Avx512
            && let Some(simd) = Avx512::detect()
        {
            return simd.run(kernel);
        }
        if isa == Isa::Avx2
            && let Some(simd) = Avx2::detect()
        {
            return simd.run(kernel);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = isa;
    kernel.run(Portable)
}
