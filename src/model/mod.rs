//! The character language model: embedding, a stack of recurrent layers, a linear output.
//!
//! - [`ModelConfig`]: the shape
//! - [`CharLm`]: the weights, named spans of one arena
//! - [`InferenceModel`]: a model with its weights packed for inference
//! - [`InferenceSession`]: reads characters, returns logits, and carries the state from window to window
//! - [`SymbolSource`]: the source of the weights of a character in a remapped vocabulary
//! - [`Window`]: the input characters and targets of parallel streams
//! - [`memory`]: checks whether the machine has enough memory for a model

mod char_lm;
mod config;
pub(crate) mod gradients;
mod inference_model;
mod inference_session;
mod init;
pub mod memory;
mod packed_weights;
mod remap_vocab;
mod shard;
mod split_batch;
mod window;

pub use char_lm::{CharLm, RnnSpans};
pub use config::ModelConfig;
pub use inference_model::InferenceModel;
pub use inference_session::{InferenceSession, Input};
pub use init::{Init, Scheme};
pub(crate) use packed_weights::PackedWeights;
pub use remap_vocab::SymbolSource;
pub(crate) use shard::{Purpose, Shard};
pub(crate) use split_batch::split_batch;
pub use window::Window;
