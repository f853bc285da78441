//! The shape of a model.

use serde::{Deserialize, Serialize};

use crate::cells::{self, CellSpec, RegisteredCell};
use crate::error::{Error, Result};
use crate::kernels::MAX_INT8_INPUTS;

/// The shape of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The cell's name in the registry.
    pub cell: String,
    /// The number of recurrent layers.
    pub num_layers: usize,
    /// The number of units per layer.
    pub hidden_size: usize,
    /// The size of the embedding; 0 for one-hot input.
    pub embed_size: usize,
    /// The size of the vocabulary.
    pub vocab_size: usize,
}

/// The maximum number of units, chosen so that the sums of a quantized product are exact. A recurrent matrix with several state
/// vectors stays below the limit because of `MAX_PARAMETERS`.
const MAX_HIDDEN: usize = 1 << 17;
const _: () = assert!(MAX_HIDDEN <= MAX_INT8_INPUTS && (MAX_INT8_INPUTS as u64).pow(2) > MAX_PARAMETERS);

/// All code points and two reserved symbols.
const MAX_VOCAB: usize = 0x11_0002;

/// The maximum number of parameters of a model. Shapes from untrusted files are checked before anything is allocated.
const MAX_PARAMETERS: u64 = 1 << 33;

/// Two LSTM layers of 256 units; `vocab_size` must be set.
impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 256, embed_size: 256, vocab_size: 0 }
    }
}

impl ModelConfig {
    /// Checks that every field is in range.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] or [`Error::UnknownName`]; [`Error::Usage`] if there are too many parameters.
    pub fn validate(&self) -> Result<&'static RegisteredCell> {
        let cell = cells::find(&self.cell)?;
        let ranges = [
            ("layers", self.num_layers, 1, 1024),
            ("hidden", self.hidden_size, 1, MAX_HIDDEN),
            ("embed", self.embed_size, 0, 1 << 20),
            ("vocab", self.vocab_size, 1, MAX_VOCAB),
        ];
        for (name, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                return Err(Error::out_of_range(name, value, format!("{min} to {max}")));
            }
        }
        match self.count(cell, CellSpec::parameters) {
            Some(n) if n <= MAX_PARAMETERS => Ok(cell),
            _ => Err(Error::Usage(format!(
                "{} layers of {} units have more than {MAX_PARAMETERS} parameters; use fewer layers or units",
                self.num_layers, self.hidden_size
            ))),
        }
    }

    /// The number of parameters of a model of this shape.
    pub fn parameters(&self) -> Result<u64> {
        let cell = self.validate()?;
        Ok(self.count(cell, CellSpec::parameters).unwrap_or(MAX_PARAMETERS))
    }

    /// The number of parameters that are not always zero.
    pub fn trainable(&self) -> Result<u64> {
        let cell = self.validate()?;
        Ok(self.count(cell, CellSpec::trainable).unwrap_or(MAX_PARAMETERS))
    }

    /// The number of parameters unless it overflows; `of_layer` computes the count of one layer from its inputs and units.
    fn count(&self, cell: &RegisteredCell, of_layer: fn(&CellSpec, u64, u64) -> Option<u64>) -> Option<u64> {
        let (hidden, embed, vocab) = (self.hidden_size as u64, self.embed_size as u64, self.vocab_size as u64);
        let first = of_layer(cell.spec, if embed == 0 { vocab } else { embed }, hidden)?;
        let others = of_layer(cell.spec, hidden, hidden)?.checked_mul(self.num_layers as u64 - 1)?;
        let output = (hidden + 1).checked_mul(vocab)?;
        first.checked_add(others)?.checked_add(output)?.checked_add(embed.checked_mul(vocab)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CharLm;

    fn config() -> ModelConfig {
        ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 6, embed_size: 5, vocab_size: 7 }
    }

    #[test]
    fn parameter_count_matches_the_layout() {
        for config in [config(), ModelConfig { embed_size: 0, ..config() }, ModelConfig { num_layers: 3, ..config() }] {
            let model = CharLm::<f32>::zeros(&config).unwrap();
            assert_eq!(config.parameters().unwrap(), model.layout().len() as u64);
        }
    }

    #[test]
    fn rejects_shapes_out_of_range() {
        for bad in [
            ModelConfig { num_layers: 0, ..config() },
            ModelConfig { hidden_size: usize::MAX, ..config() },
            ModelConfig { hidden_size: 1 << 20, num_layers: 1024, ..config() },
            ModelConfig { vocab_size: 1 << 60, ..config() },
            ModelConfig { cell: "nope".into(), ..config() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
