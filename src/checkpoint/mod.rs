//! Checkpoint files: their format, and how they are read, checked and replaced atomically.
//!
//! - [`format`](mod@format): the frame around named sections, with lengths and checksums
//! - [`Frame`]: an opened checkpoint, read section by section
//! - [`disk`]: atomic replacement of a file
//! - [`model`]: the sections of a model
//!
//! `train/resume.rs` lists all sections, and adds those of a run to those of the model.

pub mod disk;
pub mod format;
mod frame;
pub mod model;

pub use format::{Section, SectionValue};
pub use frame::Frame;
