//! The HTML pages of `inspect` and `score` in a headless browser.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod browser;
#[path = "../cli/harness.rs"]
mod harness;

mod inspect;
mod score;
