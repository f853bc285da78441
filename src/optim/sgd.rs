//! Stochastic gradient descent with momentum, as PyTorch has it (no dampening); weight decay is decoupled as in AdamW.

use super::{OptimizerSlices, Rule, UpdateParams};
use crate::kernels::Real;

/// ```text
/// b = momentum * b + g
/// w = w - lr * weight_decay * w - lr * b
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Decay of the sum of gradients.
    pub momentum: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd { momentum: 0.9 }
    }
}

impl Rule for Sgd {
    #[inline(always)]
    fn apply<R: Real>(self, slices: OptimizerSlices<'_, R>, update: UpdateParams) {
        let keep = R::from_f64(1.0 - update.lr * update.weight_decay);
        let (momentum, scale, lr) = (R::from_f64(self.momentum), R::from_f64(update.scale), R::from_f64(update.lr));
        for ((w, g), b) in slices.weights.iter_mut().zip(slices.grads).zip(slices.first.iter_mut()) {
            *b = momentum * *b + *g * scale;
            *w = *w * keep - lr * *b;
        }
    }
}
