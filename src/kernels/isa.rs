//! Which instruction set runs: found once at run time, so that one binary serves every machine.
//!
//! `CHARLSTM_SIMD=portable|avx2|avx512` forces one for all kernels of this crate. A forced choice also replaces faer's
//! products by our own, so that every path can be tested on one machine.

use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The environment variable that forces an instruction set.
pub const VARIABLE: &str = "CHARLSTM_SIMD";

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compilation target guarantees (SSE2 on x86-64, NEON on aarch64).
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// Every instruction set, the most widely available first.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The name that [`VARIABLE`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Those that this machine has.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }
}

/// The choice in force: the instruction set, and whether the user forced it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub isa: Isa,
    pub forced: bool,
}

pub(super) fn choice() -> Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    *CHOICE.get_or_init(|| match forced() {
        Ok(Some(isa)) => Choice { isa, forced: true },
        _ => Choice { isa: Isa::available().last().unwrap_or(Isa::Portable), forced: false },
    })
}

/// The instruction set in force.
pub fn isa() -> Isa {
    choice().isa
}

/// The instruction set that the environment asks for, if any.
///
/// # Errors
/// [`Error::Usage`] when the variable names none, or one that this machine lacks.
pub fn forced() -> Result<Option<Isa>> {
    let Some(value) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let known = Isa::ALL.into_iter().find(|isa| value.to_str() == Some(isa.name()));
    match known {
        Some(isa) if isa.is_available() => Ok(Some(isa)),
        Some(isa) => Err(Error::Usage(format!("{VARIABLE}={}: this machine does not have it; unset it", isa.name()))),
        None => Err(Error::Usage(format!("{VARIABLE} must be portable, avx2 or avx512, not {}", value.display()))),
    }
}

/// What a loop may rely on while it is compiled for one instruction set.
pub trait Mode {
    /// Whether a fused multiply-add is one instruction (elsewhere it would be a slow library call).
    const FMA: bool;
}

/// With fused multiply-add.
pub enum Fused {}
impl Mode for Fused {
    const FMA: bool = true;
}

/// With separate multiplication and addition.
pub enum Separate {}
impl Mode for Separate {
    const FMA: bool = false;
}

/// A loop that is compiled once per instruction set. `run` must be `#[inline(always)]`, or it is compiled for the baseline.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// The loop itself.
    fn run<M: Mode>(self) -> Self::Output;
}

/// Runs `kernel` compiled for the instruction set in force.
#[inline]
pub fn vectorize<K: Kernel>(kernel: K) -> K::Output {
    vectorize_for(isa(), kernel)
}

/// Runs `kernel` compiled for `isa`, or for the baseline where the machine lacks it.
#[inline]
pub fn vectorize_for<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if isa.is_available() => {
            // SAFETY: the features that `avx512` is compiled with were found on this machine just above.
            unsafe { avx512(kernel) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if isa.is_available() => {
            // SAFETY: the features that `avx2` is compiled with were found on this machine just above.
            unsafe { avx2(kernel) }
        }
        _ => kernel.run::<Separate>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_path_is_always_there_and_the_choice_is_available() {
        assert_eq!(Isa::available().next(), Some(Isa::Portable));
        assert!(isa().is_available());
    }
}
