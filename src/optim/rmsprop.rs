//! RMSprop: Tieleman & Hinton, lecture 6.5 of "Neural Networks for Machine Learning" (2012), with weight decay as in AdamW.

use super::slices::{OptimizerSlices, UpdateParams};
use crate::kernels::Real;
use crate::simd::{Simd, SimdKernel};

/// Decay of the mean of the squared gradients.
const ALPHA: f64 = 0.99;
const EPS: f64 = 1e-8;

/// ```text
/// v = alpha * v + (1 - alpha) * g^2
/// w = w - lr * weight_decay * w - lr * g / (sqrt(v) + eps)
/// ```
pub(super) struct RmsProp<'a, R>(pub OptimizerSlices<'a, R>, pub UpdateParams);

impl<R: Real> SimdKernel for RmsProp<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let RmsProp(slices, UpdateParams { lr, weight_decay, grad_scale, .. }) = self;
        let real = R::from_f64;
        let decay = real(1.0 - lr * weight_decay);
        let (a, c, eps) = (real(ALPHA), real(1.0 - ALPHA), real(EPS));
        let (grad_scale, lr) = (real(grad_scale), real(lr));
        for ((w, g), v) in slices.weights.iter_mut().zip(slices.grads).zip(slices.moment1.iter_mut()) {
            let g = *g * grad_scale;
            *v = a * *v + c * (g * g);
            *w = *w * decay - lr * g / (v.sqrt() + eps);
        }
    }
}
