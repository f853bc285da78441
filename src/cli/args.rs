//! The command line as clap parses it; nothing else in this crate knows clap's argument types.

mod bench;
mod cells;
mod compare;
mod eval;
mod experiment;
mod info;
mod inspect;
mod novelty;
mod sample;
mod score;
mod train;
mod values;

use clap::{Parser, Subcommand, ValueEnum};

pub use bench::BenchArgs;
pub use cells::CellsArgs;
pub use compare::CompareArgs;
pub use eval::EvalArgs;
pub use experiment::ExperimentArgs;
pub use info::InfoArgs;
pub use inspect::InspectArgs;
pub use novelty::NoveltyArgs;
pub use sample::{LineArgs, MatchBy, SampleArgs};
pub use score::{ScoreArgs, StateMode, UnitChoice};
pub use train::{Settings, TrainArgs};

/// Train character-level recurrent language models on CPUs and generate text with them.
///
/// Start with `charlstm train`, which trains on a built-in book of fables, then run `charlstm sample`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Common {
    /// Print only the requested output, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more details
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// When to use colors; auto respects NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

/// The values of `--color`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Train(Box<TrainArgs>),
    Sample(SampleArgs),
    Eval(EvalArgs),
    Score(ScoreArgs),
    Compare(CompareArgs),
    Inspect(InspectArgs),
    Info(InfoArgs),
    Novelty(NoveltyArgs),
    Bench(BenchArgs),
    Cells(CellsArgs),
    Experiment(ExperimentArgs),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
