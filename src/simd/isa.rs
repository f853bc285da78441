//! Which instruction set the kernels use.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};
use crate::error::{Error, Result};

/// The environment variable that forces an instruction set: `portable`, `avx2` or `avx512`.
pub const ISA_VARIABLE: &str = "CHARLSTM_SIMD";

/// An instruction set that the kernels are compiled for. Training is bit-identical only on the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The baseline of the compilation target: SSE2 on x86-64, NEON on AArch64.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// Every instruction set, the most widely available first.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The name, as [`ISA_VARIABLE`] spells it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// Whether this machine supports it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The instruction sets that this machine supports.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The instruction set that every kernel uses: the one that [`ISA_VARIABLE`] names, or else the best that this machine supports.
    ///
    /// The variable is validated when a model is created. Kernels that are called without a model ignore an invalid value.
    pub fn active() -> Isa {
        let best = || Isa::available().last().unwrap_or(Isa::Portable);
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| Isa::forced().ok().flatten().unwrap_or_else(best))
    }

    /// [`active`](Self::active), after checking [`ISA_VARIABLE`].
    ///
    /// # Errors
    /// [`Error::UnknownName`] if the variable does not name an instruction set that this machine supports.
    pub fn detect() -> Result<Isa> {
        Isa::forced().map(|_| Isa::active())
    }

    /// Whether [`ISA_VARIABLE`] chose the active instruction set.
    pub(crate) fn is_forced() -> bool {
        static FORCED: OnceLock<bool> = OnceLock::new();
        *FORCED.get_or_init(|| matches!(Isa::forced(), Ok(Some(_))))
    }

    fn forced() -> Result<Option<Isa>> {
        std::env::var_os(ISA_VARIABLE).map(|name| Isa::parse(&name)).transpose()
    }

    fn parse(name: &std::ffi::OsStr) -> Result<Isa> {
        Isa::available().find(|isa| name == isa.name()).ok_or_else(|| {
            let choices: Vec<_> = Isa::available().map(Isa::name).collect();
            Error::unknown_name(
                format!("instruction set in {ISA_VARIABLE} (on this machine)"),
                &name.to_string_lossy(),
                &choices,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_is_always_available_and_the_active_set_is_too() {
        assert_eq!(Isa::available().next(), Some(Isa::Portable));
        assert!(Isa::active().is_available());
    }

    #[test]
    fn rejects_an_unknown_instruction_set() {
        for isa in Isa::available() {
            assert_eq!(Isa::parse(isa.name().as_ref()).unwrap(), isa);
        }
        let message = Isa::parse("sse9".as_ref()).unwrap_err().to_string();
        assert!(message.contains("sse9") && message.contains("portable"), "{message}");
    }
}
