//! Arguments of `charlstm inspect`.

use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  charlstm inspect big                       List units that correlate with quotes, line ends, ...
  charlstm inspect big --layer 2 --unit 17   Show the text colored by one unit
  charlstm inspect big --html units.html     Write an interactive page with all units";

/// Show what individual units of a model respond to
///
/// Without --unit, the units that correlate most with simple properties of the text are listed. With --unit, the text is colored by
/// the value of that unit after each character.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to read; -: standard input [default: the held-out text of the run]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Maximum number of characters to read [default: 2000; 5000 with --html]
    #[arg(long, value_name = "N")]
    pub chars: Option<usize>,
    /// Skip characters that are not in the model's vocabulary
    #[arg(long)]
    pub skip_unknown: bool,
    /// Layer, counted from 1 [default: 1 with --unit, otherwise all layers]
    #[arg(long, value_name = "N")]
    pub layer: Option<usize>,
    /// Unit of the layer, counted from 1
    #[arg(long, value_name = "N")]
    pub unit: Option<usize>,
    /// Show a gate instead of the state: i, f, g, o of an lstm; n, r, z of a gru
    #[arg(long, value_name = "GATE")]
    pub gate: Option<String>,
    /// Write an interactive HTML page that shows every unit
    ///
    /// --layer, --unit and --gate choose what the page shows first.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
