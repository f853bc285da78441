//! No forget gate: the [`vanilla`](super::vanilla) cell with `f = 1` (Greff et al. 2015).
//!
//! ```text
//! c = c' + i * g
//! ```
//!
//! Backward, `dc' = dc + p_i * da_i`.

use super::lstm_block::{Forget, LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// vanilla without a forget gate.
pub struct Nfg;

impl LstmVariant for Nfg {
    const SPEC: CellSpec = CellSpec {
        diagonal_weights: &[DiagonalWeight::from_previous(0, 1), DiagonalWeight::from_new(2, 1)],
        ..spec("nfg", "vanilla without a forget gate", &["i", "g", "o"], "Greff et al. 2015")
    };
    const HAS_PEEPHOLES: bool = true;
    const FORGET: Forget = Forget::Never;
}
