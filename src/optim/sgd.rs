//! Stochastic gradient descent with momentum as in PyTorch (without dampening), with weight decay as in AdamW.

use super::slices::{OptimizerSlices, UpdateParams};
use crate::kernels::Real;
use crate::simd::{Simd, SimdKernel};

const MOMENTUM: f64 = 0.9;

/// ```text
/// b = momentum * b + g
/// w = w - lr * weight_decay * w - lr * b
/// ```
pub(super) struct Sgd<'a, R>(pub OptimizerSlices<'a, R>, pub UpdateParams);

impl<R: Real> SimdKernel for Sgd<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Sgd(slices, UpdateParams { lr, weight_decay, grad_scale, .. }) = self;
        let decay = R::from_f64(1.0 - lr * weight_decay);
        let (momentum, grad_scale, lr) = (R::from_f64(MOMENTUM), R::from_f64(grad_scale), R::from_f64(lr));
        for ((w, g), b) in slices.weights.iter_mut().zip(slices.grads).zip(slices.moment1.iter_mut()) {
            *b = momentum * *b + *g * grad_scale;
            *w = *w * decay - lr * *b;
        }
    }
}
