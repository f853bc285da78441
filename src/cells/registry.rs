//! The registry of cells. The command line, the contract tests and the benchmarks iterate over it.

use std::fmt;

use super::cifg::Cifg;
use super::coupled::Coupled;
use super::equations::{Cell, Equations};
use super::fgr::Fgr;
use super::gru::Gru;
use super::indylstm::IndyLstm;
use super::lstm::Lstm;
use super::lstm1997::Lstm1997;
use super::nfg::Nfg;
use super::niaf::Niaf;
use super::nig::Nig;
use super::nog::Nog;
use super::peephole::Peephole;
use super::rnn::Rnn;
use super::spec::CellSpec;
use super::vanilla::Vanilla;
use crate::error::{Error, Result};
use crate::kernels::Real;

/// Every cell.
pub static CELLS: &[RegisteredCell] = &[
    register(&Rnn),
    register(&Lstm1997),
    register(&Lstm),
    register(&Peephole),
    register(&Vanilla),
    register(&Coupled),
    register(&Gru),
    register(&IndyLstm),
    register(&Nig),
    register(&Nfg),
    register(&Nog),
    register(&Niaf),
    register(&Fgr),
    register(&Cifg),
];

/// A cell at both precisions.
pub struct RegisteredCell {
    /// The description of the cell.
    pub spec: &'static CellSpec,
    f32: &'static dyn Cell<f32>,
    f64: &'static dyn Cell<f64>,
}

const fn register<E: Equations>(cell: &'static E) -> RegisteredCell {
    RegisteredCell { spec: &E::SPEC, f32: cell, f64: cell }
}

impl fmt::Debug for RegisteredCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegisteredCell").field(&self.spec.name).finish()
    }
}

/// The cell with that name or alias.
///
/// # Errors
/// [`Error::UnknownName`] listing all names.
pub fn find(name: &str) -> Result<&'static RegisteredCell> {
    CELLS.iter().find(|cell| cell.spec.name == name || cell.spec.aliases.contains(&name)).ok_or_else(|| {
        let names: Vec<_> = CELLS.iter().map(|cell| cell.spec.name).collect();
        Error::unknown_name("cell", name, &names)
    })
}

/// An element type that cells are compiled for.
pub trait CellReal: Real {
    /// The cell for this element type.
    fn cell(cell: &RegisteredCell) -> &'static dyn Cell<Self>;
}

impl CellReal for f32 {
    fn cell(cell: &RegisteredCell) -> &'static dyn Cell<f32> {
        cell.f32
    }
}

impl CellReal for f64 {
    fn cell(cell: &RegisteredCell) -> &'static dyn Cell<f64> {
        cell.f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_found_by_its_unique_name() {
        for (i, cell) in CELLS.iter().enumerate() {
            assert!(std::ptr::eq(find(cell.spec.name).unwrap().spec, cell.spec));
            assert!(CELLS[..i].iter().all(|other| other.spec.name != cell.spec.name));
            assert!(cell.spec.forget_gate.is_none_or(|gate| gate < cell.spec.gates.len()));
        }
        assert!(find("gpt").unwrap_err().to_string().contains("lstm"));
    }
}
