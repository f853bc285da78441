//! The functions that squash the input and the output of a block.

use crate::kernels::{Mode, Real};

/// A function of one element, with its slope given by its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Squash {
    /// As it is.
    Identity,
    /// `tanh(x)`.
    Tanh,
    /// `2 tanh(x / 2) = 4 sigmoid(x) - 2`.
    Wide,
    /// `tanh(x / 2) = 2 sigmoid(x) - 1`.
    Narrow,
}

impl Squash {
    /// Its value.
    #[inline(always)]
    pub(super) fn of<M: Mode, R: Real>(self, x: R) -> R {
        let half = R::from_f64(0.5);
        match self {
            Squash::Identity => x,
            Squash::Tanh => x.tanh::<M>(),
            Squash::Wide => R::from_f64(2.0) * (half * x).tanh::<M>(),
            Squash::Narrow => (half * x).tanh::<M>(),
        }
    }

    /// The slope where the value is `y`.
    #[inline(always)]
    pub(super) fn slope<R: Real>(self, y: R) -> R {
        match self {
            Squash::Identity => R::ONE,
            Squash::Tanh => R::ONE - y * y,
            Squash::Wide => R::ONE - R::from_f64(0.25) * y * y,
            Squash::Narrow => R::from_f64(0.5) * (R::ONE - y * y),
        }
    }
}
