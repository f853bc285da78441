//! Arguments of `charlstm eval`.

use std::path::PathBuf;

use super::values::WeightPrecision;

/// Compute the loss of a text, in nats and bits per character
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to evaluate [default: the held-out text of the run]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Precision of the weights
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub precision: WeightPrecision,
    /// Evaluate windows of N characters, each from a zero state, instead of one stream
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
