//! The LSTM with coupled input and forget gates, `f = 1 - i`, without peepholes: after Greff et al. (2015), whose variant with peepholes
//! is [`cifg`](super::cifg).
//!
//! ```text
//! i = sigmoid(a_i)    g = tanh(a_g)    o = sigmoid(a_o)
//! c = (1 - i) * c' + i * g
//! h = o * tanh(c)
//! ```
//!
//! Backward as for the [`lstm`](super::lstm), except
//!
//! ```text
//! da_i = dc * (g - c') * i * (1 - i)
//! dc'  = dc * (1 - i)
//! ```

use super::lstm_block::{Forget, LstmVariant, spec};
use super::spec::CellSpec;

/// LSTM with coupled input and forget gates: f = 1 - i.
pub struct Coupled;

impl LstmVariant for Coupled {
    const SPEC: CellSpec =
        spec("coupled", "LSTM with coupled input and forget gates: f = 1 - i", &["i", "g", "o"], "Greff et al. 2015");
    const FORGET: Forget = Forget::Coupled;
}
