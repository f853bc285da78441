//! `charlstm cells`: the recurrent cells with their size, speed and source.

use std::time::Duration;

use charlstm::cells::CELLS;
use charlstm::error::Result;
use charlstm::model::ModelConfig;
use charlstm::train::{TrainConfig, Trainer};
use serde_json::json;

use super::bench;
use super::terminal::Terminal;

/// List the recurrent cells with their size, speed and source
#[derive(Debug, clap::Args)]
pub struct CellsArgs {
    /// Units per layer
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const TRAINING_TIME: Duration = Duration::from_millis(400);
/// The model and the batch that are measured; small, so that the list appears quickly.
const LAYERS: usize = 2;
const VOCAB: usize = 64;
const BATCH: usize = 32;
const SEQ_LEN: usize = 32;

pub fn run(args: &CellsArgs, terminal: &Terminal) -> Result<()> {
    let (mut lines, mut facts) = (Vec::new(), Vec::new());
    for cell in CELLS {
        let spec = cell.spec;
        let hidden = args.hidden;
        let shape = ModelConfig {
            cell: spec.name.into(),
            num_layers: LAYERS,
            hidden_size: hidden,
            embed_size: hidden,
            vocab_size: VOCAB,
        };
        shape.validate()?;
        let config = TrainConfig { batch_size: BATCH, seq_len: SEQ_LEN, dropout: 0.0, ..TrainConfig::default() };
        let mut trainer = Trainer::new(bench::random_dataset(VOCAB, BATCH, SEQ_LEN)?, &shape, config)?;
        let speed = bench::measure_training(&mut trainer, TRAINING_TIME)?;
        let parameters = spec.trainable(hidden as u64, hidden as u64).unwrap_or(u64::MAX);
        facts.push(json!({
            "name": spec.name, "aliases": spec.aliases, "summary": spec.summary, "source": spec.paper, "hidden": hidden,
            "parameters_per_layer": parameters, "train_chars_per_s": speed.round(),
        }));
        let names = [&[spec.name], spec.aliases].concat().join(", ");
        lines.push(format!("{names:16} {parameters:>10} {speed:>10.0}  {} ({})\n", spec.summary, spec.paper));
    }
    if args.json {
        return terminal.json(&facts.into());
    }
    terminal.say(&format!(
        "Parameters of one layer with {0} inputs and {0} units, and training speed of {LAYERS} layers",
        args.hidden
    ));
    let head = format!("{:16} {:>10} {:>10}  description (source)\n", "cell", "parameters", "chars/s");
    terminal.out((head + &lines.concat()).as_bytes())
}
