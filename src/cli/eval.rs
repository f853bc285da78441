//! `charlstm eval`: the loss of a text.

use std::ops::Range;
use std::path::PathBuf;

use charlstm::data::{ContextStart, Corpus};
use charlstm::error::Result;
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::score;
use serde_json::json;

use super::load;
use super::terminal::Terminal;
use super::values::{context_starts, precisions};

/// Compute the loss of a text, in nats and bits per character
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to evaluate [default: the held-out text of the run]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Precision of the weights
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = precisions())]
    pub precision: Precision,
    /// Evaluate windows of N characters, each from a zero state, instead of one stream
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// What the text follows
    #[arg(long, value_name = "START", default_value = "newline", value_parser = context_starts(), conflicts_with = "window")]
    pub context_start: ContextStart,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &EvalArgs, terminal: &Terminal) -> Result<()> {
    load::start_threads()?;
    let frame = load::open_checkpoint(args.run.as_deref())?;
    let positions =
        if args.window.is_some() { score::positions_at_once(usize::MAX) } else { load::POSITIONS_OF_ONE_STREAM };
    let (model, vocab) = load::load_model(&frame, positions)?;
    let inference_model = InferenceModel::new(&model, args.precision);
    let score = |corpus: &Corpus, range: Range<usize>| match args.window {
        Some(window) => score::windows(&inference_model, corpus, &vocab, range, window),
        None => score::carried(&inference_model, corpus, &vocab, range, args.context_start),
    };
    let loss = match &args.text {
        Some(path) => {
            let corpus = Corpus::open(std::slice::from_ref(path), vocab.encoding())?;
            score(&corpus, 0..corpus.chars())?
        }
        None => {
            let dataset = load::open_dataset(&frame)?;
            let (corpus, range) = load::held_out(&dataset)?;
            score(corpus, range)?
        }
    };
    if args.json {
        let json = json!({ "loss": loss.nats(), "bpc": loss.bits(), "chars": loss.chars, "window": args.window });
        return terminal.out(format!("{json}\n").as_bytes());
    }
    let how = match args.window {
        Some(window) => format!("windows of {window}, each starting from a zero state"),
        None => "one stream, state carried".into(),
    };
    let (nats, bits, chars) = (loss.nats(), loss.bits(), loss.chars);
    terminal.out(format!("{nats:.6} nats, {bits:.6} bits per character over {chars} characters ({how})\n").as_bytes())
}
