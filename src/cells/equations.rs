//! The equations of a cell, and how they are compiled for every instruction set.

use std::marker::PhantomData;

use super::spec::CellSpec;
use crate::kernels::Real;
use crate::simd::{Simd, SimdKernel, dispatch};

/// The inputs of a cell besides the pre-activations, for one row or for a block of `B` rows.
#[derive(Clone, Copy, Debug)]
pub struct CellInputs<'a, R> {
    /// Elements per vector: `H`, or the lanes of a panel of several streams. The equations must be element-wise.
    pub hidden: usize,
    /// The diagonal weights, `(B, diagonal_weights, H)`.
    pub p: &'a [R],
    /// The state before the time step, `(B, states, H)`.
    pub prev: &'a [R],
}

/// The equations of a cell, for one row. Implementations must be `#[inline(always)]`: they are compiled once per instruction set.
pub trait Equations: Sync + 'static {
    /// The description of the cell.
    const SPEC: CellSpec;

    /// `gates`, `(gates, H)`, holds the pre-activations and is overwritten with what [`backward`](Self::backward) needs; the new state,
    /// `(states, H)`, is written to `next`.
    fn forward<S: Simd, R: Real>(inputs: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]);

    /// `gates`, `(gates, H)`, is overwritten with the gradient of the pre-activations. `d`, `(states, H)`, holds the gradient of the new
    /// state `next` and is overwritten with that of the previous state, without the part that flows through `w_hh`.
    fn backward<S: Simd, R: Real>(inputs: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]);
}

/// A cell at one precision, for blocks of `B` rows.
pub trait Cell<R>: Sync {
    /// [`Equations::forward`] for every row.
    fn forward(&self, inputs: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]);
    /// [`Equations::backward`] for every row.
    fn backward(&self, inputs: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]);
}

impl<E: Equations, R: Real> Cell<R> for E {
    fn forward(&self, inputs: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]) {
        dispatch(Forward { cell: PhantomData::<E>, inputs, gates, next });
    }
    fn backward(&self, inputs: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]) {
        dispatch(Backward { cell: PhantomData::<E>, inputs, gates, next, d });
    }
}

impl<'a, R> CellInputs<'a, R> {
    #[inline(always)]
    fn row<E: Equations>(&self, i: usize) -> CellInputs<'a, R> {
        let (p_len, state_len) = (E::SPEC.diagonal_weights.len() * self.hidden, E::SPEC.states * self.hidden);
        CellInputs {
            hidden: self.hidden,
            p: &self.p[i * p_len..][..p_len],
            prev: &self.prev[i * state_len..][..state_len],
        }
    }
}

struct Forward<'a, E, R> {
    cell: PhantomData<E>,
    inputs: CellInputs<'a, R>,
    gates: &'a mut [R],
    next: &'a mut [R],
}

impl<E: Equations, R: Real> SimdKernel for Forward<'_, E, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Forward { inputs, gates, next, .. } = self;
        let (gates_len, state_len) = (E::SPEC.gates.len() * inputs.hidden, E::SPEC.states * inputs.hidden);
        for (i, (gates, next)) in gates.chunks_exact_mut(gates_len).zip(next.chunks_exact_mut(state_len)).enumerate() {
            E::forward::<S, R>(inputs.row::<E>(i), gates, next);
        }
    }
}

struct Backward<'a, E, R> {
    cell: PhantomData<E>,
    inputs: CellInputs<'a, R>,
    gates: &'a mut [R],
    next: &'a [R],
    d: &'a mut [R],
}

impl<E: Equations, R: Real> SimdKernel for Backward<'_, E, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Backward { inputs, gates, next, d, .. } = self;
        let (gates_len, state_len) = (E::SPEC.gates.len() * inputs.hidden, E::SPEC.states * inputs.hidden);
        let states = next.chunks_exact(state_len).zip(d.chunks_exact_mut(state_len));
        for (i, (gates, (next, d))) in gates.chunks_exact_mut(gates_len).zip(states).enumerate() {
            E::backward::<S, R>(inputs.row::<E>(i), gates, next, d);
        }
    }
}
