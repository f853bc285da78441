//! The functions that squash the input and the output of a block.

use crate::kernels::Real;
use crate::simd::Simd;

/// A function of one element, with its slope given by its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// As it is.
    Identity,
    /// `tanh(x)`.
    Tanh,
    /// `2 tanh(x / 2) = 4 sigmoid(x) - 2`.
    Wide,
    /// `tanh(x / 2) = 2 sigmoid(x) - 1`.
    Narrow,
}

impl Activation {
    /// Its value.
    #[inline(always)]
    pub(super) fn of<S: Simd, R: Real>(self, x: R) -> R {
        let half = R::from_f64(0.5);
        match self {
            Activation::Identity => x,
            Activation::Tanh => x.tanh::<S>(),
            Activation::Wide => R::from_f64(2.0) * (half * x).tanh::<S>(),
            Activation::Narrow => (half * x).tanh::<S>(),
        }
    }

    /// The slope where the value is `y`.
    #[inline(always)]
    pub(super) fn slope<R: Real>(self, y: R) -> R {
        match self {
            Activation::Identity => R::ONE,
            Activation::Tanh => R::ONE - y * y,
            Activation::Wide => R::ONE - R::from_f64(0.25) * y * y,
            Activation::Narrow => R::from_f64(0.5) * (R::ONE - y * y),
        }
    }
}
