//! What a model needs of the machine's memory, reckoned before any of it is taken: an allocation that fails ends the process.

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

use super::ModelConfig;
use crate::error::{Error, Result};
use crate::kernels::allocator;

/// Bytes of the parts of a model of some shape.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The weights.
    pub weights: f64,
    /// The weights of products, packed for one direction.
    pub packed: f64,
    /// What the first layer makes of a character.
    pub character: f64,
    /// The states of all layers at one position.
    pub states: f64,
    /// The activations of all layers at one position, logits and states among them.
    pub position: f64,
}

/// Elements of the widest panel: rows are filled up to a multiple of it.
const PANEL: usize = 32;
/// Bytes that the program takes beside.
const BESIDE: f64 = (4u32 << 20) as f64;
/// Of what is taken, what lies between in pieces that are too small: up to a fortieth was measured.
const GAPS: f64 = 1.0 / 25.0;
/// Bytes that a thread takes for products, once and for all of them: faer's buffer of 4 MiB and what lies about it.
pub const THREAD: f64 = (5u32 << 20) as f64;
const FLOAT: f64 = size_of::<f32>() as f64;
/// Bytes of addresses of a thread's stack and what stands beside it.
const STACK: f64 = 2.125 * MIB;
pub(super) const MIB: f64 = (1u32 << 20) as f64;

impl ModelConfig {
    /// What the parts of such a model take.
    ///
    /// # Errors
    /// [`Error::Usage`] where the shape is out of range.
    pub fn sizes(&self) -> Result<Sizes> {
        let spec = self.validate()?.spec;
        let panels = |n: usize| n.next_multiple_of(PANEL) as f64;
        let (layers, hidden, vocab) = (self.layers as f64, panels(self.hidden), panels(self.vocab));
        let [gates, states, recurrent_inputs, recurrent, input] =
            [spec.gates.len(), spec.states, spec.recurrent_inputs, spec.recurrent.len(), spec.input.len()]
                .map(|parts| parts as f64 * hidden);
        let packed = layers * recurrent_inputs * recurrent + (layers - 1.0) * hidden * input + hidden * vocab;
        Ok(Sizes {
            weights: FLOAT * self.parameters()? as f64,
            packed: FLOAT * packed,
            character: FLOAT * (2.0 * gates + self.embed as f64),
            states: FLOAT * layers * states,
            position: FLOAT * (layers * (gates + states) + vocab),
        })
    }
}

impl Sizes {
    /// Bytes of a model that only runs, for that many positions at once.
    pub fn running(&self, vocab: usize, positions: usize) -> f64 {
        self.packed + self.character * vocab as f64 + self.position * positions as f64
    }
}

/// Refuses to run a model that the memory cannot hold, `positions` characters at once; of its weights so many bytes are still to be
/// read.
///
/// # Errors
/// [`Error::Usage`] with what it needs and what there is.
pub fn must_hold(shape: &ModelConfig, positions: usize, weights: f64) -> Result<()> {
    let sizes = shape.sizes()?;
    must_be_free(
        "this model",
        weights + sizes.running(shape.vocab, positions) + THREAD * rayon::current_num_threads() as f64,
        "close other programs, or lift the limit",
    )
}

