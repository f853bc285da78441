//! Optimizers, clipping and schedules: functions over flat slices that know nothing of the model.

mod adamw;
mod clip;
mod rmsprop;
mod schedule;
mod sgd;

pub use clip::clip_scale;
pub use schedule::{FINAL_LR_FRACTION, Schedule, learning_rate};

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use adamw::AdamW;
use rmsprop::RmsProp;
use sgd::Sgd;

use crate::error::{Error, Result};
use crate::kernels::Real;
use crate::simd::{Simd, SimdKernel, dispatch};

/// Which optimizer updates the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    #[default]
    Adamw,
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
    /// RMSprop (Tieleman & Hinton 2012).
    Rmsprop,
}

impl Optimizer {
    /// The names that [`str::parse`] takes.
    pub const NAMES: [&str; 3] = ["adamw", "sgd", "rmsprop"];

    /// Arenas of moments that it keeps.
    pub fn moments(self) -> usize {
        match self {
            Optimizer::Adamw => 2,
            Optimizer::Sgd | Optimizer::Rmsprop => 1,
        }
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "adamw" => Ok(Optimizer::Adamw),
            "sgd" => Ok(Optimizer::Sgd),
            "rmsprop" => Ok(Optimizer::Rmsprop),
            _ => Err(Error::unknown_name("optimizer", name, &Self::NAMES)),
        }
    }
}

/// What one update needs besides the arenas.
#[derive(Clone, Copy, Debug)]
pub struct UpdateParams {
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
pub struct OptimizerSlices<'a, R> {
    /// The weights, which are updated.
    pub weights: &'a mut [R],
    /// Their gradients.
    pub grads: &'a [R],
    /// The first arena of moments.
    pub first: &'a mut [R],
    /// The second arena of moments; empty where the method has one.
    pub second: &'a mut [R],
}

/// The loop of an optimizer. Implementations are `#[inline(always)]`: they are compiled once per instruction set.
trait Rule {
    /// Updates some elements.
    fn apply<R: Real>(self, slices: OptimizerSlices<'_, R>, update: UpdateParams);
}

struct Apply<'a, O, R>(O, OptimizerSlices<'a, R>, UpdateParams);

impl<O: Rule, R: Real> SimdKernel for Apply<'_, O, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.0.apply(self.1, self.2);
    }
}

/// Updates some elements. Every element is computed by itself: any cut of the arenas gives the same bits.
pub fn update<R: Real>(optimizer: Optimizer, slices: OptimizerSlices<'_, R>, update: UpdateParams) {
    match optimizer {
        Optimizer::Adamw => dispatch(Apply(AdamW::default(), slices, update)),
        Optimizer::Sgd => dispatch(Apply(Sgd::default(), slices, update)),
        Optimizer::Rmsprop => dispatch(Apply(RmsProp::default(), slices, update)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known() {
        for name in Optimizer::NAMES {
            assert_eq!(format!("{:?}", name.parse::<Optimizer>().unwrap()).to_lowercase(), name);
        }
        for name in Schedule::NAMES {
            assert_eq!(format!("{:?}", name.parse::<Schedule>().unwrap()).to_lowercase(), name);
        }
        assert!("adam".parse::<Optimizer>().is_err() && "step".parse::<Schedule>().is_err());
    }
}
