//! `charlstm eval`: the loss on a text.

use std::path::PathBuf;

use charlstm::data::{ContextStart, Dataset, DatasetConfig, RecordKind, TextPart};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::run::RunMetadata;
use charlstm::score;
use serde_json::json;

use super::line_ends::LineEnds;
use super::load;
use super::terminal::Terminal;
use super::values::{context_starts, precisions};

/// Compute the loss on a text, in nats and bits per character
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to evaluate; -: standard input [default: the held-out text of the run]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Precision of the weights
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = precisions())]
    pub precision: Precision,
    /// Evaluate windows of N characters, each from a zero state, instead of one stream
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Context of the first character
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
        if args.window.is_some() { score::held_out_positions(usize::MAX) } else { load::MAX_POSITIONS_PER_STREAM };
    let (model, vocab) = load::load_model(&frame, positions)?;
    let inference_model = InferenceModel::new(&model, args.precision);
    let running_only = |what: &str, why: &str| {
        Err(Error::Usage(format!("{what} is for running text; this run was trained on records, {why}")))
    };
    let score = |part: &TextPart<'_>| match (part, args.window) {
        (TextPart::Running(corpus, range), Some(window)) => {
            score::windowed_loss(&inference_model, corpus, &vocab, range.clone(), window)
        }
        (TextPart::Running(corpus, range), None) => {
            score::carried_loss(&inference_model, corpus, &vocab, range.clone(), args.context_start)
        }
        (TextPart::Records(_), Some(_)) => running_only("--window", "which are scored one by one"),
        (TextPart::Records(_), None) if args.context_start == ContextStart::None => {
            running_only("--context-start none", "whose first characters are scored")
        }
        (TextPart::Records(set), None) => score::records_loss(&inference_model, *set, &vocab),
    };
    let records = RunMetadata::read(&frame)?.dataset.config.records;
    let loss = match &args.text {
        Some(path) => {
            let config =
                DatasetConfig { encoding: vocab.encoding(), val_frac: 0.0, records, ..DatasetConfig::default() };
            let corpus = load::open_text(path, vocab.encoding())?;
            let line_ends = LineEnds::of_corpus(&corpus);
            let loss = score(&Dataset::with_config(corpus, None, &config)?.training())?;
            if records != Some(RecordKind::Line) {
                line_ends.note_mismatch(&vocab, "the model", terminal);
            }
            loss
        }
        None => score(&load::held_out(&load::open_dataset(&frame)?)?)?,
    };
    if args.json {
        let json = json!({
            "loss": loss.nats(), "bpc": loss.bits(), "chars": loss.chars, "window": args.window,
            "unknown": loss.unknown, "known_loss": loss.known_nats(), "known_bpc": loss.known_nats().map(score::bits),
        });
        return terminal.out(format!("{json}\n").as_bytes());
    }
    let how = match args.window {
        None if records.is_some() => {
            "records, each from a zero state; the end of a record counts as a character".into()
        }
        Some(window) => format!("windows of {window}, each starting from a zero state"),
        None => "one stream, state carried".into(),
    };
    let (nats, bits, chars) = (loss.nats(), loss.bits(), loss.chars);
    let without = match loss.known_nats() {
        Some(known) if loss.unknown > 0 => {
            let bits = score::bits(known);
            format!("; {known:.6} nats, {bits:.6} bits without the {} unknown ones", loss.unknown)
        }
        _ => String::new(),
    };
    terminal.out(
        format!("{nats:.6} nats, {bits:.6} bits per character over {chars} characters ({how}){without}\n").as_bytes(),
    )
}
