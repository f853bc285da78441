//! Arguments of `charlstm experiment`.

use std::path::PathBuf;

use charlstm::experiments::{EXPERIMENTS, Experiment};
use charlstm::model::Scheme;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::values::{cell_names, one_of};

/// Reproduce an experiment from a paper, or list the experiments
#[derive(Debug, clap::Args)]
pub struct ExperimentArgs {
    /// Name of the experiment, or `list`
    #[arg(value_parser = experiment_names())]
    pub name: String,
    /// Text files or folders, for experiments on a text [default: the built-in fables]
    #[arg(value_name = "TEXT")]
    pub texts: Vec<PathBuf>,
    /// Recurrent cell [default: depends on the experiment; all cells for odyssey and gradient-flow]
    #[arg(long, value_parser = cell_names().try_map(|name| charlstm::cells::find(&name).map(|cell| cell.spec.name.to_owned())))]
    pub cell: Option<String>,
    /// Units per layer [default: depends on the experiment]
    #[arg(long, value_name = "N")]
    pub hidden: Option<usize>,
    /// Maximum number of training steps; attempts of guess [default: depends on the experiment]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Parameters of each model of odyssey [default: 200000]
    #[arg(long, value_name = "N")]
    pub parameters: Option<u64>,
    /// Peak learning rate [default: depends on the experiment]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// Initialization of the recurrent layers [default: depends on the experiment]
    #[arg(long, value_parser = one_of::<Scheme>(&Scheme::NAMES))]
    pub init: Option<Scheme>,
    /// Initial bias of the forget gate [default: depends on the experiment]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub forget_bias: Option<f64>,
    /// Decoupled weight decay of the weight matrices [default: depends on the experiment]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Random seed of the text, the initial weights and the test
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Number of consecutive seeds to run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Number of distractors of lag [default: 100]
    #[arg(long, value_name = "N")]
    pub q: Option<usize>,
    /// Use the noisy variant of lag: the symbols to remember also occur among the distractors
    #[arg(long)]
    pub noise: bool,
    /// Digits of arithmetic [default: 3] or bits of parity [default: 16]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Only write the training text to a file, for use with charlstm train
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "json"])]
    pub write: Option<PathBuf>,
    /// File for the chart, for experiments that draw one [default: NAME.svg]
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn experiment_names() -> PossibleValuesParser {
    let list = PossibleValue::new("list").help("List the experiments");
    let value = |experiment: &Experiment| PossibleValue::new(experiment.name).help(experiment.summary);
    PossibleValuesParser::new(EXPERIMENTS.iter().map(value).chain([list]))
}
