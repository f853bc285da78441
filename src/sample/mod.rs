//! Generation: logits to a character, a prompt to an iterator of characters.

mod generator;
mod shaping;

pub use generator::Generator;
pub use shaping::Shaping;