/// Threads where no number is chosen: that of `RAYON_NUM_THREADS`, or of cores.
pub fn default_threads() -> usize {
    let chosen = std::env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    chosen.filter(|number| *number > 0).unwrap_or_else(cores)
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts so many threads, by what `start` does with a builder of them.
///
/// # Errors
/// [`Error::Usage`] where they cannot be started.
pub fn start_threads<T>(
    threads: usize,
    start: impl FnOnce(ThreadPoolBuilder) -> std::result::Result<T, ThreadPoolBuildError>,
) -> Result<T> {
    must_hold_threads(threads)?;
    let started = start(ThreadPoolBuilder::new().num_threads(threads));
    started.map_err(|e| Error::Usage(format!("threads cannot be started: {e}")))
}

/// Refuses to start more threads than there are addresses for: one that lacks them as it starts ends the process.
fn must_hold_threads(threads: usize) -> Result<()> {
    let needed = threads as f64 * STACK;
    match limit() {
        Some((_, free)) if needed > free => Err(Error::Usage(format!(
            "threads cannot be started: the stacks of {threads} need {} MiB, and {} are free (ulimit -v); lift the limit, or choose \
             fewer threads (--threads of train, RAYON_NUM_THREADS)",
            (needed / MIB).ceil(),
            (free / MIB).floor()
        ))),
        _ => Ok(()),
    }
}

/// Refuses what needs more bytes than can be had.
///
/// # Errors
/// [`Error::Usage`] with what it needs and what there is, `remedy` at its end.
pub fn must_be_free(what: &str, needed: f64, remedy: &str) -> Result<()> {
    let needed = needed * (1.0 + GAPS) + BESIDE;
    let mib = |bytes: f64| (bytes / MIB).ceil();
    let refused = |of: String, free: f64| {
        let (needed, free) = (mib(needed), (free / MIB).floor());
        Err(Error::Usage(format!("{what} needs {needed} MiB of memory, and {of}{free} are free; {remedy}")))
    };
    match (machine(), limit()) {
        (_, Some((allowed, free))) if needed > free => {
            refused(format!("of the {} MiB that are allowed (ulimit -v) ", mib(allowed)), free)
        }
        (Some(free), _) if needed > free => refused(String::new(), free),
        _ => Ok(()),
    }
}

/// Bytes of memory that can be had, as far as that is known.
pub fn free() -> Option<f64> {
    [machine(), limit().map(|(_, free)| free)].into_iter().flatten().reduce(f64::min)
}

/// Where addresses are limited, makes the allocator spare them; to be called before there is another thread. What was free is gone
/// else before it is used.
pub fn spare_addresses() {
    if limit().is_some() {
        allocator::spare_addresses();
    }
}

/// Bytes that the machine has free.
fn machine() -> Option<f64> {
    kib("/proc/meminfo", "MemAvailable:")
}

/// The bytes of addresses that this process may take, and those of them that are left; `None` where there is no limit.
fn limit() -> Option<(f64, f64)> {
    #[cfg(unix)]
    let allowed = rustix::process::getrlimit(rustix::process::Resource::As).current? as f64;
    #[cfg(not(unix))]
    let allowed = None?;
    let taken = kib("/proc/self/status", "VmSize:")?;
    Some((allowed, (allowed - taken).max(0.0)))
}

/// A figure in KiB of a file that the system supplies, as bytes.
fn kib(path: &str, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let figure = text.lines().find_map(|line| line.strip_prefix(name))?;
    figure.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// Takes a little on every thread of the pool at hand, so that all have begun: what threads set aside as they begin (with some
/// allocators, 64 MiB of addresses and more) can be seen then.
pub fn begin_on_every_thread() {
    rayon::broadcast(|_| drop(std::hint::black_box(Box::new(0u8))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::CELLS;
    use crate::kernels::Precision;
    use crate::model::{CharLm, InferenceModel};

    #[test]
    fn what_is_packed_is_what_was_reckoned() {
        for cell in CELLS {
            let shape = ModelConfig { cell: cell.spec.name.into(), layers: 3, hidden: 64, embed: 32, vocab: 32 };
            let (model, sizes) = (CharLm::zeros(&shape).unwrap(), shape.sizes().unwrap());
            let (ready, layers) = (InferenceModel::new(&model, Precision::F32), 0..shape.layers);
            let of_layer = |layer| ready.prepared.w_hh(layer).bytes() + ready.prepared.w_ih(layer).bytes();
            let packed = layers.map(of_layer).sum::<usize>() + ready.prepared.head_w().bytes();
            assert_eq!(sizes.packed, packed as f64, "{}", cell.spec.name);
            assert_eq!(sizes.weights, 4.0 * model.weights.len() as f64);
        }
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_both_figures() {
        if limit().is_none() && machine().is_none() {
            eprintln!("SKIPPED: this system does not say how much memory is free");
            return;
        }
        must_be_free("a byte", 1.0, "").unwrap();
        let message = must_be_free("all", 1e18, "take less").unwrap_err().to_string();
        assert!(message.starts_with("all needs 991821289067 MiB of memory, and "), "{message}");
        assert!(message.ends_with(" are free; take less"), "{message}");
        let shape =
            ModelConfig { hidden: 1 << 14, embed: 1 << 14, vocab: 1 << 20, layers: 2, ..ModelConfig::default() };
        assert!(matches!(must_hold(&shape, 1 << 20, 0.0), Err(Error::Usage(_))));
    }
}
