//! The recurrent cells: element-wise mathematics only, one file per cell with its equations next to its code.
//!
//! A cell sees the pre-activations `a = x w_ih + h w_hh + b`, which the [layers](crate::layers) compute for it, and the state
//! before the time step. The layers compute all matrix products.
//!
//! To add a cell: one file that implements [`Equations`], its `mod` line here, one line in [`CELLS`], and the paper's equations in
//! `tests/papers.rs`. A variant of the LSTM only lists how it differs from the full LSTM block.

mod cifg;
mod coupled;
mod equations;
mod fgr;
mod gru;
mod indylstm;
mod lstm;
mod lstm1997;
mod lstm_block;
mod nfg;
mod niaf;
mod nig;
mod nog;
mod peephole;
mod registry;
mod rnn;
mod spec;
mod vanilla;

pub use equations::{Cell, CellInputs, Equations};
pub use registry::{CELLS, CellReal, RegisteredCell, find};
pub use spec::{CellSpec, DiagonalWeight};
