//! The layers of a model: each a function over flat, time-major buffers `(T, b, .)`, forward beside backward.
//!
//! - [`embedding`]: the first layer's input product, once per distinct character
//! - [`recurrent`]: the scan over time; every recurrent product of every cell is made here
//! - [`linear`]: input projections of the layers above, and the output layer
//! - [`dropout`]: masks that are a function of seed, step, layer and stream

pub mod dropout;
pub mod embedding;
pub mod linear;
pub mod recurrent;
