//! Opening a run for inference: its checkpoint, model and texts, and the thread pool.

use std::path::Path;

use charlstm::checkpoint::{Frame, model};
use charlstm::data::{Corpus, Dataset, Encoding, TextPart, Vocab};
use charlstm::error::{Error, Result};
use charlstm::model::{CharLm, memory};
use charlstm::run::find::find;
use charlstm::run::{DEFAULT_RUNS_FOLDER, RunMetadata};
use rayon::ThreadPoolBuilder;

use super::files;

/// The maximum number of positions of one stream that a model processes at once.
pub const MAX_POSITIONS_PER_STREAM: usize = 128;

/// Starts one thread per core, including the calling thread.
pub fn start_threads() -> Result<()> {
    build(ThreadPoolBuilder::new().num_threads(memory::default_threads()).use_current_thread())
}

/// Starts one thread per core, but at most `max`. The calling thread is not one of them: it only waits for their results.
pub fn start_worker_threads(max: Option<usize>) -> Result<()> {
    build(ThreadPoolBuilder::new().num_threads(memory::default_threads().min(max.unwrap_or(usize::MAX))))
}

fn build(pool: ThreadPoolBuilder) -> Result<()> {
    pool.build_global().map_err(|e| Error::Usage(format!("cannot start threads: {e}")))
}

pub fn open_checkpoint(run: Option<&Path>) -> Result<Frame> {
    Frame::read(&find(run, Path::new(DEFAULT_RUNS_FOLDER))?.model())
}

/// Loads the model of a checkpoint, after checking that memory suffices to process `positions` characters at once.
pub fn load_model(frame: &Frame, positions: usize) -> Result<(CharLm<f32>, Vocab)> {
    let shape = model::config(frame)?;
    let sizes = shape.sizes()?;
    memory::check_available("this model", sizes.weights.saturating_add(sizes.inference(shape.vocab_size, positions)))?;
    model::read(frame)
}

/// Opens one text; `-` is standard input.
pub fn open_text(path: &Path, encoding: Encoding) -> Result<Corpus> {
    if files::is_stdin(path) {
        let (name, bytes) = files::read(path)?;
        return Corpus::from_text(&name.display().to_string(), bytes, encoding);
    }
    Corpus::open(&[path.into()], encoding)
}

pub fn open_dataset(frame: &Frame) -> Result<Dataset> {
    RunMetadata::read(frame)?.dataset.open()
}

pub fn held_out(dataset: &Dataset) -> Result<TextPart<'_>> {
    dataset.held_out().ok_or_else(|| Error::Usage("the run has no held-out text; specify a text with --text".into()))
}
