//! The LSTM with independently recurrent units: Gonnet & Deselaers, "IndyLSTMs: Independently Recurrent LSTMs" (2019). The
//! recurrence is diagonal: a unit sees only its own output, through one weight `u` per gate.
//!
//! ```text
//! i = sigmoid(a_i + u_i * h')    f = sigmoid(a_f + u_f * h')    g = tanh(a_g + u_g * h')    o = sigmoid(a_o + u_o * h')
//! c = f * c' + i * g
//! h = o * tanh(c)
//! ```
//!
//! Backward as for the [`lstm`](super::lstm), with
//!
//! ```text
//! dh'  = u_i * da_i + u_f * da_f + u_g * da_g + u_o * da_o
//! ```

use super::lstm_block::{LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// LSTM of independent units: the recurrence is diagonal.
pub struct IndyLstm;

impl LstmVariant for IndyLstm {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        recurrent_gates: 0..0,
        diagonal_weights: &[
            DiagonalWeight::from_previous(0, 0),
            DiagonalWeight::from_previous(1, 0),
            DiagonalWeight::from_previous(2, 0),
            DiagonalWeight::from_previous(3, 0),
        ],
        ..spec(
            "indylstm",
            "LSTM of independent units: the recurrence is diagonal",
            &["i", "f", "g", "o"],
            "Gonnet & Deselaers 2019",
        )
    };
    const HAS_DIAGONAL_RECURRENCE: bool = true;
}
