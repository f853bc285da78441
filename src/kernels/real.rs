//! The two precisions: `f32` for work, `f64` for gradient checks.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::activation;
use super::isa::{Isa, Mode};
use super::lanes::{self, Lanes};
use super::packed::Product;
use super::view::{Mat, MatMut};
use super::weight_gradient::Part;

/// A floating-point type that models are computed in.
pub trait Real:
    Copy
    + bytemuck::Pod
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
    + Products
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
    /// Widens; exact.
    fn to_f64(self) -> f64;
    /// `self * b + c`, fused where the instruction set has it.
    fn fma<M: Mode>(self, b: Self, c: Self) -> Self;
    /// The exponential function.
    fn exp<M: Mode>(self) -> Self;
    /// `1 / (1 + exp(-self))`.
    fn sigmoid<M: Mode>(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh<M: Mode>(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// Itself, or 0 where it is too small for a product with it to matter. Gradients of saturated gates would otherwise become
    /// subnormal, which processors compute a hundred times more slowly.
    fn flushed(self) -> Self;
}

/// The matrix products of one precision. Sealed: it names types of this room only.
pub trait Products: Sized {
    #[doc(hidden)]
    fn faer(dst: MatMut<'_, Self>, accumulate: bool, a: Mat<'_, Self>, b: Mat<'_, Self>);
    #[doc(hidden)]
    fn panel_width(isa: Isa) -> usize;
    #[doc(hidden)]
    fn packed(isa: Isa, product: Product<'_, Self>);
    #[doc(hidden)]
    fn weight_gradient(isa: Isa, part: Part<'_, '_, '_, Self>);
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn fma<M: Mode>(self, b: Self, c: Self) -> Self {
        if M::FMA { f32::mul_add(self, b, c) } else { self * b + c }
    }
    #[inline(always)]
    fn exp<M: Mode>(self) -> Self {
        activation::exp::<M>(self)
    }
    #[inline(always)]
    fn sigmoid<M: Mode>(self) -> Self {
        activation::sigmoid::<M>(self)
    }
    #[inline(always)]
    fn tanh<M: Mode>(self) -> Self {
        activation::tanh::<M>(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        if self.abs() < 1e-30 { 0.0 } else { self }
    }
}

impl Products for f32 {
    fn faer(dst: MatMut<'_, f32>, accumulate: bool, a: Mat<'_, f32>, b: Mat<'_, f32>) {
        super::gemm::faer(dst, accumulate, a, b, 1.0);
    }
    fn panel_width(isa: Isa) -> usize {
        match isa {
            Isa::Portable => <lanes::Portable as Lanes<f32>>::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => <lanes::Avx2 as Lanes<f32>>::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => <lanes::Avx512 as Lanes<f32>>::COLUMNS,
            #[cfg(not(target_arch = "x86_64"))]
            _ => <lanes::Portable as Lanes<f32>>::COLUMNS,
        }
    }
    fn packed(isa: Isa, product: Product<'_, f32>) {
        lanes::run_f32(isa, product);
    }
    fn weight_gradient(isa: Isa, part: Part<'_, '_, '_, f32>) {
        lanes::run_f32(isa, part);
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn fma<M: Mode>(self, b: Self, c: Self) -> Self {
        if M::FMA { f64::mul_add(self, b, c) } else { self * b + c }
    }
    #[inline(always)]
    fn exp<M: Mode>(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn sigmoid<M: Mode>(self) -> Self {
        1.0 / (1.0 + f64::exp(-self))
    }
    #[inline(always)]
    fn tanh<M: Mode>(self) -> Self {
        f64::tanh(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn flushed(self) -> Self {
        if self.abs() < 1e-280 { 0.0 } else { self }
    }
}

impl Products for f64 {
    fn faer(dst: MatMut<'_, f64>, accumulate: bool, a: Mat<'_, f64>, b: Mat<'_, f64>) {
        super::gemm::faer(dst, accumulate, a, b, 1.0);
    }
    fn panel_width(_: Isa) -> usize {
        <lanes::Portable as Lanes<f64>>::COLUMNS
    }
    fn packed(_: Isa, product: Product<'_, f64>) {
        lanes::run_portable(product);
    }
    fn weight_gradient(_: Isa, part: Part<'_, '_, '_, f64>) {
        lanes::run_portable(part);
    }
}
