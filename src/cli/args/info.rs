//! Arguments of `charlstm info`.

use std::path::PathBuf;

/// Show the contents of a checkpoint: model, settings, progress and hashes
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
