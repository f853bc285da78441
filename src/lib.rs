//! Character-level LSTM language models on ordinary CPUs: train on memory-mapped text, resume exactly, write.
//!
//! ```no_run
//! use charlstm::data::{DatasetConfig, Dataset};
//! use charlstm::kernels::Precision;
//! use charlstm::model::{InferenceModel, ModelConfig};
//! use charlstm::sample::{Generator, SamplingConfig};
//! use charlstm::train::{Silent, TrainConfig, Trainer, fit};
//!
//! # fn main() -> charlstm::error::Result<()> {
//! let texts = Dataset::open(&DatasetConfig { paths: vec!["corpus.txt".into()], ..DatasetConfig::default() })?;
//! let mut trainer = Trainer::new(texts, &ModelConfig::default(), TrainConfig::default())?;
//! fit(&mut trainer, None, None, &mut Silent)?;
//! let model = InferenceModel::new(trainer.model(), Precision::F32);
//! let vocab = trainer.dataset().vocab();
//! let written = Generator::new(&model, vocab, &[], SamplingConfig::default(), 1).take(1000);
//! println!("{}", String::from_utf8_lossy(&vocab.decode(written)));
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! A room knows only the rooms above it; `data` and `optim` know nothing of the model.
//!
//! | room | what is in it |
//! |---|---|
//! | [`error`] | what can go wrong, and its exit code |
//! | [`kernels`] | products, activations, softmax; the only room with SIMD |
//! | [`params`] | the arena of weights and its named spans |
//! | [`cells`] | the recurrent cells' equations |
//! | [`layers`] | embedding, recurrence, linear, dropout |
//! | [`model`] | the language model, its shards and gradients |
//! | [`data`] | memory-mapped texts, vocabulary, streams |
//! | [`optim`] | optimizers, clipping, schedules |
//! | [`checkpoint`] | files that are whole or not there |
//! | [`sample`] | generation |
//! | [`score`] | the loss of a text, n-grams to compare with |
//! | [`analysis`] | activity of units, text copied from a corpus |
//! | [`train`] | steps, runs, metrics |
//! | [`experiments`] | the papers' tasks: text and criterion |
//!
//! Numbers: `f32` throughout, losses in nats per character unless they are called bits. Buffers are time-major, `(T, B, .)`.
//! Matrices are row-major and stored as `inputs x outputs`, the transpose of PyTorch's; gates stand in PyTorch's order,
//! but for the gru's (see `cells/gru.rs`).

pub mod analysis;
pub mod cells;
pub mod checkpoint;
pub mod data;
pub mod error;
pub mod experiments;
pub mod kernels;
pub mod layers;
pub mod model;
pub mod optim;
pub mod params;
pub mod run;
pub mod sample;
pub mod score;
pub mod simd;
pub mod train;
