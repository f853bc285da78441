//! The command line as clap parses it.

use clap::{Parser, Subcommand};

use super::bench::BenchArgs;
use super::cells::CellsArgs;
use super::compare::CompareArgs;
use super::eval::EvalArgs;
use super::experiment::ExperimentArgs;
use super::info::InfoArgs;
use super::inspect::InspectArgs;
use super::novelty::NoveltyArgs;
use super::sample::SampleArgs;
use super::score::ScoreArgs;
use super::terminal::OutputArgs;
use super::train::TrainArgs;

/// Train character-level recurrent language models on CPUs and generate text with them.
///
/// Start with `charlstm train`, which trains on a built-in book of fables, then run `charlstm sample`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: OutputArgs,
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
