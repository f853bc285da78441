//! Checkpoints on disk, whole or not at all.
//!
//! - [`format`](mod@format): the frame around named sections, with checksums, as it is written
//! - [`Frame`]: a checkpoint that is read, section by section
//! - [`disk`]: the few file operations that saving needs, and the order that makes it atomic
//! - [`run`]: a run's folder, and how a run is found
//! - [`LockedRun`]: a run that this process trains in
//! - [`model`]: the sections of a model; the trainer supplies its own

pub mod disk;
pub mod format;
mod frame;
mod held;
mod lock;
pub mod model;
pub mod run;

pub use frame::Frame;
pub use held::LockedRun;
pub use run::RunFolder;
