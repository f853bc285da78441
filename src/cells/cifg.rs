//! Coupled input and forget gate: the [`vanilla`](super::vanilla) cell with `f = 1 - i` (Greff et al. 2015).
//!
//! ```text
//! i = sigmoid(a_i + p_i * c')    g = tanh(a_g)
//! c = (1 - i) * c' + i * g
//! o = sigmoid(a_o + p_o * c)
//! h = o * tanh(c)
//! ```
//!
//! Backward as for the vanilla cell, except
//!
//! ```text
//! da_i = dc * (g - c') * i * (1 - i)
//! dc'  = dc * (1 - i) + p_i * da_i
//! ```

use super::lstm_block::{Forget, LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// The vanilla cell with coupled gates
pub struct Cifg;

impl LstmVariant for Cifg {
    const SPEC: CellSpec = CellSpec {
        diagonal_weights: &[DiagonalWeight::from_previous(0, 1), DiagonalWeight::from_new(2, 1)],
        ..spec("cifg", "vanilla with coupled gates: f = 1 - i", &["i", "g", "o"], "Greff et al. 2015")
    };
    const HAS_PEEPHOLES: bool = true;
    const FORGET: Forget = Forget::Coupled;
}
