//! The arithmetic everything else is built on, and the only room that knows faer, SIMD dispatch and `unsafe` arithmetic.
//!
//! - [`isa`]: which instruction set runs, found once; compiles a loop once per instruction set
//! - [`Real`]: `f32` for work, `f64` for gradient checks
//! - [`gemm`]: matrix products on row-major [views](Mat), by faer
//! - [`PanelBuffer`]: activations in panels, the layout of the products below
//! - [`PackedMatrix`]: weights laid out once for many products with activations
//! - [`AccumulatorInit`]: what the sums of those products begin with
//! - [`weight_gradient`]: weight gradients, `x^T dy` over all rows of a window
//! - [`activation`]: branch-free `exp`, `sigmoid` and `tanh` with a stated error
//! - [`softmax`]: softmax and cross-entropy of a row of logits
//! - [`vector`]: operations over flat slices
//! - [`reference`](mod@reference): the same, as plainly as possible; the oracle of the tests

pub mod activation;
mod aligned;
mod blocked;
mod gemm;
#[cfg(test)]
mod guarded;
mod int8;
pub mod isa;
mod lanes;
mod orthogonal;
mod packed;
mod real;
pub mod reference;
pub mod softmax;
mod start;
#[cfg(test)]
mod testing;
mod tile;
pub mod vector;
mod view;
mod weight_gradient;

pub use blocked::{PanelBuffer, PanelShape, PanelView, RowLayout};
pub use gemm::gemm;
pub use int8::Precision;
pub use isa::{Isa, Kernel, Mode, vectorize};
pub use orthogonal::orthogonal;
pub use packed::PackedMatrix;
pub use real::Real;
pub use start::AccumulatorInit;
pub use view::{Mat, MatMut};
pub use weight_gradient::weight_gradient;
