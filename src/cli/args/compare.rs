//! Arguments of `charlstm compare`.

use std::path::PathBuf;

/// Compare two runs on one text, with n-gram models as baselines
///
/// The n-gram models (interpolated, Witten-Bell smoothing) are estimated from the training text of run A. The reported interval is
/// the 95 % interval of a paired bootstrap over blocks of the text: the difference is significant if the interval does not
/// contain 0.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Name or folder of a run, or a checkpoint file
    pub a: PathBuf,
    /// The run to compare it with
    pub b: PathBuf,
    /// Text to score [default: the held-out text of run A]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Longest n-gram of the baselines; 0: no baselines
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(0..=12))]
    pub orders: u64,
    /// Characters per block of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub block: u64,
    /// Random seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
