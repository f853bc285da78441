//! Character-level recurrent language models on ordinary CPUs.
//!
//! ```no_run
//! use charlstm::data::{Dataset, DatasetConfig};
//! use charlstm::kernels::Precision;
//! use charlstm::model::{InferenceModel, ModelConfig};
//! use charlstm::sample::{Generator, SamplingConfig};
//! use charlstm::train::{Silent, TrainConfig, Trainer, fit};
//!
//! # fn main() -> charlstm::error::Result<()> {
//! let config = DatasetConfig { paths: vec!["corpus.txt".into()], ..DatasetConfig::default() };
//! let mut trainer = Trainer::new(Dataset::open(&config)?, &ModelConfig::default(), TrainConfig::default())?;
//! fit(&mut trainer, None, None, &mut Silent)?;
//! let model = InferenceModel::new(trainer.model(), Precision::F32);
//! let vocab = trainer.dataset().vocab();
//! let text = Generator::new(&model, vocab, &[], SamplingConfig::default(), 1).take(1000);
//! println!("{}", String::from_utf8_lossy(&vocab.decode(text)));
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! Each module uses only modules above it in this table. The test `tests/architecture.rs` lists the allowed dependencies and
//! enforces them.
//!
//! | module | contents |
//! |---|---|
//! | [`error`] | the error type |
//! | [`simd`] | instruction sets, selected at run time |
//! | [`kernels`] | matrix products, activation functions, softmax |
//! | [`params`] | one arena for all parameters, with named spans |
//! | [`cells`] | the equations of the recurrent cells |
//! | [`layers`] | embedding, recurrent scan, linear layer, dropout |
//! | [`model`] | the language model, and the inference session |
//! | [`data`] | memory-mapped corpora, vocabularies, datasets, batches |
//! | [`optim`] | optimizers, clipping, learning rate schedules |
//! | [`checkpoint`] | the file format of checkpoints, and atomic replacement of files |
//! | [`run`] | the folder of a run: lock, metadata, metrics |
//! | [`sample`] | text generation |
//! | [`score`] | losses and surprisal of a text, n-gram baselines |
//! | [`analysis`] | unit activity, correlations, novelty |
//! | [`train`] | steps, the training loop, fine-tuning |
//! | [`experiments`] | the tasks of the LSTM papers |
//!
//! # Conventions
//!
//! Numbers are `f32`. Losses are in nats per character unless they are called bits. Buffers are time-major: `(T, B, .)` for T time
//! steps and B streams. Matrices are row-major and stored as `inputs x outputs`, the transpose of PyTorch's; gates are in PyTorch's
//! order except for the GRU's (see `cells/gru.rs`); `tests/golden/make.py` maps the parameters to PyTorch's.

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
