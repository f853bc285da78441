//! No input activation function: the [`vanilla`](super::vanilla) cell with `g = a_g` (Greff et al. 2015).
//!
//! Backward, `da_g = dc * i`.

use super::CellSpec;
use super::block::{Activation, Block, after, before, variant};

/// vanilla without an input activation.
pub struct Niaf;

impl Block for Niaf {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonal_weights: &[before(0, 1), before(1, 1), after(3, 1)],
        ..variant("niaf", "vanilla without an input activation", &["i", "f", "g", "o"], "Greff et al. 2015")
    };
    const PEEPHOLES: bool = true;
    const INPUT: Activation = Activation::Identity;
}
