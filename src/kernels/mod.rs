//! Numerical kernels: matrix products, activation functions, reductions. Results do not depend on the number of threads.
//!
//! - [`Real`]: the element type, `f32` or `f64`
//! - [`PanelBuffer`]: activations in panels, the layout of the products below
//! - [`PackedMatrix`]: weights packed for many products with activations, in `f32` or quantized to 8 bits
//! - [`AccumulatorInit`]: what the accumulators of those products are initialized with
//! - [`weight_gradient`](weight_gradient()): `x^T dy` over all rows of a window
//! - [`gemm`](gemm()): products of row-major [matrices](Mat), by faer
//! - [`activation`]: branch-free `exp`, `sigmoid` and `tanh` with error bounds
//! - [`softmax`]: softmax and cross-entropy of a row of logits
//! - [`vector`]: operations on flat slices
//! - [`reference`](mod@reference): naive implementations, which serve as test oracles

mod accumulator_init;
pub mod activation;
mod aligned;
mod gemm;
mod int8;
mod matrix;
mod micro_kernel;
mod orthogonal;
mod packed_matrix;
mod panel_buffer;
mod real;
pub mod reference;
pub mod softmax;
#[cfg(test)]
mod testing;
pub mod vector;
mod weight_gradient;

pub use accumulator_init::AccumulatorInit;
pub use gemm::gemm;
pub use int8::{MAX_INT8_INPUTS, Precision};
pub use matrix::{Mat, MatMut};
pub use orthogonal::orthogonal;
pub use packed_matrix::PackedMatrix;
pub use panel_buffer::{PanelBuffer, PanelShape, PanelView, RowLayout};
pub use real::Real;
pub use weight_gradient::weight_gradient;
