//! The arguments, and nothing but them: clap is known here only.

mod compare;
mod inspect;
mod novelty;
mod sample;
mod score;

use std::path::PathBuf;
use std::str::FromStr;

use charlstm::error::Error;
use charlstm::experiments::{EXPERIMENTS, Experiment};
use charlstm::kernels::Precision;
use charlstm::model::Scheme;
use charlstm::optim::{Optimizer, Schedule};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};

pub use compare::CompareArgs;
pub use inspect::InspectArgs;
pub use novelty::NoveltyArgs;
pub use sample::{LineArgs, MatchBy, SampleArgs};
pub use score::{ScoreArgs, State, Unit};
use serde::{Deserialize, Serialize};

/// Train character-level recurrent language models on ordinary CPUs, and write with them.
///
/// Begin with `charlstm train` (it learns from a built-in book of fables), then `charlstm sample`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, clap::Args)]
pub struct Common {
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// When to colour; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

/// The values of `--precision`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Weights {
    /// As they were learned
    F32,
    /// In eight bits, with a scale for each unit
    Int8,
}

impl From<Weights> for Precision {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::F32 => Precision::F32,
            Weights::Int8 => Precision::Int8,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn from a text, or go on with a run
    Train(Box<TrainArgs>),
    /// Write text with a trained model
    Sample(SampleArgs),
    /// Score a text: nats and bits per character
    Eval(EvalArgs),
    Score(ScoreArgs),
    Compare(CompareArgs),
    /// See inside a net: what its units hold while it reads a text
    Inspect(InspectArgs),
    /// Show what is in a run or a checkpoint
    Info(InfoArgs),
    Novelty(NoveltyArgs),
    /// Measure how fast this machine trains and writes, in ten seconds
    Bench(BenchArgs),
    /// List the cells: parameters, speed on this machine, and where they come from
    Cells(CellsArgs),
    /// Run an experiment of the papers again, or list them
    Experiment(ExperimentArgs),
    /// Print a script that completes commands and flags in your shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub choices: Choices,

    /// The run's name; its folder is checkpoints/NAME [default: the text's name]
    #[arg(long, value_name = "RUN", help_heading = "Run")]
    pub name: Option<String>,
    /// The run's folder itself, in place of checkpoints/NAME
    #[arg(long, value_name = "DIR", conflicts_with = "name", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Go on with a run; alone: that of --out or --name, else the newest. What is not given again, the texts too, stays as it was
    #[arg(long, value_name = "RUN", num_args = 0..=1, help_heading = "Run")]
    pub resume: Option<Option<PathBuf>>,
    /// Replace a run of the same name
    #[arg(long, conflicts_with = "resume", help_heading = "Run")]
    pub overwrite: bool,
    /// Save and stop at this step; the learning rate keeps to the whole run's schedule
    #[arg(long, value_name = "STEP", help_heading = "Run")]
    pub stop_at: Option<u64>,
    /// Train on where a checkpoint cannot be written, as on a full disk: the next save tries again
    #[arg(long, help_heading = "Run")]
    pub keep_going: bool,
    /// Take choices from a file such as a run's config.toml; flags win over it, and its paths begin in the current folder
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub config: Option<PathBuf>,
    /// Resume although the text is another than before; the epoch at hand begins anew
    #[arg(long, requires = "resume", help_heading = "Run")]
    pub allow_corpus_change: bool,
}

