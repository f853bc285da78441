//! Optimizers, clipping and schedules: functions over flat slices that know nothing of the model.

mod adamw;
mod clip;
mod rmsprop;
mod schedule;
mod sgd;

pub use adamw::AdamW;
pub use clip::clip_scale;
pub use rmsprop::RmsProp;
pub use schedule::{Schedule, learning_rate};
pub use sgd::Sgd;

use serde::{Deserialize, Serialize};

use crate::kernels::Real;

/// Which optimizer updates the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    #[default]
    Adamw,
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
    /// RMSprop (Tieleman & Hinton 2012).
    Rmsprop,
}

impl Method {
    /// Arenas of moments that it keeps.
    pub fn moments(self) -> usize {
        match self {
            Method::Adamw => 2,
            Method::Sgd | Method::Rmsprop => 1,
        }
    }
}

/// What one update needs besides the arenas.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// The learning rate of this step.
    pub lr: f64,
    /// The decay per step is `lr * weight_decay`; 0 for vectors.
    pub weight_decay: f64,
    /// What gradients are multiplied by first: clipping.
    pub scale: f64,
    /// This update's number, from 1.
    pub number: u64,
}

/// Some elements of the arenas: weights, gradients, moments.
#[derive(Debug)]
pub struct Slices<'a, R> {
    /// The weights, which are updated.
    pub weights: &'a mut [R],
    /// Their gradients.
    pub grads: &'a [R],
    /// The first arena of moments.
    pub first: &'a mut [R],
    /// The second arena of moments; empty where the method has one.
    pub second: &'a mut [R],
}

/// Updates some elements. Every element is computed by itself: any cut of the arenas gives the same bits.
pub fn update<R: Real>(method: Method, slices: Slices<'_, R>, update: Update) {
    match method {
        Method::Adamw => AdamW::default().update(slices, update),
        Method::Sgd => Sgd::default().update(slices, update),
        Method::Rmsprop => RmsProp::default().update(slices, update),
    }
}
