//! The LSTM whose input gate forgets as much as it lets in: Greff et al. (2015), there with peepholes ([`cifg`](super::cifg)).
//!
//! ```text
//! i = sigmoid(a_i)    g = tanh(a_g)    o = sigmoid(a_o)
//! c = (1 - i) * c' + i * g
//! h = o * tanh(c)
//! ```
//!
//! Backward as for the [`lstm`](super::lstm), but
//!
//! ```text
//! da_i = dc * (g - c') * i * (1 - i)
//! dc'  = dc * (1 - i)
//! ```

use super::lstm_block::{Forget, LstmVariant, spec};
use super::spec::CellSpec;

/// LSTM that forgets what it replaces: f = 1 - i.
pub struct Coupled;

impl LstmVariant for Coupled {
    const SPEC: CellSpec =
        spec("coupled", "LSTM that forgets what it replaces: f = 1 - i", &["i", "g", "o"], "Greff et al. 2015");
    const FORGET: Forget = Forget::Coupled;
}