/// What can be chosen on the command line and in a configuration file alike.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Choices {
    /// Text files or folders, one after another; none: the built-in fables
    #[arg(value_name = "TEXT")]
    pub texts: Vec<PathBuf>,

    /// The recurrent cell [default: lstm]
    #[arg(long, value_parser = cells(), help_heading = "Model")]
    pub cell: Option<String>,
    /// Recurrent layers [default: 2]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub layers: Option<usize>,
    /// Units of each layer [default: 256]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub hidden: Option<usize>,
    /// Elements of a character's embedding; 0: one-hot [default: as --hidden]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub embed: Option<usize>,

    /// How the weights of the recurrent layers are drawn [default: orthogonal]
    #[arg(long, value_parser = named::<Scheme>(&Scheme::NAMES), help_heading = "Model")]
    pub init: Option<Scheme>,
    /// The bias that the forget gate begins with [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Model")]
    pub forget_bias: Option<f64>,
    /// Begin with the weights of a run and go on with this text: fine-tuning. The shape is the run's, and new characters join in
    #[arg(long, value_name = "RUN", conflicts_with_all = ["resume", "init", "forget_bias"], help_heading = "Model")]
    pub init_from: Option<PathBuf>,

    /// Streams read side by side [default: 64; 16 for the built-in text]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Characters that gradients flow back over [default: 128; 64 for the built-in text]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seq_len: Option<usize>,
    /// Passes over the text, in all [default: 20; 15 for the built-in text]
    #[arg(long, value_name = "N", conflicts_with = "steps", help_heading = "Training")]
    pub epochs: Option<u64>,
    /// Optimizer steps, in all; in place of --epochs
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub steps: Option<u64>,
    /// What updates the weights [default: adamw]
    #[arg(long, value_parser = named::<Optimizer>(&Optimizer::NAMES), help_heading = "Training")]
    pub optimizer: Option<Optimizer>,
    /// The peak learning rate [default: 0.003]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Training")]
    pub lr: Option<f64>,
    /// How the learning rate falls after the warm-up [default: cosine]
    #[arg(long, value_parser = named::<Schedule>(&Schedule::NAMES), help_heading = "Training")]
    pub schedule: Option<Schedule>,
    /// Steps over which the learning rate rises, a tenth of the run at most [default: 100]
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub warmup: Option<u64>,
    /// Decoupled weight decay of matrices [default: 0.01]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// The norm that gradients are clipped to; 0: no clipping [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Training")]
    pub clip: Option<f64>,
    /// The share of units dropped between layers and before the output [default: 0.2]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Training")]
    pub dropout: Option<f64>,
    /// Decides the first weights and the dropout [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seed: Option<u64>,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub threads: Option<usize>,

    /// Read bytes in place of UTF-8 characters
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Text")]
    pub bytes: Option<bool>,
    /// The share of the text, from its end, that is held out [default: 0.1]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Text")]
    pub val_frac: Option<f64>,
    /// A held-out text of its own, in place of that share
    #[arg(long, value_name = "FILE", conflicts_with = "val_frac", help_heading = "Text")]
    pub val_file: Option<PathBuf>,
    /// With --init-from: an old text to mix in, so that it is not forgotten; its last tenth stays unseen
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    pub replay: Option<PathBuf>,
    /// The share of the old text in all that is trained on, and so about of the streams of --batch [default: 0.1]
    #[arg(long, allow_negative_numbers = true, value_name = "X", help_heading = "Text")]
    pub replay_frac: Option<f64>,

    /// Steps from one evaluation to the next; 0: never [default: an epoch]
    #[arg(long, value_name = "STEPS", help_heading = "Pace")]
    pub eval_every: Option<u64>,
    /// Steps from one checkpoint to the next; 0: at the end only. A better held-out loss is saved as well [default: an epoch, and every
    /// ten minutes]
    #[arg(long, value_name = "STEPS", help_heading = "Pace")]
    pub save_every: Option<u64>,
    /// Steps from one record of the metrics to the next; 0: never [default: 10]
    #[arg(long, value_name = "STEPS", help_heading = "Pace")]
    pub log_every: Option<u64>,
    /// Stop after this many evaluations without a better held-out loss [default: off]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub patience: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// A run's name, its folder, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// The text to score [default: the run's own held-out text]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// How exactly weights are kept: f32 as they were learned, int8 as a fast sampler keeps them
    #[arg(long, value_name = "P", default_value = "f32")]
    pub precision: Weights,
    /// Score windows of N characters, each from a zero state, in place of one stream
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// A run's name, its folder, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// The recurrent cell
    #[arg(long, value_parser = cells(), default_value = "lstm")]
    pub cell: String,
    /// Recurrent layers
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub layers: usize,
    /// Units of each layer, and elements of a character's embedding
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// Streams read side by side
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Characters that gradients flow back over
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub seq_len: usize,
    /// Different characters
    #[arg(long, value_name = "N", default_value_t = 65)]
    pub vocab: usize,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct CellsArgs {
    /// Units of the layer that is counted and measured
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ExperimentArgs {
    /// The experiment, or `list`
    #[arg(value_parser = experiments())]
    pub name: String,
    /// Text files or folders for those that compare nets on a text [default: the built-in fables]
    #[arg(value_name = "TEXT")]
    pub texts: Vec<PathBuf>,
    /// The recurrent cell; `odyssey` and `gradient-flow` try every one unless it is given [default: that of the experiment]
    #[arg(long, value_parser = cells().try_map(|name| charlstm::cells::find(&name).map(|cell| cell.spec.name.to_owned())))]
    pub cell: Option<String>,
    /// Units of each layer [default: as the experiment needs]
    #[arg(long, value_name = "N")]
    pub hidden: Option<usize>,
    /// Steps of training at most; tries of `guess` [default: as the experiment needs]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Parameters of every net of `odyssey` [default: 200000]
    #[arg(long, value_name = "N")]
    pub parameters: Option<u64>,
    /// The peak learning rate [default: as the experiment needs]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// How the weights of the recurrent layers are drawn [default: as the experiment needs]
    #[arg(long, value_parser = named::<Scheme>(&Scheme::NAMES))]
    pub init: Option<Scheme>,
    /// The bias that the forget gate begins with, where the cell has one [default: as the experiment needs]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub forget_bias: Option<f64>,
    /// Decoupled weight decay of matrices [default: as the experiment needs]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Decides the text, the first weights and the test
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Runs with this many seeds, one after another
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Distractors of lag [default: 100]
    #[arg(long, value_name = "N")]
    pub q: Option<usize>,
    /// The noisy form of lag: the symbols themselves stand among the distractors
    #[arg(long)]
    pub noise: bool,
    /// Digits of arithmetic [default: 3], bits of parity [default: 16]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Only write the text that would be learned from, to learn from it with `charlstm train`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "json"])]
    pub write: Option<PathBuf>,
    /// Where a chart goes, of those that draw one [default: NAME.svg here]
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn experiments() -> PossibleValuesParser {
    let list = PossibleValue::new("list").help("what there is");
    let value = |experiment: &Experiment| PossibleValue::new(experiment.name).help(experiment.summary);
    PossibleValuesParser::new(EXPERIMENTS.iter().map(value).chain([list]))
}

fn cells() -> PossibleValuesParser {
    let value = |cell: &charlstm::cells::RegisteredCell| {
        let spec = cell.spec;
        let also = spec.aliases.iter().map(|name| format!("; also called {name}")).collect::<String>();
        PossibleValue::new(spec.name).aliases(spec.aliases).help(format!("{}{also}", spec.summary))
    };
    PossibleValuesParser::new(charlstm::cells::CELLS.iter().map(value))
}

/// A choice among names that the library gives.
fn named<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}
