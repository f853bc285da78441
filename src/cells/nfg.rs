//! No forget gate: the [`vanilla`](super::vanilla) cell with `f = 1` (Greff et al. 2015).
//!
//! ```text
//! c = c' + i * g
//! ```
//!
//! Backward, `dc' = dc + p_i * da_i`.

use super::CellSpec;
use super::block::{Block, Forget, after, before, variant};

/// vanilla without a forget gate.
pub struct Nfg;

impl Block for Nfg {
    const SPEC: CellSpec = CellSpec {
        diagonal_weights: &[before(0, 1), after(2, 1)],
        ..variant("nfg", "vanilla without a forget gate", &["i", "g", "o"], "Greff et al. 2015")
    };
    const PEEPHOLES: bool = true;
    const FORGET: Forget = Forget::Never;
}
