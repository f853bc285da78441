//! The learning rate as a function of step and total: nothing to store, so that a run resumes on the same curve.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of the curve after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine from the peak down to [`FINAL_LR_FRACTION`] of it (Loshchilov & Hutter 2017).
    #[default]
    Cosine,
    /// A straight line from the peak down to [`FINAL_LR_FRACTION`] of it.
    Linear,
    /// The peak throughout.
    Constant,
}

impl Schedule {
    /// The names that [`str::parse`] takes.
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

/// What is left of the peak at the end.
pub const FINAL_LR_FRACTION: f64 = 0.02;

/// The learning rate of `step` (from 0) of `total`, rising in a line over the first `warmup` steps to `peak`.
pub fn learning_rate(schedule: Schedule, peak: f64, warmup: u64, step: u64, total: u64) -> f64 {
    // A run shorter than ten warm-ups warms up over a tenth of itself.
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
    fn any_step_of_any_total_is_finite() {
        for (warmup, step, total) in [(0, 0, 0), (100, 5, 3), (u64::MAX, 0, 1), (7, u64::MAX, 9)] {
            for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
                assert!(learning_rate(schedule, 1.0, warmup, step, total).is_finite());
            }
        }
    }
}
