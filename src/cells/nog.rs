//! No output gate: the [`vanilla`](super::vanilla) cell with `o = 1` (Greff et al. 2015).
//!
//! ```text
//! h = tanh(c)
//! ```
//!
//! Backward, `dc += dh * (1 - tanh(c)^2)`.

use super::CellSpec;
use super::block::{Block, before, variant};

/// vanilla without an output gate.
pub struct Nog;

impl Block for Nog {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonal_weights: &[before(0, 1), before(1, 1)],
        ..variant("nog", "vanilla without an output gate", &["i", "f", "g"], "Greff et al. 2015")
    };
    const PEEPHOLES: bool = true;
    const OUTPUT_GATE: bool = false;
}
