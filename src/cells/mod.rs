//! The recurrent cells: elementwise mathematics only, one file a cell, its equations beside its code.
//!
//! A cell sees one row (one stream, one step) at a time: pre-activations `a = x w_ih + h w_hh + b`, which
//! [`layers`](crate::layers) computed for it, and the state before the step. A row of state holds `states` vectors of
//! `hidden` elements, the output `h` first. To add a cell: one file that implements [`Equations`], one line in [`CELLS`].

mod lstm;

pub use lstm::Lstm;

use crate::error::{Error, Result};
use crate::kernels::{Kernel, Mode, Real, vectorize};

/// What a cell is and what it needs from the layer that runs it.
#[derive(Debug)]
pub struct CellSpec {
    /// The value of `--cell`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The gates in the order in which their columns stand in `w_ih`, `w_hh` and `b`.
    pub gates: &'static [&'static str],
    /// The gate whose bias starts at 1, so that the cell remembers before it has learned to.
    pub forget_gate: Option<usize>,
    /// Vectors of state, the output `h` among them.
    pub states: usize,
    /// Where the equations come from.
    pub paper: &'static str,
}

/// The equations of a cell. Implementations are `#[inline(always)]`: they are compiled once per instruction set.
pub trait Equations: Sync + 'static {
    /// What the cell is.
    const SPEC: CellSpec;

    /// One row forward: `gates` holds pre-activations and becomes what [`backward`](Self::backward) needs; `next` is set.
    fn forward<M: Mode, R: Real>(hidden: usize, gates: &mut [R], prev: &[R], next: &mut [R]);

    /// One row backward: `gates` becomes the gradient of the pre-activations; `d`, the gradient of the state after the step,
    /// becomes that of the state before it, the way through the pre-activations left out.
    fn backward<M: Mode, R: Real>(hidden: usize, gates: &mut [R], prev: &[R], next: &[R], d: &mut [R]);
}

/// A cell at one precision, working on blocks of rows.
pub trait Cell<R>: Sync {
    /// [`Equations::forward`] for every row of a block.
    fn forward(&self, hidden: usize, gates: &mut [R], prev: &[R], next: &mut [R]);
    /// [`Equations::backward`] for every row of a block.
    fn backward(&self, hidden: usize, gates: &mut [R], prev: &[R], next: &[R], d: &mut [R]);
}

struct Forward<'a, R>(usize, &'a mut [R], &'a [R], &'a mut [R]);
struct Backward<'a, R>(usize, &'a mut [R], &'a [R], &'a [R], &'a mut [R]);

/// Binds rows of a block to the equations of `E`.
struct Rows<E, T>(std::marker::PhantomData<E>, T);

impl<E: Equations, R: Real> Kernel for Rows<E, Forward<'_, R>> {
    type Output = ();

    #[inline(always)]
    fn run<M: Mode>(self) {
        let Forward(hidden, gates, prev, next) = self.1;
        let (wide, states) = (E::SPEC.gates.len() * hidden, E::SPEC.states * hidden);
        let rows = gates.chunks_exact_mut(wide).zip(prev.chunks_exact(states)).zip(next.chunks_exact_mut(states));
        for ((gates, prev), next) in rows {
            E::forward::<M, R>(hidden, gates, prev, next);
        }
    }
}

impl<E: Equations, R: Real> Kernel for Rows<E, Backward<'_, R>> {
    type Output = ();

    #[inline(always)]
    fn run<M: Mode>(self) {
        let Backward(hidden, gates, prev, next, d) = self.1;
        let (wide, states) = (E::SPEC.gates.len() * hidden, E::SPEC.states * hidden);
        let before = gates.chunks_exact_mut(wide).zip(prev.chunks_exact(states));
        let after = next.chunks_exact(states).zip(d.chunks_exact_mut(states));
        for ((gates, prev), (next, d)) in before.zip(after) {
            E::backward::<M, R>(hidden, gates, prev, next, d);
        }
    }
}

impl<E: Equations, R: Real> Cell<R> for E {
    fn forward(&self, hidden: usize, gates: &mut [R], prev: &[R], next: &mut [R]) {
        vectorize(Rows::<E, _>(std::marker::PhantomData, Forward(hidden, gates, prev, next)));
    }
    fn backward(&self, hidden: usize, gates: &mut [R], prev: &[R], next: &[R], d: &mut [R]) {
        vectorize(Rows::<E, _>(std::marker::PhantomData, Backward(hidden, gates, prev, next, d)));
    }
}

/// A cell of the registry, at both precisions.
pub struct Entry {
    /// What the cell is.
    pub spec: &'static CellSpec,
    f32: &'static dyn Cell<f32>,
    f64: &'static dyn Cell<f64>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").field(&self.spec.name).finish()
    }
}

const fn entry<E: Equations>(cell: &'static E) -> Entry {
    Entry { spec: &E::SPEC, f32: cell, f64: cell }
}

/// Every cell there is. The command line, the contract tests and the benches iterate it.
pub static CELLS: &[Entry] = &[entry(&Lstm)];

/// The cell of that name.
///
/// # Errors
/// [`Error::Usage`] naming the cells there are.
pub fn find(name: &str) -> Result<&'static Entry> {
    CELLS.iter().find(|cell| cell.spec.name == name).ok_or_else(|| {
        let names: Vec<_> = CELLS.iter().map(|cell| cell.spec.name).collect();
        Error::Usage(format!("there is no cell \"{name}\"; choose from: {}", names.join(", ")))
    })
}

/// A precision that cells are compiled for.
pub trait CellReal: Real {
    /// The cell at this precision.
    fn cell(entry: &Entry) -> &'static dyn Cell<Self>;
}

impl CellReal for f32 {
    fn cell(entry: &Entry) -> &'static dyn Cell<f32> {
        entry.f32
    }
}

impl CellReal for f64 {
    fn cell(entry: &Entry) -> &'static dyn Cell<f64> {
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
