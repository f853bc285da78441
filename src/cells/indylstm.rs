//! The LSTM of independent units: Gonnet & Deselaers, "IndyLSTMs: Independently Recurrent LSTMs" (2019). The recurrence is
//! diagonal: a unit sees no output but its own, by a weight `u` for each of its gates, and units meet in the next layer.
//!
//! ```text
//! i = sigmoid(a_i + u_i * h')    f = sigmoid(a_f + u_f * h')    g = tanh(a_g + u_g * h')    o = sigmoid(a_o + u_o * h')
//! c = f * c' + i * g
//! h = o * tanh(c)
//! ```
//!
//! Backward as for the [`lstm`](super::lstm), and
//!
//! ```text
//! dh'  = u_i * da_i + u_f * da_f + u_g * da_g + u_o * da_o
//! ```

use super::CellSpec;
use super::block::{Block, before, variant};

/// LSTM of independent units: the recurrence is diagonal.
pub struct IndyLstm;

impl Block for IndyLstm {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        recurrent: 0..0,
        diagonal_weights: &[before(0, 0), before(1, 0), before(2, 0), before(3, 0)],
        ..variant(
            "indylstm",
            "LSTM of independent units: the recurrence is diagonal",
            &["i", "f", "g", "o"],
            "Gonnet & Deselaers 2019",
        )
    };
    const INDEPENDENT: bool = true;
}
