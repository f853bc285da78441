//! The command line as clap parses it.

use clap::{Parser, Subcommand};

use super::{bench, cells, compare, eval, experiment, info, inspect, novelty, sample, score, terminal, train};

/// Train character-level recurrent language models on CPUs and generate text with them.
///
/// Start with `charlstm train`, which trains on a built-in book of fables, then run `charlstm sample`.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: terminal::OutputArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Train(Box<train::TrainArgs>),
    Sample(sample::SampleArgs),
    Eval(eval::EvalArgs),
    Score(score::ScoreArgs),
    Compare(compare::CompareArgs),
    Inspect(inspect::InspectArgs),
    Info(info::InfoArgs),
    Novelty(novelty::NoveltyArgs),
    Bench(bench::BenchArgs),
    Cells(cells::CellsArgs),
    Experiment(experiment::ExperimentArgs),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
