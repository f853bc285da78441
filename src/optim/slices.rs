//! The operands of an optimizer.

/// The settings of one update.
#[derive(Clone, Copy, Debug)]
pub struct UpdateParams {
    /// The learning rate.
    pub lr: f64,
    /// Decoupled weight decay: weights shrink by `lr * weight_decay`. 0 for vectors.
    pub weight_decay: f64,
    /// The factor by which gradients are multiplied, for clipping.
    pub grad_scale: f64,
    /// The number of this update, from 1.
    pub step: u64,
}

/// The same range of the arenas of weights, gradients and moments.
#[derive(Debug)]
pub struct OptimizerSlices<'a, R> {
    /// The weights, which are updated.
    pub weights: &'a mut [R],
    /// Their gradients.
    pub grads: &'a [R],
    /// The first arena of moments.
    pub moment1: &'a mut [R],
    /// The second arena of moments; empty if the optimizer has only one.
    pub moment2: &'a mut [R],
}

impl<'a, R> OptimizerSlices<'a, R> {
    /// Divides the range at `mid`.
    pub fn split_at(self, mid: usize) -> (OptimizerSlices<'a, R>, OptimizerSlices<'a, R>) {
        let OptimizerSlices { weights, grads, moment1, moment2 } = self;
        let mid2 = mid.min(moment2.len());
        let (weights, weights_right) = weights.split_at_mut(mid);
        let (grads, grads_right) = grads.split_at(mid);
        let (moment1, moment1_right) = moment1.split_at_mut(mid);
        let (moment2, moment2_right) = moment2.split_at_mut(mid2);
        let right = OptimizerSlices {
            weights: weights_right,
            grads: grads_right,
            moment1: moment1_right,
            moment2: moment2_right,
        };
        (OptimizerSlices { weights, grads, moment1, moment2 }, right)
    }
}
