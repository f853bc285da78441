//! AdamW: Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019).

use super::slices::{OptimizerSlices, UpdateParams};
use crate::kernels::Real;
use crate::simd::{Simd, SimdKernel};

/// `b1`: decay of the mean of the gradients.
const BETA1: f64 = 0.9;
/// `b2`: decay of the mean of the squared gradients.
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// ```text
/// w = w - lr * weight_decay * w
/// m = b1 * m + (1 - b1) * g
/// v = b2 * v + (1 - b2) * g^2
/// w = w - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
/// ```
pub(super) struct AdamW<'a, R>(pub OptimizerSlices<'a, R>, pub UpdateParams);

impl<R: Real> SimdKernel for AdamW<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let AdamW(slices, UpdateParams { lr, weight_decay, grad_scale, step }) = self;
        let power = |beta: f64| beta.powi(i32::try_from(step).unwrap_or(i32::MAX));
        let real = R::from_f64;
        let decay = real(1.0 - lr * weight_decay);
        let step_size = real(lr / (1.0 - power(BETA1)));
        let correction = real(1.0 / (1.0 - power(BETA2)).sqrt());
        let (b1, c1, b2, c2) = (real(BETA1), real(1.0 - BETA1), real(BETA2), real(1.0 - BETA2));
        let (grad_scale, eps) = (real(grad_scale), real(EPS));
        let moments = slices.moment1.iter_mut().zip(slices.moment2.iter_mut());
        for ((w, g), (m, v)) in slices.weights.iter_mut().zip(slices.grads).zip(moments) {
            let g = *g * grad_scale;
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * (g * g);
            *w = *w * decay - step_size * *m / (v.sqrt() * correction + eps);
        }
    }
}
