//! No input activation function: the [`vanilla`](super::vanilla) cell with `g = a_g` (Greff et al. 2015).
//!
//! Backward, `da_g = dc * i`.

use super::lstm_block::{Activation, LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// vanilla without an input activation.
pub struct Niaf;

impl LstmVariant for Niaf {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonal_weights: &[
            DiagonalWeight::from_previous(0, 1),
            DiagonalWeight::from_previous(1, 1),
            DiagonalWeight::from_new(3, 1),
        ],
        ..spec("niaf", "vanilla without an input activation", &["i", "f", "g", "o"], "Greff et al. 2015")
    };
    const HAS_PEEPHOLES: bool = true;
    const INPUT_ACTIVATION: Activation = Activation::Identity;
}
