//! The LSTM with a forget gate: Gers, Schmidhuber & Cummins, "Learning to Forget" (1999), without peepholes. It is also
//! the variant NP of Greff et al. (2015).
//!
//! ```text
//! i = sigmoid(a_i)    f = sigmoid(a_f)    g = tanh(a_g)    o = sigmoid(a_o)
//! c = f * c' + i * g
//! h = o * tanh(c)
//! ```
//!
//! Backward, from `dh` and `dc`:
//!
//! ```text
//! da_o = dh * tanh(c) * o * (1 - o)
//! dc  += dh * o * (1 - tanh(c)^2)
//! da_g = dc * i  * (1 - g^2)
//! da_i = dc * g  * i * (1 - i)
//! da_f = dc * c' * f * (1 - f)
//! dc'  = dc * f
//! ```

use super::lstm_block::{LstmVariant, spec};
use super::spec::CellSpec;

/// LSTM with a forget gate.
pub struct Lstm;

impl LstmVariant for Lstm {
    const SPEC: CellSpec = CellSpec {
        aliases: &["np"],
        forget_gate: Some(1),
        ..spec("lstm", "LSTM with a forget gate", &["i", "f", "g", "o"], "Gers, Schmidhuber & Cummins 1999")
    };
}
