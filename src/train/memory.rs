//! What a run needs of the machine's memory, reckoned before any of it is taken: an allocation that fails would end the process.

use super::config::TrainConfig;
use crate::error::{Error, Result};
use crate::model::ModelConfig;

/// Bytes that training takes: weights, gradients and moments; packed weights; the activations of a window.
///
/// # Errors
/// [`Error::Usage`] where a shape is out of range.
fn needed(shape: &ModelConfig, config: &TrainConfig) -> Result<f64> {
    let (spec, all) = (shape.validate()?.spec, shape.parameters()? as f64);
    let [layers, hidden, embed, vocab] = [shape.layers, shape.hidden, shape.embed, shape.vocab].map(|n| n as f64);
    let positions = config.batch as f64 * config.seq_len as f64;
    let gates = spec.gates.len() as f64 * hidden;
    // The embedding and what the first layer makes of it are not packed: their product is a table of the window's characters.
    let packed = 2.0 * (all - embed * vocab - embed * gates).max(0.0);
    let table = 2.0 * positions.min(vocab) * gates;
    let dropped = if config.dropout > 0.0 { hidden } else { 0.0 };
    let window = positions * (layers * (gates + spec.states as f64 * hidden + dropped) + vocab);
    let arenas = 2.0 + config.optimizer.moments() as f64;
    Ok(4.0 * (arenas * all + packed + table + window))
}

/// Refuses a run that the memory cannot hold.
///
/// # Errors
/// [`Error::Usage`] with what it needs and what there is.
pub(super) fn must_hold(shape: &ModelConfig, config: &TrainConfig) -> Result<()> {
    let needed = needed(shape, config)?;
    let mib = |bytes: f64| (bytes / f64::from(1 << 20)).ceil();
    let threads = config.threads.unwrap_or_else(rayon::current_num_threads);
    match free(threads) {
        Some(free) if needed > free => Err(Error::Usage(format!(
            "training this needs {} MiB of memory, and {} are free; choose a smaller --hidden, --batch or --seq-len",
            mib(needed),
            mib(free)
        ))),
        _ => Ok(()),
    }
}

/// Bytes that this process, with so many threads to come, can still take: what the machine has, or what its limit (`ulimit -v`)
/// leaves. `None` where that cannot be known.
fn free(threads: usize) -> Option<f64> {
    let machine = kib("/proc/meminfo", "MemAvailable:");
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    #[cfg(not(unix))]
    let limit: Option<u64> = None;
    let taken = kib("/proc/self/status", "VmSize:").unwrap_or(0.0);
    let overhead = OVERHEAD * (threads + 1) as f64;
    let allowed = limit.map(|limit| (limit as f64 - taken - overhead).max(0.0));
    match (machine, allowed) {
        (Some(machine), Some(allowed)) => Some(machine.min(allowed)),
        (machine, allowed) => machine.or(allowed),
    }
}

/// Bytes of addresses that the allocator of a thread takes beside what it gives.
const OVERHEAD: f64 = (64u32 << 20) as f64;

/// A figure in KiB of a file that the system supplies, as bytes.
fn kib(path: &str, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let figure = text.lines().find_map(|line| line.strip_prefix(name))?;
    figure.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the whole program was measured to take, in MiB, for windows of 64 x 100 characters.
    #[test]
    fn what_is_needed_is_near_what_was_measured() {
        for (cell, hidden, measured) in
            [("lstm", 512, 259.0), ("lstm", 1024, 700.0), ("gru", 512, 211.0), ("rnn", 512, 90.0)]
        {
            let shape = ModelConfig { cell: cell.into(), layers: 2, hidden, embed: hidden, vocab: 65 };
            let config = TrainConfig { batch: 64, seq_len: 100, dropout: 0.0, ..TrainConfig::default() };
            let ratio = needed(&shape, &config).unwrap() / f64::from(1 << 20) / measured;
            assert!((0.75..1.1).contains(&ratio), "{cell} of {hidden}: {ratio} of what was measured");
        }
    }

    #[test]
    fn a_run_that_no_machine_can_hold_is_refused_with_both_figures() {
        if free(1).is_none() {
            eprintln!("SKIPPED: this system does not say how much memory is free");
            return;
        }
        let shape = ModelConfig { hidden: 1 << 14, embed: 1 << 14, vocab: 65, ..ModelConfig::default() };
        let config = TrainConfig { batch: 1 << 20, ..TrainConfig::default() };
        let message = must_hold(&shape, &config).unwrap_err().to_string();
        assert!(message.contains("MiB of memory, and"), "{message}");
    }
}
