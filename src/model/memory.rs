//! A rough check, before a model is loaded or trained, that the machine has enough memory.
//!
//! The estimate covers weights, gradients, moments, packed weights and activations; smaller buffers are not counted. If an
//! allocation fails after all, [`try_zeroed`] returns an error.

use std::path::Path;

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_vec;

use super::ModelConfig;
use crate::error::{Error, Result};
use crate::simd::MAX_PANEL_WIDTH;

/// Bytes of the parts of a model.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The weights.
    pub weights: u64,
    /// The weight matrices, packed for the forward or the backward pass.
    pub packed: u64,
    /// The first layer's input product of one character.
    pub table_row: u64,
    /// The states of all layers at one position.
    pub states: u64,
    /// The activations of all layers at one position: gates, states and logits.
    pub position: u64,
}

const F32: u64 = size_of::<f32>() as u64;

impl ModelConfig {
    /// The sizes of the parts of a model of this shape.
    pub fn sizes(&self) -> Result<Sizes> {
        let spec = self.validate()?.spec;
        let padded = |n: usize| n.next_multiple_of(MAX_PANEL_WIDTH) as u64;
        let (layers, hidden, vocab) = (self.num_layers as u64, padded(self.hidden_size), padded(self.vocab_size));
        let [gates, states, recurrent_inputs, recurrent, input] =
            [spec.gates.len(), spec.states, spec.recurrent_inputs, spec.recurrent_gates.len(), spec.input_gates.len()]
                .map(|parts| parts as u64 * hidden);
        let packed = layers * recurrent_inputs * recurrent + (layers - 1) * hidden * input + hidden * vocab;
        Ok(Sizes {
            weights: F32 * self.parameters()?,
            packed: F32 * packed,
            table_row: F32 * (2 * gates + self.embed_size as u64),
            states: F32 * layers * states,
            position: F32 * (layers * (gates + states) + vocab),
        })
    }
}

impl Sizes {
    /// The bytes that inference needs in addition to the weights: packed weights, the first layer's table for the whole vocabulary, and the
    /// activations of `positions` characters at once.
    pub fn inference(&self, vocab: usize, positions: usize) -> u64 {
        let activations = self.position.saturating_mul(positions as u64);
        self.packed.saturating_add(self.table_row * vocab as u64).saturating_add(activations)
    }
}

/// Checks that `needed_bytes` are available; passes if the system does not report its memory.
///
/// # Errors
/// [`Error::OutOfMemory`] with both figures; `what` names the operation in the message.
pub fn check_available(what: &str, needed_bytes: u64) -> Result<()> {
    match available() {
        Some(bytes) if needed_bytes > bytes => {
            Err(Error::OutOfMemory { what: what.into(), needed: needed_bytes, available: Some(bytes) })
        }
        _ => Ok(()),
    }
}

/// Allocates an arena of `len` zeros.
///
/// # Errors
/// [`Error::OutOfMemory`] if the allocation fails; `what` names the purpose of the arena in the message.
pub fn try_zeroed<R: Zeroable>(what: &str, len: usize) -> Result<Vec<R>> {
    try_zeroed_vec(len).map_err(|()| {
        let needed = (len as u64).saturating_mul(size_of::<R>() as u64);
        Error::OutOfMemory { what: what.into(), needed, available: available() }
    })
}

/// The default number of threads: `RAYON_NUM_THREADS`, or the cores that this process may use.
pub fn default_threads() -> usize {
    let chosen = std::env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    chosen.filter(|number| *number > 0).unwrap_or_else(cores)
}

fn available() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    [in_machine(), in_cgroup(&groups, Path::new("/sys/fs/cgroup"))].into_iter().flatten().min()
}

fn in_machine() -> Option<u64> {
    let kib = figure(Path::new("/proc/meminfo"), "MemAvailable:")?;
    Some(kib * 1024)
}

/// The lowest amount of memory available in the control group (version 2) of this process and in its parents. `groups` is the contents of
/// `/proc/self/cgroup`.
fn in_cgroup(groups: &str, root: &Path) -> Option<u64> {
    let folder = root.join(groups.lines().find_map(|line| line.strip_prefix("0::/"))?);
    let available = folder.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(|folder| {
        let limit = figure(&folder.join("memory.max"), "")?;
        // The page cache counts as used, but the system reclaims it when memory runs short.
        let cached =
            ["inactive_file ", "active_file "].map(|name| figure(&folder.join("memory.stat"), name).unwrap_or(0));
        let used = figure(&folder.join("memory.current"), "")?.saturating_sub(cached.iter().sum());
        Some(limit.saturating_sub(used))
    });
    available.min()
}

/// The number that follows `name` at the start of a line of a file.
fn figure(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::CELLS;
    use crate::kernels::Precision;
    use crate::model::{CharLm, InferenceModel};

    #[test]
    fn estimated_sizes_match_the_packed_weights() {
        for cell in CELLS {
            let shape = ModelConfig {
                cell: cell.spec.name.into(),
                num_layers: 3,
                hidden_size: 64,
                embed_size: 32,
                vocab_size: 32,
            };
            let (model, sizes) = (CharLm::<f32>::zeros(&shape).unwrap(), shape.sizes().unwrap());
            let (model, layers) = (InferenceModel::new(&model, Precision::F32), 0..shape.num_layers);
            let of_layer = |layer| model.weights.w_hh(layer).bytes() + model.weights.w_ih(layer).bytes();
            let packed = layers.map(of_layer).sum::<usize>() + model.weights.head_w().bytes();
            assert_eq!(sizes.packed, packed as u64, "{}", cell.spec.name);
            assert_eq!(sizes.weights, 4 * model.char_lm.weights.len() as u64);
        }
    }

    #[test]
    fn out_of_memory_reports_both_figures() {
        if available().is_none() {
            eprintln!("SKIPPED: this system does not report how much memory is available");
            return;
        }
        check_available("a byte", 1).unwrap();
        let error = check_available("everything", u64::MAX).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { needed: u64::MAX, available: Some(_), .. }), "{error:?}");
        assert!(matches!(try_zeroed::<f32>("everything", 1 << 60), Err(Error::OutOfMemory { .. })));
    }

    #[test]
    fn cgroup_limits_of_parents_apply() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let free = |groups: &str| in_cgroup(groups, folder.path());
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "500\n");
        assert_eq!(free("0::/a/b"), None, "no limit");
        write("a/memory.max", "1000\n");
        write("a/memory.current", "900\n");
        write("a/memory.stat", "anon 650\ninactive_file 200\nactive_file 50\n");
        assert_eq!(free("0::/a/b"), Some(350), "the limit of the parent, without the page cache");
        assert_eq!(free("4:memory:/a/b"), None, "version 1 is not read");
    }
}
