//! AdamW: Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019).

use super::{OptimizerSlices, Rule, UpdateParams};
use crate::kernels::Real;

/// ```text
/// w = w - lr * weight_decay * w
/// m = b1 * m + (1 - b1) * g
/// v = b2 * v + (1 - b2) * g^2
/// w = w - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Decay of the mean of gradients, `b1`.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, `b2`.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

impl Rule for AdamW {
    #[inline(always)]
    fn apply<R: Real>(self, slices: OptimizerSlices<'_, R>, update: UpdateParams) {
        let AdamW { beta1, beta2, eps } = self;
        let power = |beta: f64| beta.powi(i32::try_from(update.number).unwrap_or(i32::MAX));
        let real = R::from_f64;
        let keep = real(1.0 - update.lr * update.weight_decay);
        let step = real(update.lr / (1.0 - power(beta1)));
        let correction = real(1.0 / (1.0 - power(beta2)).sqrt());
        let (b1, c1, b2, c2) = (real(beta1), real(1.0 - beta1), real(beta2), real(1.0 - beta2));
        let (scale, eps) = (real(update.scale), real(eps));
        let moments = slices.first.iter_mut().zip(slices.second.iter_mut());
        for ((w, g), (m, v)) in slices.weights.iter_mut().zip(slices.grads).zip(moments) {
            let g = *g * scale;
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * (g * g);
            *w = *w * keep - step * *m / (v.sqrt() * correction + eps);
        }
    }
}
