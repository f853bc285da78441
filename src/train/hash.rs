//! What a training state is known by.

use xxhash_rust::xxh3::Xxh3;

use super::config::TrainConfig;
use super::persist::{BRAKE, MOMENTS, OWED, PROGRESS, STATE, Saved};
use crate::checkpoint::{Frame, format};
use crate::error::Result;

/// XXH3 (128 bits) of the whole training state: weights, moments, carried states, progress, and what decides the next steps.
/// Paths, threads, clocks and totals are left out, so that two runs that will go on alike have the same hash.
///
/// # Errors
/// [`Error::Checkpoint`](crate::error::Error::Checkpoint) where the checkpoint holds weights only.
pub fn state_hash(frame: &Frame) -> Result<u128> {
    let TrainConfig { seed, lr, schedule, warmup, weight_decay, clip, dropout, patience, .. } =
        Saved::read(frame)?.train;
    let mut hasher = Xxh3::new();
    hasher.update(&format::value(&(seed, lr, schedule, warmup, weight_decay, clip, dropout, patience))?);
    let others = MOMENTS.into_iter().chain([BRAKE]).filter(|name| frame.has(name));
    for name in ["weights", PROGRESS, STATE].into_iter().chain(others) {
        frame.hash_section(name, &mut hasher)?;
    }
    if frame.has(OWED) {
        // It is empty: that it is there is what counts.
        hasher.update(OWED.as_bytes());
    }
    Ok(hasher.digest128())
}
