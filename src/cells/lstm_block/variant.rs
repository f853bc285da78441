//! The properties in which variants of the LSTM block differ.

use super::super::spec::CellSpec;
use crate::kernels::Real;
use crate::simd::Simd;

/// The factor of the previous cell state in the new one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Forget {
    /// The forget gate.
    Gate,
    /// `1 - i`.
    Coupled,
    /// 1: the constant error carousel.
    Never,
}

/// An activation function whose derivative can be computed from its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Activation {
    /// `x`.
    Identity,
    /// `tanh(x)`.
    Tanh,
    /// `4 sigmoid(x) - 2 = 2 tanh(x / 2)`, in -2 to 2.
    BipolarSigmoid2,
    /// `2 sigmoid(x) - 1 = tanh(x / 2)`, in -1 to 1.
    BipolarSigmoid1,
}

impl Activation {
    #[inline(always)]
    pub(super) fn value<S: Simd, R: Real>(self, x: R) -> R {
        let half = R::from_f64(0.5);
        match self {
            Activation::Identity => x,
            Activation::Tanh => x.tanh::<S>(),
            Activation::BipolarSigmoid2 => R::from_f64(2.0) * (half * x).tanh::<S>(),
            Activation::BipolarSigmoid1 => (half * x).tanh::<S>(),
        }
    }

    /// The slope where the value is `y`.
    #[inline(always)]
    pub(super) fn slope<R: Real>(self, y: R) -> R {
        match self {
            Activation::Identity => R::ONE,
            Activation::Tanh => R::ONE - y * y,
            Activation::BipolarSigmoid2 => R::ONE - R::from_f64(0.25) * y * y,
            Activation::BipolarSigmoid1 => R::from_f64(0.5) * (R::ONE - y * y),
        }
    }
}

/// A variant of the LSTM block. Its gates are those of `i`, `f`, `g`, `o` that it has, in this order. Its diagonal weights are the
/// peepholes of `i`, `f` and `o`, or the recurrence of every gate. Its state vectors are `h`, the recurrent gates, and `c`.
pub(in super::super) trait LstmVariant: Sync + 'static {
    const SPEC: CellSpec;
    const HAS_INPUT_GATE: bool = true;
    const FORGET: Forget = Forget::Gate;
    const HAS_OUTPUT_GATE: bool = true;
    /// Whether gates see the cell state.
    const HAS_PEEPHOLES: bool = false;
    /// Whether the recurrence is diagonal: a unit receives only its own previous output.
    const HAS_DIAGONAL_RECURRENCE: bool = false;
    /// Whether the gates see all gates of the previous time step.
    const HAS_GATE_RECURRENCE: bool = false;
    const INPUT_ACTIVATION: Activation = Activation::Tanh;
    const OUTPUT_ACTIVATION: Activation = Activation::Tanh;

    const HAS_FORGET_GATE: bool = matches!(Self::FORGET, Forget::Gate);
    const HAS_DIAGONAL_WEIGHTS: bool = Self::HAS_PEEPHOLES || Self::HAS_DIAGONAL_RECURRENCE;
}

/// The description of a variant in which both products are added to every gate, and the state is `(h, c)`.
pub(in super::super) const fn spec(
    name: &'static str,
    summary: &'static str,
    gates: &'static [&'static str],
    paper: &'static str,
) -> CellSpec {
    let (input_gates, recurrent_gates) = (0..gates.len(), 0..gates.len());
    CellSpec { name, summary, gates, paper, states: 2, input_gates, recurrent_gates, ..CellSpec::DEFAULT }
}

pub(super) struct PerGate<T> {
    pub i: T,
    pub f: T,
    pub g: T,
    pub o: T,
}
