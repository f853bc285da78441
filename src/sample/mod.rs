//! Generation: logits to a character, a prompt to characters.
//!
//! - [`Shaping`]: how a distribution is shaped before a character is drawn
//! - [`Generator`]: one text, character by character
//! - [`batch`]: many texts at once

mod batch;
mod generator;
mod shaping;
mod writer;

pub use batch::batch;
pub use generator::Generator;
pub use shaping::Shaping;
