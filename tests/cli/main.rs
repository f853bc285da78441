//! End-to-end tests of the command line: each runs the program in a temporary folder.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod cells;
mod compare;
mod errors;
mod experiments;
mod fine_tuning;
mod inspect;
mod lines;
mod novelty;
mod prompts;
mod records;
mod sample;
mod score;
mod texts;
mod train;

#[cfg(unix)]
mod changed_corpus;
#[cfg(unix)]
mod environment;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(unix)]
mod interactive;
#[cfg(unix)]
mod run_folder;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(unix)]
mod unusual_corpus;
