//! No output gate: the [`vanilla`](super::vanilla) cell with `o = 1` (Greff et al. 2015).
//!
//! ```text
//! h = tanh(c)
//! ```
//!
//! Backward, `dc += dh * (1 - tanh(c)^2)`.

use super::lstm_block::{LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// vanilla without an output gate.
pub struct Nog;

impl LstmVariant for Nog {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonal_weights: &[DiagonalWeight::from_previous(0, 1), DiagonalWeight::from_previous(1, 1)],
        ..spec("nog", "vanilla without an output gate", &["i", "f", "g"], "Greff et al. 2015")
    };
    const HAS_PEEPHOLES: bool = true;
    const HAS_OUTPUT_GATE: bool = false;
}
