//! Training.

mod step;

pub use step::Step;
