//! Arguments of `charlstm bench`.

use super::values::cell_names;

/// Measure the speed of training and sampling on this machine (ten seconds)
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Recurrent cell
    #[arg(long, value_parser = cell_names(), default_value = "lstm")]
    pub cell: String,
    /// Recurrent layers
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub layers: usize,
    /// Units per layer, and size of the character embedding
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// Streams per batch
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Characters per window of truncated backpropagation
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub seq_len: usize,
    /// Distinct characters of the random text
    #[arg(long, value_name = "N", default_value_t = 65)]
    pub vocab: usize,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
