//! Full gate recurrence: the [`vanilla`](super::vanilla) cell whose gates also see all gates of the step before (Greff et al.
//! 2015; so it was in Hochreiter & Schmidhuber 1997). The gates are part of the state, `(h, i, f, o, c)`, and `w_hh` has rows for
//! the first four of them; those from a gate to `g` do not exist and stay zero.
//!
//! Backward as for the vanilla cell, but `di`, `df` and `do` begin with what comes back from the gates of the step after.

use super::CellSpec;
use super::block::{Block, after, before, variant};

/// vanilla whose gates also see the gates of the step before.
pub struct Fgr;

impl Block for Fgr {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonals: &[before(0, 4), before(1, 4), after(3, 4)],
        states: 5,
        fed_back: 4,
        closed: &[(1, 2), (2, 2), (3, 2)],
        ..variant(
            "fgr",
            "vanilla whose gates also see the gates of the step before",
            &["i", "f", "g", "o"],
            "Greff et al. 2015",
        )
    };
    const PEEPHOLES: bool = true;
    const FEEDBACK: bool = true;
}
