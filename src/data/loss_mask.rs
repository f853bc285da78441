//! What training makes of each character of a text, beside reading it.

use crate::error::{Error, Result};

/// A weight of the loss and a reset of the state for each character of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossMask {
    weights: Vec<f32>,
    resets: Vec<bool>,
}

impl LossMask {
    /// Notes the next character: how much its prediction counts, and whether the state is zero before it is read.
    pub fn push(&mut self, weight: f32, reset: bool) {
        self.weights.push(weight);
        self.resets.push(reset);
    }

    /// Characters that are marked.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// How much the prediction of a character counts.
    pub fn weight(&self, at: usize) -> f32 {
        self.weights[at]
    }

    /// Whether the state is zero before a character is read.
    pub fn reset(&self, at: usize) -> bool {
        self.resets[at]
    }

    /// Checks that there is a mark for each of `chars` characters, and that every weight is one.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self, chars: usize) -> Result<()> {
        if self.len() != chars {
            return Err(Error::Usage(format!("{} marks for a text of {chars} characters", self.len())));
        }
        match self.weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            Some(at) => Err(Error::Usage(format!("the weight of character {} must be 0 or more", at + 1))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_do_not_fit_are_refused() {
        let mut marks = LossMask::default();
        marks.push(1.0, true);
        assert!(marks.validate(1).is_ok());
        assert!(marks.validate(2).is_err());
        marks.push(f32::NAN, false);
        assert!(marks.validate(2).unwrap_err().to_string().contains("character 2"));
    }
}
