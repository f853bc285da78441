//! charlstm
pub mod cells;
pub mod checkpoint;
pub mod data;
pub mod error;
pub mod kernels;
pub mod layers;
pub mod model;
pub mod optim;
pub mod params;
pub mod sample;
pub mod score;
pub mod train;
