//! The original LSTM: Hochreiter & Schmidhuber, "Long Short-Term Memory" (1997). It has no forget gate: the cell state is carried
//! over with a weight of exactly 1, the constant error carousel.
//!
//! With the paper's activation functions, `4 sigmoid(a) - 2` for the input and `2 sigmoid(c) - 1` for the output:
//!
//! ```text
//! i = sigmoid(a_i)    g = 2 tanh(a_g / 2)    o = sigmoid(a_o)
//! c = c' + i * g
//! h = o * tanh(c / 2)
//! ```
//!
//! Backward, from `dh` and `dc`:
//!
//! ```text
//! da_o = dh * tanh(c / 2) * o * (1 - o)
//! dc  += dh * o * (1 - tanh(c / 2)^2) / 2
//! da_g = dc * i * (1 - g^2 / 4)
//! da_i = dc * g * i * (1 - i)
//! dc'  = dc
//! ```
//!
//! The paper truncates the gradients at the recurrent connections of the gates and the input; here they flow through the whole window.

use super::lstm_block::{Activation, Forget, LstmVariant, spec};
use super::spec::CellSpec;

/// the first LSTM, without a forget gate.
pub struct Lstm1997;

impl LstmVariant for Lstm1997 {
    const SPEC: CellSpec =
        spec("lstm1997", "the first LSTM, without a forget gate", &["i", "g", "o"], "Hochreiter & Schmidhuber 1997");
    const FORGET: Forget = Forget::Never;
    const INPUT_ACTIVATION: Activation = Activation::BipolarSigmoid2;
    const OUTPUT_ACTIVATION: Activation = Activation::BipolarSigmoid1;
}
