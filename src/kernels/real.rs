//! The element type of matrices: `f32` for training and inference, `f64` for gradient checks.

use std::fmt::Debug;
use std::iter::Sum;
use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use faer::traits::ComplexField;

use super::activation;
use crate::simd::{Isa, Portable, Simd, SimdKernel, SimdVec, dispatch_on};

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
    + ComplexField
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The vector registers that matrix products use.
    type Vectors<S: Simd>: SimdVec<Self>;
    /// The vector registers of an instruction set.
    fn vectors<S: Simd>(simd: S) -> Self::Vectors<S>;
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
    /// Widens; exact.
    fn to_f64(self) -> f64;
    /// `self * b + c`, fused where the instruction set has a fused multiply-add.
    fn fma<S: Simd>(self, b: Self, c: Self) -> Self;
    /// The exponential function.
    fn exp<S: Simd>(self) -> Self;
    /// `1 / (1 + exp(-self))`.
    fn sigmoid<S: Simd>(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh<S: Simd>(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// 0 if the absolute value is too small to matter, otherwise unchanged. Without it, the gradients of saturated gates become
    /// subnormal numbers, on which processors are about a hundred times slower.
    fn flush_tiny(self) -> Self;

    /// Elements in a row of a panel on an instruction set.
    fn panel_width(isa: Isa) -> usize {
        dispatch_on(isa, PanelWidth::<Self>(PhantomData))
    }
}

struct PanelWidth<R>(PhantomData<R>);

impl<R: Real> SimdKernel for PanelWidth<R> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        R::Vectors::<S>::PANEL_WIDTH
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    type Vectors<S: Simd> = S;

    #[inline(always)]
    fn vectors<S: Simd>(simd: S) -> S {
        simd
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn fma<S: Simd>(self, b: Self, c: Self) -> Self {
        S::fma(self, b, c)
    }
    #[inline(always)]
    fn exp<S: Simd>(self) -> Self {
        activation::exp::<S>(self)
    }
    #[inline(always)]
    fn sigmoid<S: Simd>(self) -> Self {
        activation::sigmoid::<S>(self)
    }
    #[inline(always)]
    fn tanh<S: Simd>(self) -> Self {
        activation::tanh::<S>(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn flush_tiny(self) -> Self {
        if self.abs() < 1e-30 { 0.0 } else { self }
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    type Vectors<S: Simd> = Portable;

    #[inline(always)]
    fn vectors<S: Simd>(_: S) -> Portable {
        Portable
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn fma<S: Simd>(self, b: Self, c: Self) -> Self {
        if S::HAS_FMA { f64::mul_add(self, b, c) } else { self * b + c }
    }
    #[inline(always)]
    fn exp<S: Simd>(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn sigmoid<S: Simd>(self) -> Self {
        1.0 / (1.0 + f64::exp(-self))
    }
    #[inline(always)]
    fn tanh<S: Simd>(self) -> Self {
        f64::tanh(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn flush_tiny(self) -> Self {
        if self.abs() < 1e-280 { 0.0 } else { self }
    }
}
