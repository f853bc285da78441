//! Arguments of `charlstm sample`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::values::WeightPrecision;

const EXAMPLES: &str = "\
Examples:
  charlstm sample                                     Sample from the newest run
  charlstm sample big --prompt \"Once upon\" --temp 0.5
  charlstm sample big --interactive                   Write a text together with the model
  charlstm sample names --lines 20 --unique --novel   Generate 20 new lines";

/// Generate text with a trained model
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SampleArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to continue; it is printed before the generated text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prompt: String,
    /// Read the prompt from a file; -: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// Do not print the prompt
    #[arg(long)]
    pub no_echo: bool,
    /// Skip characters of the prompt that are not in the model's vocabulary
    #[arg(long)]
    pub skip_unknown: bool,
    /// Characters to generate; 0: no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub length: Option<u64>,
    /// Stop after this text has been generated; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Number of samples; sample i uses the seed --seed + i
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub samples: u64,
    /// Random seed [default: different for each call]
    ///
    /// The same seed gives the same text on the same machine.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Precision of the weights; int8 is faster for large models and slightly less accurate
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub precision: WeightPrecision,
    /// Take turns with the model: type some text and let it continue
    #[arg(long, short, conflicts_with_all = ["samples", "lines", "stop"])]
    pub interactive: bool,

    #[command(flatten)]
    pub distribution: DistributionArgs,
    #[command(flatten)]
    pub line: LineArgs,
}

/// How the model's distribution is changed before a character is drawn.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Distribution (applied in this order)")]
pub struct DistributionArgs {
    /// Characters that are never generated
    #[arg(long, value_name = "CHARS", default_value = "", hide_default_value = true)]
    pub ban: String,
    /// Keep the K most likely characters
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Keep the most likely characters that together have probability P
    #[arg(long, allow_negative_numbers = true, value_name = "P")]
    pub top_p: Option<f32>,
    /// Keep the characters with at least P times the probability of the most likely one
    #[arg(long, allow_negative_numbers = true, value_name = "P")]
    pub min_p: Option<f32>,
    /// Sampling temperature; 0: always the most likely character
    ///
    /// 1 is the distribution of the model; lower values give more predictable text. With a list, such as 0.4,0.8,1.2, one text is
    /// generated per temperature.
    #[arg(long, allow_negative_numbers = true, value_name = "T", default_value = "0.8", value_delimiter = ',')]
    pub temp: Vec<f32>,
}

/// Generation of whole lines: names, tunes, molecules, headlines.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Whole lines")]
pub struct LineArgs {
    /// Generate N whole lines, each starting with the prompt
    ///
    /// Gives up after 10,000 lines or 2,000,000 characters in a row without a new matching line.
    #[arg(long, value_name = "N", conflicts_with_all = ["length", "stop", "samples"], value_parser = clap::value_parser!(u64).range(1..))]
    pub lines: Option<u64>,
    /// Print each line only once
    #[arg(long, requires = "lines")]
    pub unique: bool,
    /// Print only lines that do not occur in the text of the run
    ///
    /// The text includes the held-out part, and the training text of the run given to --init-from.
    #[arg(long, requires = "lines")]
    pub novel: bool,
    /// Print only lines that do not occur in this file or folder; can be repeated
    #[arg(long, value_name = "FILE", requires = "lines")]
    pub novel_against: Vec<PathBuf>,
    /// Print only lines that match this regular expression as a whole
    ///
    /// The syntax is that of Rust's regex crate.
    #[arg(long = "match", value_name = "REGEX", requires = "lines")]
    pub pattern: Option<String>,
    /// How to satisfy --match and the lengths [default: mask with --match, otherwise rejection]
    #[arg(long, value_name = "METHOD", requires = "lines")]
    pub match_by: Option<MatchBy>,
    /// Minimum number of characters in a line
    #[arg(long, value_name = "N", requires = "lines", default_value_t = 1)]
    pub min_chars: u64,
    /// Maximum number of characters in a line
    #[arg(long, value_name = "N", requires = "lines", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_chars: u64,
    /// Print JSON, one object per line, with the loss of the line and whether it is in the corpus
    #[arg(long, requires = "lines")]
    pub jsonl: bool,
}

/// The values of `--match-by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MatchBy {
    /// Allow only characters that can lead to a match; changes the distribution
    Mask,
    /// Discard lines that do not match; keeps the distribution of the model over matching lines
    Rejection,
}
