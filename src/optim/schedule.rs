//! Learning rate schedules: functions of the step, without state, so a resumed run continues on the same curve.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of the schedule after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine from the peak to [`FINAL_LR_FRACTION`] of it (Loshchilov & Hutter 2017).
    #[default]
    Cosine,
    /// Linear from the peak to [`FINAL_LR_FRACTION`] of it.
    Linear,
    /// The peak until the end.
    Constant,
}

impl Schedule {
    /// The names that [`str::parse`] accepts.
    pub const NAMES: [&str; 3] = ["cosine", "linear", "constant"];
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cosine" => Ok(Schedule::Cosine),
            "linear" => Ok(Schedule::Linear),
            "constant" => Ok(Schedule::Constant),
            _ => Err(Error::unknown_name("schedule", name, &Self::NAMES)),
        }
    }
}

/// The final learning rate as a fraction of the peak.
pub const FINAL_LR_FRACTION: f64 = 0.02;

/// The learning rate of `step` (from 0) of `total`, after a linear warm-up to `peak` over the first `warmup` steps.
pub fn learning_rate(schedule: Schedule, peak: f64, warmup: u64, step: u64, total: u64) -> f64 {
    // The warm-up takes at most a tenth of a run.
    let warmup = warmup.min(total / 10);
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / (total - warmup).max(1) as f64;
    let shape = match schedule {
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos()),
        Schedule::Linear => 1.0 - progress.min(1.0),
        Schedule::Constant => 1.0,
    };
    peak * (FINAL_LR_FRACTION + (1.0 - FINAL_LR_FRACTION) * shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_the_floor() {
        let rate = |schedule, step| learning_rate(schedule, 1.0, 100, step, 2000);
        assert_eq!(rate(Schedule::Cosine, 0), 0.01);
        assert_eq!(rate(Schedule::Cosine, 99), 1.0);
        assert_eq!(rate(Schedule::Cosine, 100), 1.0);
        assert!(rate(Schedule::Cosine, 1999) < FINAL_LR_FRACTION + 1e-3);
        assert!((rate(Schedule::Linear, 1050) - 0.51).abs() < 1e-9);
        assert_eq!(rate(Schedule::Constant, 1999), 1.0);
    }

    #[test]
    fn every_name_is_parsed() {
        for name in Schedule::NAMES {
            assert_eq!(format!("{:?}", name.parse::<Schedule>().unwrap()).to_lowercase(), name);
        }
        assert!("step".parse::<Schedule>().is_err());
    }

    #[test]
    fn is_finite_for_any_step_and_total() {
        for (warmup, step, total) in [(0, 0, 0), (100, 5, 3), (u64::MAX, 0, 1), (7, u64::MAX, 9)] {
            for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
                assert!(learning_rate(schedule, 1.0, warmup, step, total).is_finite());
            }
        }
    }
}
