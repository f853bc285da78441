//! What `sample` takes.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Weights;

#[derive(Debug, clap::Args)]
pub struct SampleArgs {
    /// A run's name, its folder, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// A beginning to go on from; it is printed too
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prompt: String,
    /// A file with the beginning; -: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// Print only what is new, not the beginning
    #[arg(long)]
    pub no_echo: bool,
    /// Leave out of the beginning what the model has never seen, and say so
    #[arg(long)]
    pub skip_unknown: bool,
    /// New characters to write; 0: without end [default: 1000]
    #[arg(long, value_name = "N")]
    pub length: Option<u64>,
    /// Stop when this text has been written; may be given more than once
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Texts to write; several are written side by side, each as it would be alone with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub samples: u64,
    /// The same seed gives the same text on the same machine [default: another every time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How exactly weights are kept: int8 is faster for large nets, at a small cost in quality
    #[arg(long, value_name = "P", default_value = "f32")]
    pub precision: Weights,
    /// Write in turns with the model: type a beginning and see it go on; /help says what else
    #[arg(long, short, conflicts_with_all = ["samples", "lines", "stop"])]
    pub interactive: bool,

    #[command(flatten)]
    pub shape: ShapeArgs,
    #[command(flatten)]
    pub line: LineArgs,
}

/// How distributions are shaped, in this order: ban, top-k, top-p, min-p, temperature.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "SamplingConfig, in this order")]
pub struct ShapeArgs {
    /// Characters that never come
    #[arg(long, value_name = "CHARS", default_value = "")]
    pub ban: String,
    /// Only the K most likely characters
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Only the most likely characters that together have probability P
    #[arg(long, allow_negative_numbers = true, value_name = "P")]
    pub top_p: Option<f32>,
    /// Only characters with at least P times the probability of the most likely one
    #[arg(long, allow_negative_numbers = true, value_name = "P")]
    pub min_p: Option<f32>,
    /// How daring: 0 is always the most likely character, 1 the model's own distribution; several (0.4,0.8,1.2): a text of each
    #[arg(long, allow_negative_numbers = true, value_name = "X", default_value = "0.8", value_delimiter = ',')]
    pub temp: Vec<f32>,
}

/// Whole lines: names, tunes, molecules, headlines.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Whole lines")]
pub struct LineArgs {
    /// Write N whole lines; a --prompt is how each begins. Given up after 10,000 lines or 2,000,000 characters without a new one
    #[arg(long, value_name = "N", conflicts_with_all = ["length", "stop", "samples"], value_parser = clap::value_parser!(u64).range(1..))]
    pub lines: Option<u64>,
    /// No line twice
    #[arg(long, requires = "lines")]
    pub unique: bool,
    /// No line of the text that the run was trained on, nor of what it held out or of the run that it began with
    #[arg(long, requires = "lines")]
    pub novel: bool,
    /// No line of this file or folder; may be given more than once
    #[arg(long, value_name = "FILE", requires = "lines")]
    pub novel_against: Vec<PathBuf>,
    /// Only lines that match this regular expression as a whole (syntax of Rust's regex crate)
    #[arg(long = "match", value_name = "REGEX", requires = "lines")]
    pub pattern: Option<String>,
    /// How lines come to match, and to their length [default: mask with --match, else rejection]
    #[arg(long, value_name = "HOW", requires = "lines")]
    pub match_by: Option<MatchBy>,
    /// Characters of a line at least
    #[arg(long, value_name = "N", requires = "lines", default_value_t = 1)]
    pub min_chars: u64,
    /// Characters of a line at most
    #[arg(long, value_name = "N", requires = "lines", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_chars: u64,
    /// Print a JSON object a line: the text, its nats per character by the model's own distribution, whether it is in the corpus
    #[arg(long, requires = "lines")]
    pub jsonl: bool,
}

/// The values of `--match-by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MatchBy {
    /// Allow only characters after which a match can still come: nothing is thrown away, but the distribution is another
    Mask,
    /// Throw away what does not match: the model's own distribution over such lines; says how many were kept
    Rejection,
}
