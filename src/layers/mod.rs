//! The layers of a model, each with its forward and backward pass. Buffers are time-major: `(T, B, .)`.
//!
//! - [`embedding`]: the input product of the first layer, computed once per distinct character
//! - [`recurrent`]: the scan over time, with the recurrent products of every cell
//! - [`linear`]: the input products of the other layers, and the output layer
//! - [`dropout`]: masks that are a function of seed, step, layer and stream

pub mod dropout;
pub mod embedding;
pub mod linear;
pub mod recurrent;
