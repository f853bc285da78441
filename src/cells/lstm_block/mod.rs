//! The LSTM block with optional parts, after Greff et al. (2015).
//!
//! The full block, with pre-activations `a`, the previous cell state `c'`, and peepholes `p` of one weight per unit:
//!
//! ```text
//! i = sigmoid(a_i + p_i * c')
//! f = sigmoid(a_f + p_f * c')
//! g = tanh(a_g)
//! c = f * c' + i * g
//! o = sigmoid(a_o + p_o * c)
//! h = o * tanh(c)
//! ```
//!
//! Backward, from `dh` and `dc`:
//!
//! ```text
//! da_o = dh * tanh(c) * o * (1 - o)
//! dc  += dh * o * (1 - tanh(c)^2) + p_o * da_o
//! da_g = dc * i  * (1 - g^2)
//! da_i = dc * g  * i * (1 - i)
//! da_f = dc * c' * f * (1 - f)
//! dc'  = dc * f + p_i * da_i + p_f * da_f
//! ```
//!
//! A missing gate is 1. The file of each variant gives the equations that differ.

mod equations;
mod variant;

pub(super) use variant::{Activation, Forget, LstmVariant, spec};

use super::equations::{CellInputs, Equations};
use super::spec::CellSpec;
use crate::kernels::Real;
use crate::simd::Simd;
use variant::PerGate;

/// The gates of a row, `(gates, H)`; missing ones are empty.
#[inline(always)]
fn split_gates<B: LstmVariant, R>(gates: &mut [R], hidden: usize) -> PerGate<&mut [R]> {
    let (i, rest) = gates.split_at_mut(if B::HAS_INPUT_GATE { hidden } else { 0 });
    let (f, rest) = rest.split_at_mut(if B::HAS_FORGET_GATE { hidden } else { 0 });
    let (g, o) = rest.split_at_mut(hidden);
    PerGate { i, f, g, o }
}

/// The diagonal weights of a row; missing ones are empty.
#[inline(always)]
fn split_diagonal_weights<B: LstmVariant, R>(p: &[R], hidden: usize) -> PerGate<&[R]> {
    let (i, rest) = p.split_at(if B::HAS_DIAGONAL_WEIGHTS && B::HAS_INPUT_GATE { hidden } else { 0 });
    let (f, rest) = rest.split_at(if B::HAS_DIAGONAL_WEIGHTS && B::HAS_FORGET_GATE { hidden } else { 0 });
    let (g, o) = rest.split_at(if B::HAS_DIAGONAL_RECURRENCE { hidden } else { 0 });
    PerGate { i, f, g, o }
}

/// `h`, the recurrent gates, and `c` of a row of state.
#[inline(always)]
fn split_state<B: LstmVariant, R>(state: &mut [R], hidden: usize) -> (&mut [R], PerGate<&mut [R]>, &mut [R]) {
    let gate_len = if B::HAS_GATE_RECURRENCE { hidden } else { 0 };
    let (h, rest) = state.split_at_mut(hidden);
    let (i, rest) = rest.split_at_mut(gate_len);
    let (f, rest) = rest.split_at_mut(gate_len);
    let (o, c) = rest.split_at_mut(gate_len);
    (h, PerGate { i, f, g: &mut [], o }, c)
}

/// `c`, the last vector of a row of state.
#[inline(always)]
fn cell_state<B: LstmVariant, R>(state: &[R], hidden: usize) -> &[R] {
    &state[if B::HAS_GATE_RECURRENCE { 4 * hidden } else { hidden }..]
}

impl<B: LstmVariant> Equations for B {
    const SPEC: CellSpec = <B as LstmVariant>::SPEC;

    #[inline(always)]
    fn forward<S: Simd, R: Real>(inputs: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]) {
        let CellInputs { hidden, p, prev } = inputs;
        let PerGate { i, f, g, o } = split_gates::<B, R>(gates, hidden);
        let p = split_diagonal_weights::<B, R>(p, hidden);
        let (h, recurrent, c) = split_state::<B, R>(next, hidden);
        equations::forward::<B, S, R>(i, f, g, o, p, prev, cell_state::<B, R>(prev, hidden), c, h);
        if B::HAS_GATE_RECURRENCE {
            recurrent.i.copy_from_slice(i);
            recurrent.f.copy_from_slice(f);
            recurrent.o.copy_from_slice(o);
        }
    }

    #[inline(always)]
    fn backward<S: Simd, R: Real>(inputs: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]) {
        let CellInputs { hidden, p, prev } = inputs;
        let PerGate { i, f, g, o } = split_gates::<B, R>(gates, hidden);
        let p = split_diagonal_weights::<B, R>(p, hidden);
        let (c_prev, c) = (cell_state::<B, R>(prev, hidden), cell_state::<B, R>(next, hidden));
        let (dh, recurrent, dc) = split_state::<B, R>(d, hidden);
        equations::backward::<B, S, R>(i, f, g, o, p, c_prev, c, recurrent.i, recurrent.f, recurrent.o, dh, dc);
    }
}
