//! The recurrent cells: elementwise mathematics only, one file a cell, its equations beside its code.
//!
//! A cell sees one row (one stream, one step) at a time: pre-activations `a = x w_ih + h w_hh + b`, which
//! [`layers`](crate::layers) computed for it, and the state before the step. A row of state holds `states` vectors of
//! `hidden` elements, the output `h` first. To add a cell: one file that implements [`Equations`], one line in [`CELLS`]; a
//! variant of the LSTM says only which parts of the `block` it has.

mod block;
mod cifg;
mod coupled;
mod fgr;
mod gru;
mod indylstm;
mod lstm;
mod lstm1997;
mod nfg;
mod niaf;
mod nig;
mod nog;
mod peephole;
mod rnn;
mod spec;
mod vanilla;

use spec::PLAIN;
pub use spec::{CellSpec, DiagonalWeight};

use crate::error::{Error, Result};
use crate::kernels::Real;
use crate::simd::{Simd, SimdKernel, dispatch};

/// What a row of state is computed from beside the pre-activations.
#[derive(Clone, Copy, Debug)]
pub struct CellInputs<'a, R> {
    /// Units: elements of each vector.
    pub hidden: usize,
    /// The diagonals, one after another.
    pub p: &'a [R],
    /// The state before the step.
    pub prev: &'a [R],
}

/// The equations of a cell. Implementations are `#[inline(always)]`: they are compiled once per instruction set.
pub trait Equations: Sync + 'static {
    /// What the cell is.
    const SPEC: CellSpec;

    /// One row forward: `gates` holds pre-activations and becomes what [`backward`](Self::backward) needs; `next` is set.
    fn forward<S: Simd, R: Real>(row: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]);

    /// One row backward: `gates` becomes the gradient of the pre-activations; `d`, the gradient of the state after the step,
    /// becomes that of the state before it, the way through `w_hh` left out.
    fn backward<S: Simd, R: Real>(row: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]);
}

/// A cell at one precision, working on blocks of rows.
pub trait Cell<R>: Sync {
    /// [`Equations::forward`] for every row of a block.
    fn forward(&self, rows: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]);
    /// [`Equations::backward`] for every row of a block.
    fn backward(&self, rows: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]);
}

impl<'a, R> CellInputs<'a, R> {
    /// One of the rows of a block.
    #[inline(always)]
    fn nth<E: Equations>(&self, i: usize) -> CellInputs<'a, R> {
        let (of_p, of_state) = (E::SPEC.diagonal_weights.len() * self.hidden, E::SPEC.states * self.hidden);
        CellInputs { hidden: self.hidden, p: &self.p[i * of_p..][..of_p], prev: &self.prev[i * of_state..][..of_state] }
    }
}

struct Forward<'a, R>(CellInputs<'a, R>, &'a mut [R], &'a mut [R]);
struct Backward<'a, R>(CellInputs<'a, R>, &'a mut [R], &'a [R], &'a mut [R]);

/// Binds rows of a block to the equations of `E`.
struct Rows<E, T>(std::marker::PhantomData<E>, T);

impl<E: Equations, R: Real> SimdKernel for Rows<E, Forward<'_, R>> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Forward(rows, gates, next) = self.1;
        let (wide, states) = (E::SPEC.gates.len() * rows.hidden, E::SPEC.states * rows.hidden);
        for (i, (gates, next)) in gates.chunks_exact_mut(wide).zip(next.chunks_exact_mut(states)).enumerate() {
            E::forward::<S, R>(rows.nth::<E>(i), gates, next);
        }
    }
}

impl<E: Equations, R: Real> SimdKernel for Rows<E, Backward<'_, R>> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Backward(rows, gates, next, d) = self.1;
        let (wide, states) = (E::SPEC.gates.len() * rows.hidden, E::SPEC.states * rows.hidden);
        let after = next.chunks_exact(states).zip(d.chunks_exact_mut(states));
        for (i, (gates, (next, d))) in gates.chunks_exact_mut(wide).zip(after).enumerate() {
            E::backward::<S, R>(rows.nth::<E>(i), gates, next, d);
        }
    }
}

impl<E: Equations, R: Real> Cell<R> for E {
    fn forward(&self, rows: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]) {
        dispatch(Rows::<E, _>(std::marker::PhantomData, Forward(rows, gates, next)));
    }
    fn backward(&self, rows: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]) {
        dispatch(Rows::<E, _>(std::marker::PhantomData, Backward(rows, gates, next, d)));
    }
}

/// A cell of the registry, at both precisions.
pub struct RegisteredCell {
    /// What the cell is.
    pub spec: &'static CellSpec,
    f32: &'static dyn Cell<f32>,
    f64: &'static dyn Cell<f64>,
}

impl std::fmt::Debug for RegisteredCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RegisteredCell").field(&self.spec.name).finish()
    }
}

const fn entry<E: Equations>(cell: &'static E) -> RegisteredCell {
    RegisteredCell { spec: &E::SPEC, f32: cell, f64: cell }
}

/// Every cell there is. The command line, the contract tests and the benches iterate it.
pub static CELLS: &[RegisteredCell] = &[
    entry(&rnn::Rnn),
    entry(&lstm1997::Lstm1997),
    entry(&lstm::Lstm),
    entry(&peephole::Peephole),
    entry(&vanilla::Vanilla),
    entry(&coupled::Coupled),
    entry(&gru::Gru),
    entry(&indylstm::IndyLstm),
    entry(&nig::Nig),
    entry(&nfg::Nfg),
    entry(&nog::Nog),
    entry(&niaf::Niaf),
    entry(&fgr::Fgr),
    entry(&cifg::Cifg),
];

/// The cell of that name.
///
/// # Errors
/// [`Error::Usage`] naming the cells there are.
pub fn find(name: &str) -> Result<&'static RegisteredCell> {
    CELLS.iter().find(|cell| cell.spec.name == name || cell.spec.aliases.contains(&name)).ok_or_else(|| {
        let names: Vec<_> = CELLS.iter().map(|cell| cell.spec.name).collect();
        Error::unknown_name("cell", name, &names)
    })
}

/// A precision that cells are compiled for.
pub trait CellReal: Real {
    /// The cell at this precision.
    fn cell(entry: &RegisteredCell) -> &'static dyn Cell<Self>;
}

impl CellReal for f32 {
    fn cell(entry: &RegisteredCell) -> &'static dyn Cell<f32> {
        entry.f32
    }
}

impl CellReal for f64 {
    fn cell(entry: &RegisteredCell) -> &'static dyn Cell<f64> {
        entry.f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (i, cell) in CELLS.iter().enumerate() {
            assert!(std::ptr::eq(find(cell.spec.name).unwrap().spec, cell.spec));
            assert!(CELLS[..i].iter().all(|other| other.spec.name != cell.spec.name));
            assert!(cell.spec.forget_gate.is_none_or(|gate| gate < cell.spec.gates.len()));
        }
        assert!(find("gpt").unwrap_err().to_string().contains("lstm"));
    }
}
