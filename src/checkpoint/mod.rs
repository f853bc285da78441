//! Checkpoints on disk, whole or not at all.
//!
//! - [`format`](mod@format): the frame around named sections, with checksums; the only place that knows bincode
//! - [`disk`]: the few file operations that saving needs, and the order that makes it atomic
//! - [`run`]: a run's folder and its lock
//! - [`model`]: the sections of a model; the trainer supplies its own

pub mod disk;
pub mod format;
pub mod model;
pub mod run;

pub use format::Frame;
pub use run::RunFolder;
