//! The LSTM block, each of its parts there or not: what Greff et al. (2015) take apart.
//!
//! With everything, from pre-activations `a`, the state `c'` before the step and a weight `p` of each unit for each peephole:
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
//! A gate that is not there is 1. A variant has a file of its own, which says what it has and what becomes of the equations.

mod activation;
mod vectors;

use super::{CellInputs, CellSpec, DiagonalWeight, Equations};
use crate::kernels::Real;
use crate::simd::Simd;
pub(super) use activation::Activation;

/// The way of the old cell state into the new one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Forget {
    /// By a gate of its own.
    Gate,
    /// By `1 - i`.
    Coupled,
    /// Whole: the constant error carousel.
    Never,
}

/// What a variant of the block has. Gates stand in the order `i`, `f`, `g`, `o`, those that are there; its diagonals are the
/// peepholes of `i`, `f` and `o`, or the recurrence of every gate. Its states are `h`, the gates that are fed back, and `c`.
pub(super) trait Block: Sync + 'static {
    /// What the cell is.
    const SPEC: CellSpec;
    /// Whether there is an input gate.
    const INPUT_GATE: bool = true;
    /// What forgets.
    const FORGET: Forget = Forget::Gate;
    /// Whether there is an output gate.
    const OUTPUT_GATE: bool = true;
    /// Whether gates see the cell state.
    const PEEPHOLES: bool = false;
    /// Whether a unit sees the output of no unit but itself.
    const INDEPENDENT: bool = false;
    /// Whether the gates see all gates of the step before.
    const FEEDBACK: bool = false;
    /// What squashes the input.
    const INPUT: Activation = Activation::Tanh;
    /// What squashes the output.
    const OUTPUT: Activation = Activation::Tanh;

    /// Whether there is a forget gate.
    const FORGET_GATE: bool = matches!(Self::FORGET, Forget::Gate);
    /// Whether the three gates have diagonals.
    const SEEING: bool = Self::PEEPHOLES || Self::INDEPENDENT;
}

/// The specification of a variant with those gates, all of them reached by both products.
pub(super) const fn variant(
    name: &'static str,
    summary: &'static str,
    gates: &'static [&'static str],
    paper: &'static str,
) -> CellSpec {
    let all = 0..gates.len();
    CellSpec { name, summary, gates, paper, states: 2, input: 0..gates.len(), recurrent: all, ..super::PLAIN }
}

/// The peephole of a gate that opens before the cell state is new.
pub(super) const fn before(gate: usize, state: usize) -> DiagonalWeight {
    DiagonalWeight { gate, state, after: false }
}

/// The peephole of the output gate.
pub(super) const fn after(gate: usize, state: usize) -> DiagonalWeight {
    DiagonalWeight { gate, state, after: true }
}

/// Vectors of a row, empty where there is none.
struct Four<T> {
    i: T,
    f: T,
    g: T,
    o: T,
}

#[inline(always)]
fn of_gates<B: Block, R>(gates: &mut [R], hidden: usize) -> Four<&mut [R]> {
    let (i, rest) = gates.split_at_mut(if B::INPUT_GATE { hidden } else { 0 });
    let (f, rest) = rest.split_at_mut(if B::FORGET_GATE { hidden } else { 0 });
    let (g, o) = rest.split_at_mut(hidden);
    Four { i, f, g, o }
}

#[inline(always)]
fn of_diagonals<B: Block, R>(p: &[R], hidden: usize) -> Four<&[R]> {
    let (i, rest) = p.split_at(if B::SEEING && B::INPUT_GATE { hidden } else { 0 });
    let (f, rest) = rest.split_at(if B::SEEING && B::FORGET_GATE { hidden } else { 0 });
    let (g, o) = rest.split_at(if B::INDEPENDENT { hidden } else { 0 });
    Four { i, f, g, o }
}

/// `h`, the gates that are fed back, and `c` of a row of state.
#[inline(always)]
fn of_state<B: Block, R>(state: &mut [R], hidden: usize) -> (&mut [R], Four<&mut [R]>, &mut [R]) {
    let fed = if B::FEEDBACK { hidden } else { 0 };
    let (h, rest) = state.split_at_mut(hidden);
    let (i, rest) = rest.split_at_mut(fed);
    let (f, rest) = rest.split_at_mut(fed);
    let (o, c) = rest.split_at_mut(fed);
    (h, Four { i, f, g: &mut [], o }, c)
}

/// The cell state of a row, which stands last.
#[inline(always)]
fn cell_state<B: Block, R>(state: &[R], hidden: usize) -> &[R] {
    &state[if B::FEEDBACK { 4 * hidden } else { hidden }..]
}

impl<B: Block> Equations for B {
    const SPEC: CellSpec = <B as Block>::SPEC;

    #[inline(always)]
    fn forward<S: Simd, R: Real>(row: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]) {
        let Four { i, f, g, o } = of_gates::<B, R>(gates, row.hidden);
        let p = of_diagonals::<B, R>(row.p, row.hidden);
        let (h, fed, c) = of_state::<B, R>(next, row.hidden);
        vectors::forward::<B, S, R>(i, f, g, o, p, row.prev, cell_state::<B, R>(row.prev, row.hidden), c, h);
        if B::FEEDBACK {
            fed.i.copy_from_slice(i);
            fed.f.copy_from_slice(f);
            fed.o.copy_from_slice(o);
        }
    }

    #[inline(always)]
    fn backward<S: Simd, R: Real>(row: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]) {
        let Four { i, f, g, o } = of_gates::<B, R>(gates, row.hidden);
        let p = of_diagonals::<B, R>(row.p, row.hidden);
        let (c_prev, c) = (cell_state::<B, R>(row.prev, row.hidden), cell_state::<B, R>(next, row.hidden));
        let (dh, fed, dc) = of_state::<B, R>(d, row.hidden);
        vectors::backward::<B, S, R>(i, f, g, o, p, c_prev, c, fed.i, fed.f, fed.o, dh, dc);
    }
}
