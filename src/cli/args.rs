//! The command line as clap parses it.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

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

/// Options that have no effect without another one: the subcommand, the option and the other one. clap's own `requires` is dropped as
/// soon as an option that conflicts with the required one is given.
const DEPENDENCIES: [(&str, &str, &str); 4] = [
    ("train", "allow_corpus_change", "resume"),
    ("novelty", "bytes", "against"),
    ("sample", "check_timeout", "check"),
    ("sample", "min_length", "stop"),
];

impl Args {
    /// Parses a command line; also returns the name of the subcommand.
    pub fn parse_from_line(line: impl IntoIterator<Item = OsString>) -> Result<(Self, String), clap::Error> {
        let matches = Args::command().try_get_matches_from(line)?;
        let (name, of_subcommand) = matches.subcommand().unwrap_or(("", &matches));
        check_dependencies(name, of_subcommand)?;
        Args::from_arg_matches(&matches).map(|args| (args, name.to_owned()))
    }
}

fn check_dependencies(subcommand: &str, matches: &ArgMatches) -> Result<(), clap::Error> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    for (_, option, needed) in DEPENDENCIES.into_iter().filter(|(name, ..)| *name == subcommand) {
        if is_given(option) && !is_given(needed) {
            let flag = |id: &str| format!("--{}", id.replace('_', "-"));
            let message = format!("{} has no effect without {}\n", flag(option), flag(needed));
            return Err(Args::command().error(ErrorKind::MissingRequiredArgument, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values to try for an option; the first that it accepts is used.
    const VALUES: [&str; 7] = ["7", "0.25", "lstm", "some-name", "newline", "bash", "4"];

    /// The required positional arguments of a subcommand.
    fn positional(subcommand: &str) -> &'static [&'static str] {
        match subcommand {
            "score" => &["text.txt"],
            "compare" => &["a", "b"],
            "novelty" => &["text.txt"],
            "experiment" => &["lag"],
            "completions" => &["bash"],
            _ => &[],
        }
    }

    /// The parsed command line, or the exit code.
    fn parse(subcommand: &str, options: &[&[String]]) -> Result<String, i32> {
        let line = ["charlstm", subcommand].into_iter().chain(positional(subcommand).iter().copied());
        Args::parse_from_line(line.map(str::to_owned).chain(options.concat()).map(OsString::from))
            .map(|(args, _)| format!("{args:?}"))
            .map_err(|e| e.exit_code())
    }

    /// Every option of a subcommand with a value that is not its default, if it has one.
    fn options(subcommand: &clap::Command) -> Vec<Vec<String>> {
        let base = parse(subcommand.get_name(), &[]);
        let option = |arg: &clap::Arg| {
            let flag = format!("--{}", arg.get_long()?);
            if matches!(arg.get_action(), clap::ArgAction::Help | clap::ArgAction::HelpLong | clap::ArgAction::Version)
            {
                return None;
            }
            if !arg.get_action().takes_values() {
                return Some(vec![flag]);
            }
            let possible = arg.get_possible_values();
            let values = possible.iter().map(|value| value.get_name()).rev().chain(VALUES);
            let mut lines = values.map(|value| vec![format!("{flag}={value}")]);
            lines
                .find(|line| parse(subcommand.get_name(), &[line]).is_ok_and(|parsed| Ok(parsed) != base))
                .or(Some(vec![flag]))
        };
        subcommand.get_arguments().filter_map(option).collect()
    }

    #[test]
    fn both_options_of_every_pair_have_an_effect_or_are_rejected() {
        let command = Args::command();
        let mut pairs = 0;
        for subcommand in command.get_subcommands() {
            let (name, options) = (subcommand.get_name(), options(subcommand));
            for (i, a) in options.iter().enumerate() {
                for b in &options[i + 1..] {
                    pairs += 1;
                    match parse(name, &[a, b]) {
                        Err(code) => assert_eq!(code, 2, "{name} {a:?} {b:?}"),
                        Ok(both) => {
                            for alone in [a, b] {
                                assert_ne!(Ok(&both), parse(name, &[alone]).as_ref(), "{name} {a:?} {b:?}");
                            }
                            for (option, needed) in
                                DEPENDENCIES.iter().filter(|(of, ..)| *of == name).map(|(_, o, n)| (o, n))
                            {
                                let has = |id: &str| {
                                    [a, b]
                                        .iter()
                                        .any(|line| line[0].starts_with(&format!("--{}", id.replace('_', "-"))))
                                };
                                assert!(!has(option) || has(needed), "{name} {a:?} {b:?}");
                            }
                        }
                    }
                }
            }
        }
        println!("{pairs} pairs");
        assert!(pairs > 1000, "{pairs}");
    }
}
