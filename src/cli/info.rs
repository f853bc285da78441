//! `charlstm info`: the contents of a checkpoint.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::Frame;
use charlstm::checkpoint::model::{self, weights_hash};
use charlstm::data::{BUILT_IN_NAME, Encoding, RecordKind};
use charlstm::error::Result;
use charlstm::run::find::{RunTarget, find};
use charlstm::run::{DEFAULT_RUNS_FOLDER, Progress, RunMetadata, STATE, state_hash};
use charlstm::score::bits;
use serde_json::{Value, json};

use super::terminal::{Terminal, escape_controls};

/// Show the contents of a checkpoint: model, settings, progress and hashes
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &InfoArgs, terminal: &Terminal) -> Result<()> {
    // latest.ckpt has the training state; best.ckpt, which is used for sampling, has only weights.
    let target = find(args.run.as_deref(), Path::new(DEFAULT_RUNS_FOLDER))?;
    let path = match &target {
        RunTarget::Run(folder) if folder.latest().exists() => folder.latest(),
        found => found.model(),
    };
    let mut facts = facts(&Frame::read(&path)?)?;
    facts["sampled_from"] = json!(target.model().display().to_string());
    if args.json { terminal.json(&facts) } else { terminal.out(lines(&facts).as_bytes()) }
}

fn facts(frame: &Frame) -> Result<Value> {
    let shape = model::config(frame)?;
    let (progress, saved) = (Progress::read(frame)?, RunMetadata::read(frame)?);
    let dataset = saved.dataset;
    let held_out = |nats: f64| json!({ "loss": nats, "bpc": bits(nats) });
    let has_state = frame.has(STATE);
    let text = dataset.config.paths.iter().map(|path| path.display().to_string());
    let text: Vec<String> = if dataset.config.paths.is_empty() { vec![BUILT_IN_NAME.into()] } else { text.collect() };
    Ok(json!({
        "checkpoint": frame.path().display().to_string(),
        "format": frame.version(),
        "contents": if has_state { "training state" } else { "weights only" },
        "cell": shape.cell, "layers": shape.num_layers, "hidden": shape.hidden_size, "embed": shape.embed_size, "vocab": shape.vocab_size,
        "characters": if dataset.config.encoding == Encoding::Bytes { "bytes" } else { "unicode" },
        "newline": match dataset.config.encoding {
            Encoding::Bytes => None,
            Encoding::Utf8 => Some("keep"),
            Encoding::Utf8Lf => Some("lf"),
        },
        "min_count": dataset.config.min_count,
        "parameters": shape.parameters()?,
        "text": text,
        "init_from": saved.origin.map(|origin| origin.run),
        "replay": dataset.replay.map(|of| json!({ "file": of.config.file, "fraction": of.config.fraction, "chars": of.chars })),
        "step": progress.step, "epoch": progress.epoch, "skipped": progress.skipped,
        "batch": saved.train.batch_size, "seq_len": saved.train.seq_len, "optimizer": saved.train.optimizer,
        "lr": saved.train.lr, "schedule": saved.train.schedule, "warmup": saved.train.warmup, "total_steps": saved.total_steps,
        "weight_decay": saved.train.weight_decay, "clip": saved.train.clip, "dropout": saved.train.dropout,
        "reset_prob": saved.train.reset_prob, "seed": saved.train.seed,
        "records": dataset.config.records.map(RecordKind::name),
        "instruction_set": saved.instruction_set, "elapsed_s": saved.elapsed_s,
        "loss": progress.loss,
        "held_out": progress.held_out.map(held_out),
        "best": progress.best.map(|(nats, step)| json!({ "loss": nats, "bpc": bits(nats), "step": step })),
        "weights_hash": format!("{:032x}", weights_hash(frame)?),
        "state_hash": if has_state { Some(format!("{:032x}", state_hash(frame)?)) } else { None },
    }))
}

fn lines(facts: &Value) -> String {
    let value = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match value.as_f64().filter(|_| value.is_f64()) {
                Some(x) => format!("{name} {x:.4}"),
                None => format!("{name} {value}"),
            };
            fields.iter().map(field).collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    let facts = facts.as_object().into_iter().flatten();
    facts.map(|(name, fact)| format!("{:<14} {}\n", name.replace('_', " "), escape_controls(&value(fact)))).collect()
}
