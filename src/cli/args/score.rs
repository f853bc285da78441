//! Arguments of `charlstm score`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::values::WeightPrecision;

const EXAMPLES: &str = "\
Examples:
  charlstm score big book.txt --summary              Print the totals
  charlstm score big log.txt --alert-bits 4          Print only unusual lines
  charlstm score big book.txt --html surprisal.html  Write a heatmap of the text";

/// Print the surprisal of each character, word or line of a text
///
/// The output has one tab-separated line per unit: the text, the number of scored characters, bits, nats, the mean rank of the
/// characters (1: the most likely one), the mean entropy of the predictions in bits, and the number of characters that are not in
/// the model's vocabulary.
///
/// With --state carry, the first character of the text is not scored, because nothing predicts it. A character that is not in the
/// vocabulary costs 24 bits and is skipped by the model.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ScoreArgs {
    /// Run [default: the newest], and the text to score; -: standard input
    #[arg(value_names = ["[RUN] FILE"], num_args = 1..=2, required = true)]
    pub files: Vec<PathBuf>,
    /// Unit to report; a word includes the white space after it
    #[arg(long, value_name = "UNIT", default_value = "line")]
    pub unit: UnitChoice,
    /// Where the state of the model is reset
    #[arg(long, value_name = "MODE", default_value = "carry")]
    pub state: StateMode,
    /// Print only units with at least this many bits per character
    #[arg(long, value_name = "BITS")]
    pub alert_bits: Option<f64>,
    /// Print only the totals
    #[arg(long)]
    pub summary: bool,
    /// Print JSON, one object per line
    #[arg(long)]
    pub jsonl: bool,
    /// Print the text itself, colored by surprisal
    #[arg(long, conflicts_with_all = ["jsonl", "summary", "alert_bits"])]
    pub heat: bool,
    /// Write an HTML page: the text colored by surprisal, and the model's predictions on hover
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Precision of the weights
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub precision: WeightPrecision,
}

/// The values of `--unit`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UnitChoice {
    /// A character
    Char,
    /// A word and the white space after it
    Word,
    /// A line and its line end; lines of more than 1 MiB are split
    Line,
}

/// The values of `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateMode {
    /// Carry the state through the whole text
    Carry,
    /// Reset the state before each line; lines are scored in parallel
    Reset,
}
