//! What `score` takes.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Weights;

/// Say how surprising every character, word or line of a text is.
///
/// One line for each, separated by tabs: the text, its characters that were scored, bits, nats, the mean rank of the characters
/// that came among all (1: the most likely one), the mean entropy of the predictions in bits, and how many characters the model
/// does not know. The first character of a text is not scored where the state is carried, since nothing predicts it. A character
/// that the model has never seen costs 24 bits, and the choice of one among all such; the model passes over it.
#[derive(Debug, clap::Args)]
pub struct ScoreArgs {
    /// A run's name, its folder, or a checkpoint file [default: the newest run]; and the text, a file or - for standard input
    #[arg(value_names = ["[RUN] FILE"], num_args = 1..=2, required = true)]
    pub files: Vec<PathBuf>,
    /// What is scored as one. A word is one with the space behind it: that space counts as part of the word before it
    #[arg(long, value_name = "UNIT", default_value = "line")]
    pub unit: Unit,
    /// Where the state begins at zero: at the beginning of the text only, or of every line, many of which are then read side by
    /// side
    #[arg(long, value_name = "HOW", default_value = "carry")]
    pub state: State,
    /// Only what has at least this many bits per character
    #[arg(long, value_name = "BITS")]
    pub alert_bits: Option<f64>,
    /// Print the totals alone
    #[arg(long)]
    pub summary: bool,
    /// Print JSON, an object a line
    #[arg(long)]
    pub jsonl: bool,
    /// Print the text itself, coloured by how surprising each character is
    #[arg(long, conflicts_with_all = ["jsonl", "summary", "alert_bits"])]
    pub heat: bool,
    /// Write a page for a browser: the coloured text, and on hover what was expected
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How exactly weights are kept: f32 as they were learned, int8 as a fast sampler keeps them
    #[arg(long, value_name = "P", default_value = "f32")]
    pub precision: Weights,
}

/// The values of `--unit`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Unit {
    /// A character
    Char,
    /// A word and the white space behind it
    Word,
    /// A line and its end; one of more than a MiB counts as several
    Line,
}

/// The values of `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// From the beginning to the end
    Carry,
    /// Zero before every line, which is read as if behind a line end
    Reset,
}
