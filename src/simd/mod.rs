//! Instruction sets: detection, run-time dispatch and vector registers.
//!
//! A kernel is written once, as a [`SimdKernel`] that is generic over [`Simd`]. [`dispatch`] runs the copy that was compiled for
//! the [active](Isa::active) instruction set, so that one binary serves every machine. Only this module uses `std::arch`.
//!
//! To add an instruction set: one file like `avx512.rs`, one variant of [`Isa`], one line in [`dispatch_on`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
mod dispatch;
mod isa;
mod portable;
mod traits;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx512_vnni::Avx512Vnni;
pub use dispatch::{dispatch, dispatch_on};
pub use isa::{ISA_VARIABLE, Isa};
pub use portable::Portable;
pub use traits::{MAX_PANEL_WIDTH, PANEL_VECTORS, Simd, SimdKernel, SimdVec};
