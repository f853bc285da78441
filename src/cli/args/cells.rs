//! Arguments of `charlstm cells`.

/// List the recurrent cells with their size, speed and source
#[derive(Debug, clap::Args)]
pub struct CellsArgs {
    /// Units per layer
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
