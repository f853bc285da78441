//! The LSTM with peepholes and an output activation function: the baseline of Greff et al., "LSTM: A Search Space Odyssey" (2015),
//! introduced by Graves & Schmidhuber (2005). The gates see the cell state through peepholes `p` of one weight per unit: `i` and `f` the
//! previous one, `o` the new one.
//!
//! ```text
//! i = sigmoid(a_i + p_i * c')    f = sigmoid(a_f + p_f * c')    g = tanh(a_g)
//! c = f * c' + i * g
//! o = sigmoid(a_o + p_o * c)
//! h = o * tanh(c)
//! ```
//!
//! Backward, from `dh` and `dc`:
//!
//! ```text
//! da_o = dh * tanh(c) * o * (1 - o)
//! dc  += dh * o * (1 - tanh(c)^2) + p_o * da_o
//! da_g = dc * i  * (1 - g^2)
//! da_i = dc * g  * i * (1 - i)
//! da_f = dc * c' * f * (1 - f)
//! dc'  = dc * f + p_i * da_i + p_f * da_f
//! ```

use super::lstm_block::{LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// LSTM with peepholes, the baseline of Greff et al. (2015).
pub struct Vanilla;

impl LstmVariant for Vanilla {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonal_weights: &[
            DiagonalWeight::from_previous(0, 1),
            DiagonalWeight::from_previous(1, 1),
            DiagonalWeight::from_new(3, 1),
        ],
        ..spec(
            "vanilla",
            "LSTM with peepholes, the baseline of Greff et al.",
            &["i", "f", "g", "o"],
            "Greff et al. 2015",
        )
    };
    const HAS_PEEPHOLES: bool = true;
}
