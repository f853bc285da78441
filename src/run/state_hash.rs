//! A fingerprint of a training state.

use xxhash_rust::xxh3::Xxh3;

use super::metadata::{MOMENTS, Progress, RECORDS, RunMetadata, STATE};
use super::train_config::TrainConfig;
use crate::checkpoint::model::WEIGHTS;
use crate::checkpoint::{Frame, SectionValue, format};
use crate::error::Result;

/// XXH3 (128 bits) of everything that determines the following steps: weights, moments, carried states, progress, and the relevant
/// settings. Paths, the number of threads, the clock and the total number of steps are excluded, so two runs that will continue
/// identically have the same hash.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) if the checkpoint contains weights only.
pub fn state_hash(frame: &Frame) -> Result<u128> {
    let TrainConfig { seed, lr, schedule, warmup, weight_decay, clip, dropout, reset_prob, patience, .. } =
        RunMetadata::read(frame)?.train;
    let mut hasher = Xxh3::new();
    hasher.update(&format::encode(&(seed, lr, schedule, warmup, weight_decay, clip, dropout, reset_prob, patience))?);
    let optional = MOMENTS.into_iter().chain([RECORDS]).filter(|name| frame.has(name));
    for name in [WEIGHTS, Progress::NAME, STATE].into_iter().chain(optional) {
        frame.hash_section(name, &mut hasher)?;
    }
    Ok(hasher.digest128())
}
