//! Full gate recurrence: the [`vanilla`](super::vanilla) cell whose gates also receive all gates of the previous time step as
//! inputs (Greff et al. 2015, as in Hochreiter & Schmidhuber 1997). The gates are part of the state `(h, i, f, o, c)`, and `w_hh`
//! has rows for the first four vectors. It has nine more matrices than the vanilla cell, such as `r_fi` from `f` to `i`; the blocks
//! from a gate to `g` are always zero:
//!
//! ```text
//! a_i = x w_i + h' r_i + i' r_ii + f' r_fi + o' r_oi + b_i
//! a_f = x w_f + h' r_f + i' r_if + f' r_ff + o' r_of + b_f
//! a_o = x w_o + h' r_o + i' r_io + f' r_fo + o' r_oo + b_o
//! a_g = x w_g + h' r_g + b_g
//!
//! i = sigmoid(a_i + p_i * c')    f = sigmoid(a_f + p_f * c')    g = tanh(a_g)
//! c = f * c' + i * g
//! o = sigmoid(a_o + p_o * c)
//! h = o * tanh(c)
//! ```
//!
//! Backward as for the vanilla cell, with the gradients `da_i"`, `da_f"` and `da_o"` of the next time step:
//!
//! ```text
//! di   = da_i" r_ii^T + da_f" r_if^T + da_o" r_io^T
//! df   = da_i" r_fi^T + da_f" r_ff^T + da_o" r_fo^T
//! do   = da_i" r_oi^T + da_f" r_of^T + da_o" r_oo^T
//! da_o = (dh * tanh(c) + do) * o * (1 - o)
//! da_i = (dc * g  + di) * i * (1 - i)
//! da_f = (dc * c' + df) * f * (1 - f)
//! ```

use super::lstm_block::{LstmVariant, spec};
use super::spec::{CellSpec, DiagonalWeight};

/// vanilla with gates that see all gates of the previous step.
pub struct Fgr;

impl LstmVariant for Fgr {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonal_weights: &[
            DiagonalWeight::from_previous(0, 4),
            DiagonalWeight::from_previous(1, 4),
            DiagonalWeight::from_new(3, 4),
        ],
        states: 5,
        recurrent_inputs: 4,
        zero_blocks: &[(1, 2), (2, 2), (3, 2)],
        ..spec(
            "fgr",
            "vanilla with gates that see all gates of the previous step",
            &["i", "f", "g", "o"],
            "Greff et al. 2015",
        )
    };
    const HAS_PEEPHOLES: bool = true;
    const HAS_GATE_RECURRENCE: bool = true;
}
