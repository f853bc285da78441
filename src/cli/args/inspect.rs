//! The arguments of `charlstm inspect`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// A run's name, its folder, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// The text to read; `-`: from standard input [default: the beginning of the run's own held-out text]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Read this many characters of it at most [default: 2000; 5000 for a page]
    #[arg(long, value_name = "N")]
    pub chars: Option<usize>,
    /// Leave out characters that the model has never seen
    #[arg(long)]
    pub skip_unknown: bool,
    /// The layer, counted from 1 [default: 1; every one where no unit is named]
    #[arg(long, value_name = "N")]
    pub layer: Option<usize>,
    /// The unit of that layer whose value colours the text, counted from 1
    #[arg(long, value_name = "N")]
    pub unit: Option<usize>,
    /// Take this gate in place of the cell state: i, f, g, o of an LSTM; n, r, z of a gru
    #[arg(long, value_name = "GATE")]
    pub gate: Option<String>,
    /// Write a page for a browser: the text by any unit, state or gate, and the units that go with quotes, line ends, capitals.
    /// --layer, --unit and --gate say what it begins with
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
