//! Checkpoints as untrusted input, and on other instruction sets.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../training/fixtures.rs"]
mod fixtures;
#[path = "../cli/harness.rs"]
mod harness;

mod damage;
mod fuzz_seeds;
mod instruction_sets;
