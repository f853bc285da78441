//! The LSTM with peepholes and a squashed output: the base of Greff et al., "LSTM: A Search Space Odyssey" (2015), first used by
//! Graves & Schmidhuber (2005). Its equations are those of the [`block`](super::block) with all its parts.

use super::CellSpec;
use super::block::{Block, after, before, variant};

/// peepholes and a squashed output: the odyssey's base.
pub struct Vanilla;

impl Block for Vanilla {
    const SPEC: CellSpec = CellSpec {
        forget_gate: Some(1),
        diagonals: &[before(0, 1), before(1, 1), after(3, 1)],
        ..variant(
            "vanilla",
            "peepholes and a squashed output: the odyssey's base",
            &["i", "f", "g", "o"],
            "Greff et al. 2015",
        )
    };
    const PEEPHOLES: bool = true;
}
