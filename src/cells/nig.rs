//! No input gate: the [`vanilla`](super::vanilla) cell with `i = 1` (Greff et al. 2015).
//!
//! ```text
//! c = f * c' + g
//! ```
//!
//! Backward, `da_g = dc * (1 - g^2)` and `dc' = dc * f + p_f * da_f`.

use super::CellSpec;
use super::block::{Block, after, before, variant};

/// vanilla without an input gate.
pub struct Nig;

impl Block for Nig {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(0),
        diagonal_weights: &[before(0, 1), after(2, 1)],
        ..variant("nig", "vanilla without an input gate", &["f", "g", "o"], "Greff et al. 2015")
    };
    const PEEPHOLES: bool = true;
    const INPUT_GATE: bool = false;
}
