//! What `compare` takes.

use std::path::PathBuf;

/// Score one text with two runs: how much better is one, and what are both worth?
///
/// Beside them stands what counting gives: interpolated n-gram models (Witten-Bell) of the text that A was trained on. The interval
/// is the middle 95 % of a bootstrap over blocks of the text: where it has no 0 in it, the difference is not chance.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// A run's name, its folder, or a checkpoint file
    pub a: PathBuf,
    /// Another
    pub b: PathBuf,
    /// The text to score [default: the text that A held out]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The longest n-gram that is counted; 0: none
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(0..=12))]
    pub orders: u64,
    /// Characters of a block of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub block: u64,
    /// Decides the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
