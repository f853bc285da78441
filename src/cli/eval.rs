//! `charlstm eval`.

use std::ops::Range;
use std::path::Path;

use charlstm::checkpoint::Frame;
use charlstm::data::{Corpus, Dataset};
use charlstm::error::{Error, Result};
use charlstm::model::InferenceModel;
use charlstm::run::find::find;
use charlstm::run::{RUNS, RunMetadata};
use charlstm::score::{self, TextLoss};
use serde_json::json;

use super::args::EvalArgs;
use super::load;
use super::terminal::Terminal;

pub fn run(args: &EvalArgs, terminal: &Terminal) -> Result<()> {
    load::start_threads()?;
    let frame = Frame::read(&find(args.run.as_deref(), Path::new(RUNS))?.model())?;
    let positions =
        if args.window.is_some() { score::positions_at_once(usize::MAX) } else { load::POSITIONS_OF_ONE_STREAM };
    let (model, vocab) = load::load_model(&frame, positions)?;
    let inference_model = InferenceModel::new(&model, args.precision.into());
    let score = |corpus: &Corpus, part: Range<usize>| match args.window {
        Some(window) => score::windows(&inference_model, corpus, &vocab, part, window),
        None => score::carried(&inference_model, corpus, &vocab, part),
    };
    let loss = match &args.text {
        Some(path) => {
            let corpus = Corpus::open(std::slice::from_ref(path), vocab.encoding())?;
            score(&corpus, 0..corpus.chars())?
        }
        None => {
            let texts = own_texts(&frame)?;
            let (corpus, part) = held_out(&texts)?;
            score(corpus, part)?
        }
    };
    terminal.out(report(&loss, args).as_bytes())
}

/// The texts that a run was trained on.
pub fn own_texts(frame: &Frame) -> Result<Dataset> {
    RunMetadata::read(frame)?.dataset.open()
}

/// What a run holds out, which must be something.
pub fn held_out(texts: &Dataset) -> Result<(&Corpus, Range<usize>)> {
    texts.held_out().ok_or_else(|| Error::Usage("the run holds nothing out; name a text with --text".into()))
}

fn report(loss: &TextLoss, args: &EvalArgs) -> String {
    if args.json {
        let json = json!({
            "loss": loss.nats(),
            "bpc": loss.bits(),
            "chars": loss.chars,
            "window": args.window,
        });
        return format!("{json}\n");
    }
    let how = match args.window {
        Some(window) => format!("windows of {window}, each from a zero state"),
        None => "one stream, state carried".into(),
    };
    format!("{:.6} nats, {:.6} bits per character over {} characters ({how})\n", loss.nats(), loss.bits(), loss.chars)
}
