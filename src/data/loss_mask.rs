//! Per-character loss weights and state resets.

use crate::error::{Error, Result};

/// For each character of a corpus, the weight of its loss and whether the hidden state is reset before it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossMask {
    /// The weight of the prediction of each character.
    pub(super) weights: Vec<f32>,
    /// Whether the state is zeroed before each character is read.
    pub(super) resets: Vec<bool>,
}

impl LossMask {
    /// Appends the next character.
    pub fn push(&mut self, weight: f32, reset: bool) {
        self.weights.push(weight);
        self.resets.push(reset);
    }

    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Checks that the mask covers exactly `chars` characters and that every weight is finite and not negative.
    pub fn validate(&self, chars: usize) -> Result<()> {
        if self.len() != chars {
            return Err(Error::Usage(format!("loss mask: {} entries for a text of {chars} characters", self.len())));
        }
        match self.weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            Some(at) => Err(Error::Usage(format!("loss mask: the weight of character {} must be 0 or more", at + 1))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_wrong_length_and_weights_that_are_not_finite() {
        let mut mask = LossMask::default();
        mask.push(1.0, true);
        assert!(mask.validate(1).is_ok());
        assert!(mask.validate(2).is_err());
        mask.push(f32::NAN, false);
        assert!(mask.validate(2).unwrap_err().to_string().contains("character 2"));
    }
}
