//! Training: bit-identical resuming, saving, fine-tuning, and recovery after a kill.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixtures;

mod fine_tuning;
#[cfg(feature = "cli")]
mod kill;
#[cfg(feature = "cli")]
mod memory;
mod records;
mod resume;
mod saving;
