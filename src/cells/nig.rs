//! No input gate: the [`vanilla`](super::vanilla) cell with `i = 1` (Greff et al. 2015).
//!
//! ```text
//! c = f * c' + g
//! ```
//!
//! Backward, `da_g = dc * (1 - g^2)` and `dc' = dc * f + p_f * da_f`.

use super::lstm_block::{LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// vanilla without an input gate.
pub struct Nig;

impl LstmVariant for Nig {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(0),
        diagonal_weights: &[DiagonalWeight::from_previous(0, 1), DiagonalWeight::from_new(2, 1)],
        ..spec("nig", "vanilla without an input gate", &["f", "g", "o"], "Greff et al. 2015")
    };
    const HAS_PEEPHOLES: bool = true;
    const HAS_INPUT_GATE: bool = false;
}
