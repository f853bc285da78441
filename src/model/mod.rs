//! The character language model: embedding, a stack of recurrent layers, a linear output.
//!
//! - [`ModelConfig`]: the shape
//! - [`CharLm`]: the weights, named spans of one arena
//! - [`Origin`]: where the characters of a model come from that goes on from another
//! - [`Window`]: characters in, characters wanted, for some streams side by side
//! - [`PackedWeights`]: what is computed from the weights once per step
//! - [`InferenceModel`]: a model that stays as it is, for scoring and generation
//! - [`Shard`]: some streams run forward and back, with their carried state
//! - [`cut()`]: a batch as shards for some threads
//! - [`memory`]: whether there is room for one
//! - [`gradients`]: the weight gradients of all shards, in tiles

mod char_lm;
mod config;
mod cut;
pub mod gradients;
mod init;
pub mod memory;
mod packed_weights;
mod remap_vocab;
mod shard;
mod window;

pub use char_lm::{CharLm, RnnSpans};
pub use config::ModelConfig;
pub use cut::cut;
pub use init::{Init, Scheme};
pub use packed_weights::{InferenceModel, PackedWeights, Table};
pub use remap_vocab::Origin;
pub use shard::{Purpose, Shard};
pub use window::Window;
