//! The sections of a model: its configuration and vocabulary, and its weights.

use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::format::{self, Section, SectionValue};
use super::frame::Frame;
use crate::data::Vocab;
use crate::error::Result;
use crate::model::{CharLm, ModelConfig};

/// The name of the section that contains the weights.
pub const WEIGHTS: &str = "weights";

#[derive(Serialize, Deserialize)]
struct ModelSection {
    config: ModelConfig,
    vocab: Vocab,
}

impl SectionValue for ModelSection {
    const NAME: &'static str = "model";
    const VERSION: u32 = 1;
}

/// The sections of a model.
pub fn sections<'a>(model: &'a CharLm<f32>, vocab: &Vocab) -> Result<Vec<Section<'a>>> {
    let section = ModelSection { config: model.config().clone(), vocab: vocab.clone() };
    Ok(vec![section.to_section()?, (WEIGHTS, format::encode_floats(&model.weights))])
}

/// Reads the model configuration in a checkpoint, checked against the vocabulary and the number of weights. The weights are not read.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) if its sections are missing, damaged or inconsistent.
pub fn config(frame: &Frame) -> Result<ModelConfig> {
    read_section(frame).map(|section| section.config)
}

fn read_section(frame: &Frame) -> Result<ModelSection> {
    let section: ModelSection = frame.value()?;
    if !section.vocab.is_valid() || section.vocab.len() != section.config.vocab_size {
        return Err(frame.error("the vocabulary does not match the model"));
    }
    let parameters = section.config.parameters().map_err(|e| frame.error(e.to_string()))?;
    let bytes = frame.len(WEIGHTS)?;
    if parameters.checked_mul(4) != Some(bytes) {
        return Err(frame.error(format!("the model has {parameters} weights, but their section has {bytes} bytes")));
    }
    Ok(section)
}

/// Reads the model in a checkpoint.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) if its sections are missing, damaged or inconsistent, or contain
/// numbers that are not finite.
pub fn read(frame: &Frame) -> Result<(CharLm<f32>, Vocab)> {
    let ModelSection { config, vocab } = read_section(frame)?;
    let mut model = CharLm::zeros(&config).map_err(|e| frame.error(e.to_string()))?;
    frame.read_floats(WEIGHTS, &mut model.weights)?;
    match model.layout().first_invalid(&model.weights) {
        Some(name) => Err(frame.error(format!("the weights of {name} are not finite, or too large"))),
        None => Ok((model, vocab)),
    }
}

/// Reads a model from a checkpoint file.
pub fn load(path: &Path) -> Result<(CharLm<f32>, Vocab)> {
    read(&Frame::read(path)?)
}

/// XXH3 (128 bits) of all weights.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) if they are missing or damaged.
pub fn weights_hash(frame: &Frame) -> Result<u128> {
    let mut hasher = Xxh3::new();
    frame.hash_section(WEIGHTS, &mut hasher)?;
    Ok(hasher.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;
    use crate::error::Error;

    fn sample() -> (CharLm<f32>, Vocab) {
        let config = ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 5, embed_size: 3, vocab_size: 4 };
        (CharLm::init(&config, 1).unwrap(), Vocab::new(Encoding::Utf8, [97, 98, 99, 100]))
    }

    fn parse(sections: &[Section<'_>]) -> Result<(CharLm<f32>, Vocab)> {
        read(&Frame::parse(Path::new("x.ckpt"), format::encode_checkpoint(sections)).unwrap())
    }

    #[test]
    fn a_model_is_read_back_bit_for_bit() {
        let (model, vocab) = sample();
        let (same, same_vocab) = parse(&sections(&model, &vocab).unwrap()).unwrap();
        assert_eq!(
            (same.weights.clone(), same.config().clone(), same_vocab),
            (model.weights.clone(), model.config().clone(), vocab)
        );
    }

    #[test]
    fn rejects_a_configuration_that_does_not_match_the_weights() {
        let (model, vocab) = sample();
        let mut sections = sections(&model, &vocab).unwrap();
        let config = ModelConfig { hidden_size: 10_000, ..model.config().clone() };
        sections[0] = ModelSection { config, vocab }.to_section().unwrap();
        assert!(parse(&sections).unwrap_err().to_string().contains("weights, but"));
    }

    #[test]
    fn names_the_parameter_that_is_not_finite() {
        let (mut model, vocab) = sample();
        *model.weights.last_mut().unwrap() = f32::INFINITY;
        assert!(parse(&sections(&model, &vocab).unwrap()).unwrap_err().to_string().contains("head.b"));
    }

    #[test]
    fn rejects_a_vocabulary_of_another_size() {
        let (model, _) = sample();
        let vocab = Vocab::new(Encoding::Utf8, [97]);
        assert!(parse(&sections(&model, &vocab).unwrap()).is_err());
        assert!(matches!(parse(&[]), Err(Error::Checkpoint { .. })));
    }
}
