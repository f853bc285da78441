//! RMSprop (Tieleman & Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012); weight decay as in AdamW.

use super::{OptimizerSlices, Rule, UpdateParams};
use crate::kernels::Real;

/// ```text
/// v = alpha * v + (1 - alpha) * g^2
/// w = w - lr * weight_decay * w - lr * g / (sqrt(v) + eps)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { alpha: 0.99, eps: 1e-8 }
    }
}

impl Rule for RmsProp {
    #[inline(always)]
    fn apply<R: Real>(self, slices: OptimizerSlices<'_, R>, update: UpdateParams) {
        let RmsProp { alpha, eps } = self;
        let real = R::from_f64;
        let keep = real(1.0 - update.lr * update.weight_decay);
        let (a, c, eps) = (real(alpha), real(1.0 - alpha), real(eps));
        let (scale, lr) = (real(update.scale), real(update.lr));
        for ((w, g), v) in slices.weights.iter_mut().zip(slices.grads).zip(slices.first.iter_mut()) {
            let g = *g * scale;
            *v = a * *v + c * (g * g);
            *w = *w * keep - lr * g / (v.sqrt() + eps);
        }
    }
}
