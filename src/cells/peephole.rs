//! The LSTM with peepholes: Gers & Schmidhuber, "Recurrent Nets that Time and Count" (2000). The gates see the cell state:
//! `i` and `f` the previous one, `o` the new one. The output has no activation function, so the cell can count. It is also the variant NOAF
//! of Greff et al. (2015). Because the output is unbounded, training often diverges on texts without state resets.
//!
//! ```text
//! i = sigmoid(a_i + p_i * c')    f = sigmoid(a_f + p_f * c')    g = tanh(a_g)
//! c = f * c' + i * g
//! o = sigmoid(a_o + p_o * c)
//! h = o * c
//! ```
//!
//! Backward, from `dh` and `dc`:
//!
//! ```text
//! da_o = dh * c * o * (1 - o)
//! dc  += dh * o + p_o * da_o
//! da_g = dc * i  * (1 - g^2)
//! da_i = dc * g  * i * (1 - i)
//! da_f = dc * c' * f * (1 - f)
//! dc'  = dc * f + p_i * da_i + p_f * da_f
//! ```

use super::lstm_block::{Activation, LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// LSTM with peepholes and an unbounded output.
pub struct Peephole;

impl LstmVariant for Peephole {
    const SPEC: CellSpec = CellSpec {
        aliases: &["noaf"],
        forget_gate: Some(1),
        diagonal_weights: &[
            DiagonalWeight::from_previous(0, 1),
            DiagonalWeight::from_previous(1, 1),
            DiagonalWeight::from_new(3, 1),
        ],
        ..spec(
            "peephole",
            "LSTM with peepholes and an unbounded output; often diverges unless the state is reset or sequences are short",
            &["i", "f", "g", "o"],
            "Gers & Schmidhuber 2000",
        )
    };
    const HAS_PEEPHOLES: bool = true;
    const OUTPUT_ACTIVATION: Activation = Activation::Identity;
}
