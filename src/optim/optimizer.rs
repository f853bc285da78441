//! The choice of optimizer.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::rmsprop::RmsProp;
use super::sgd::Sgd;
use super::slices::{OptimizerSlices, UpdateParams};
use crate::error::{Error, Result};
use crate::kernels::Real;
use crate::simd::dispatch;

/// The optimizer.
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
    /// The names that [`str::parse`] accepts.
    pub const NAMES: [&str; 3] = ["adamw", "sgd", "rmsprop"];

    /// Number of moments per weight.
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

/// Updates a range of the weights. Each element is computed independently, so the bits do not depend on how the arenas are divided.
pub fn update<R: Real>(optimizer: Optimizer, slices: OptimizerSlices<'_, R>, params: UpdateParams) {
    match optimizer {
        Optimizer::Adamw => dispatch(AdamW(slices, params)),
        Optimizer::Sgd => dispatch(Sgd(slices, params)),
        Optimizer::Rmsprop => dispatch(RmsProp(slices, params)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed() {
        for name in Optimizer::NAMES {
            assert_eq!(format!("{:?}", name.parse::<Optimizer>().unwrap()).to_lowercase(), name);
        }
        assert!("adam".parse::<Optimizer>().is_err());
    }
}
