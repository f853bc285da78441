//! Arguments of `charlstm train`.

use std::path::PathBuf;

use charlstm::model::Scheme;
use charlstm::optim::{Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use super::values::{cell_names, one_of};

const EXAMPLES: &str = "\
Examples:
  charlstm train                             Train on the built-in fables
  charlstm train book.txt --epochs 5         Train on a file
  charlstm train book.txt --layers 3 --hidden 512 --name big
  charlstm train --resume big --epochs 10    Continue a run
  charlstm train new.txt --init-from big     Fine-tune a run on another text";

/// Train a model on a text, or resume a run
///
/// A run is stored in the folder checkpoints/NAME. Ctrl-C saves a checkpoint and stops; --resume continues from there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(flatten)]
    pub settings: Settings,

    /// Name of the run, stored in checkpoints/NAME [default: the name of the text]
    #[arg(long, value_name = "NAME", help_heading = "Run")]
    pub name: Option<String>,
    /// Folder of the run, instead of checkpoints/NAME
    #[arg(long, value_name = "DIR", conflicts_with = "name", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Resume a run [default: the run of --out or --name, otherwise the newest]
    ///
    /// Settings that are not given again keep their values, including the texts.
    #[arg(long, value_name = "RUN", num_args = 0..=1, help_heading = "Run")]
    pub resume: Option<Option<PathBuf>>,
    /// Replace an existing run of the same name
    #[arg(long, conflicts_with = "resume", help_heading = "Run")]
    pub overwrite: bool,
    /// Save and stop at this step
    ///
    /// The learning rate still follows the schedule of the whole run.
    #[arg(long, value_name = "STEP", help_heading = "Run")]
    pub stop_at: Option<u64>,
    /// Continue training if a file cannot be written, and try again at the next save
    #[arg(long, help_heading = "Run")]
    pub keep_going: bool,
    /// Read settings from a TOML file, such as the config.toml of a run
    ///
    /// Flags take precedence over the file. Paths in it are relative to the current folder.
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub config: Option<PathBuf>,
    /// Allow resuming on a modified corpus; the current epoch starts again
    #[arg(long, requires = "resume", help_heading = "Run")]
    pub allow_corpus_change: bool,
}

/// The settings that flags and configuration files have in common. `None` means the default or the value of a resumed run.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Text files or folders, concatenated [default: the built-in fables]
    #[arg(value_name = "TEXT")]
    pub texts: Vec<PathBuf>,

    /// Train on raw bytes instead of UTF-8 characters
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Corpus")]
    pub bytes: Option<bool>,
    /// Fraction of the text to hold out, taken from its end [default: 0.1]
    #[arg(long, allow_negative_numbers = true, value_name = "FRACTION", help_heading = "Corpus")]
    pub val_frac: Option<f64>,
    /// Separate file to use as the held-out text
    #[arg(long, value_name = "FILE", conflicts_with = "val_frac", help_heading = "Corpus")]
    pub val_file: Option<PathBuf>,

    /// Recurrent cell [default: lstm]
    #[arg(long, value_parser = cell_names(), help_heading = "Model")]
    pub cell: Option<String>,
    /// Recurrent layers [default: 2]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub layers: Option<usize>,
    /// Units per layer [default: 256]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub hidden: Option<usize>,
    /// Size of the character embedding; 0: one-hot input [default: same as --hidden]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub embed: Option<usize>,
    /// Initialization of the recurrent layers [default: orthogonal]
    #[arg(long, value_parser = one_of::<Scheme>(&Scheme::NAMES), help_heading = "Model")]
    pub init: Option<Scheme>,
    /// Initial bias of the forget gate [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Model")]
    pub forget_bias: Option<f64>,

    /// Start from the weights of another run
    ///
    /// The new run has the same cell, layers and sizes; characters that the model does not know are added to its vocabulary.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["resume", "init", "forget_bias"], help_heading = "Fine-tuning")]
    pub init_from: Option<PathBuf>,
    /// Mix in an old text, so that the model does not forget it (requires --init-from)
    ///
    /// The last tenth of the old text is not used for training.
    #[arg(long, value_name = "FILE", help_heading = "Fine-tuning")]
    pub replay: Option<PathBuf>,
    /// Fraction of the training text to take from --replay [default: 0.1]
    #[arg(long, allow_negative_numbers = true, value_name = "FRACTION", help_heading = "Fine-tuning")]
    pub replay_frac: Option<f64>,

    /// Streams per batch [default: 64; 16 for the built-in fables]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Characters per window of truncated backpropagation [default: 128; 64 for the built-in fables]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seq_len: Option<usize>,
    /// Passes over the training text [default: 20; 15 for the built-in fables]
    #[arg(long, value_name = "N", conflicts_with = "steps", help_heading = "Training")]
    pub epochs: Option<u64>,
    /// Optimizer steps, instead of --epochs
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub steps: Option<u64>,
    /// Optimizer [default: adamw]
    #[arg(long, value_parser = one_of::<Optimizer>(&Optimizer::NAMES), help_heading = "Training")]
    pub optimizer: Option<Optimizer>,
    /// Peak learning rate [default: 0.003]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", help_heading = "Training")]
    pub lr: Option<f64>,
    /// Learning rate schedule after the warm-up [default: cosine]
    #[arg(long, value_parser = one_of::<Schedule>(&Schedule::NAMES), help_heading = "Training")]
    pub schedule: Option<Schedule>,
    /// Steps of learning rate warm-up, at most a tenth of the run [default: 100]
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub warmup: Option<u64>,
    /// Decoupled weight decay of the weight matrices [default: 0.01]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// Maximum gradient norm; 0: no clipping [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "NORM", help_heading = "Training")]
    pub clip: Option<f64>,
    /// Dropout rate between layers and before the output [default: 0.2]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", help_heading = "Training")]
    pub dropout: Option<f64>,
    /// Random seed of the initial weights and of dropout [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seed: Option<u64>,
    /// Threads; the results do not depend on their number [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub threads: Option<usize>,

    /// Steps between evaluations on the held-out text; 0: never [default: one epoch]
    #[arg(long, value_name = "STEPS", help_heading = "Evaluation and checkpoints")]
    pub eval_every: Option<u64>,
    /// Stop after this many evaluations without a better held-out loss [default: never]
    #[arg(long, value_name = "N", help_heading = "Evaluation and checkpoints")]
    pub patience: Option<u64>,
    /// Steps between checkpoints; 0: only at the end [default: one epoch, at most ten minutes]
    ///
    /// A checkpoint is also saved whenever the held-out loss improves.
    #[arg(long, value_name = "STEPS", help_heading = "Evaluation and checkpoints")]
    pub save_every: Option<u64>,
    /// Steps between records in metrics.jsonl; 0: never [default: 10]
    #[arg(long, value_name = "STEPS", help_heading = "Evaluation and checkpoints")]
    pub log_every: Option<u64>,
}
