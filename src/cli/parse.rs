//! Parsing of the command line.

use clap::builder::Resettable;
use clap::{Command, CommandFactory, FromArgMatches};

use super::args::Args;

/// The arguments and the name of the subcommand. The first item of `line` is the name of the program.
pub fn parse(line: &[std::ffi::OsString]) -> clap::error::Result<(Args, String)> {
    let matches = Args::command().try_get_matches_from(line)?;
    // clap does not enforce a `requires` whose target conflicts with a given option. No given options conflict at this point, so it is
    // enforced by a second pass without conflicts.
    without_conflicts(Args::command()).try_get_matches_from(line)?;
    let command = matches.subcommand_name().unwrap_or_default().to_owned();
    Ok((Args::from_arg_matches(&matches)?, command))
}

fn without_conflicts(command: Command) -> Command {
    command.mut_args(|arg| arg.conflicts_with(Resettable::Reset)).mut_subcommands(without_conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;
    use clap::error::ErrorKind::{ArgumentConflict, InvalidValue, MissingRequiredArgument, ValueValidation};

    fn parse_words(words: &[&[String]]) -> clap::error::Result<String> {
        let line: Vec<_> = ["charlstm".into()].into_iter().chain(words.concat().into_iter().map(Into::into)).collect();
        parse(&line).map(|(args, _)| format!("{args:?}"))
    }

    /// The command and its required arguments.
    fn required(command: &Command) -> Vec<String> {
        let mut words = vec![command.get_name().to_owned()];
        words.extend(command.get_positionals().filter(|arg| arg.is_required_set()).map(|arg| value(command, &[], arg)));
        words
    }

    /// A value of an option that differs from its default.
    fn value(command: &Command, before: &[String], arg: &Arg) -> String {
        let is_default = |name: &str| arg.get_default_values().iter().any(|default| default == name);
        if let Some(value) = arg.get_possible_values().iter().find(|value| !is_default(value.get_name())) {
            return value.get_name().to_owned();
        }
        let Some(long) = arg.get_long() else { return "name".into() };
        let is_valid = |value: &&str| {
            let kind = parse_words(&[before, &[format!("--{long}={value}")]]).err().map(|e| e.kind());
            !matches!(kind, Some(InvalidValue | ValueValidation))
        };
        let found = ["9", "0.7", "text"].into_iter().find(is_valid);
        found.unwrap_or_else(|| panic!("no value for --{long} of {}", command.get_name())).to_owned()
    }

    struct GivenOption {
        long: String,
        words: Vec<String>,
        /// The configuration with this option only.
        alone: clap::error::Result<String>,
    }

    /// Every option of a command, with a value.
    fn options(command: &Command, before: &[String]) -> Vec<GivenOption> {
        let is_option = |arg: &&Arg| arg.get_long().is_some_and(|long| !["help", "version"].contains(&long));
        let option = |arg: &Arg| {
            let long = format!("--{}", arg.get_long().unwrap());
            let takes_value = arg.get_num_args().is_some_and(|n| n.max_values() > 0);
            let words =
                vec![if takes_value { format!("{long}={}", value(command, before, arg)) } else { long.clone() }];
            let alone = parse_words(&[before, &words]);
            GivenOption { long, words, alone }
        };
        command.get_arguments().filter(is_option).map(option).collect()
    }

    /// Whether an option is satisfied by the other one, if it requires one.
    fn is_satisfied(option: &GivenOption, other: &GivenOption) -> bool {
        option.alone.as_ref().err().is_none_or(|e| e.to_string().contains(&other.long))
    }

    #[test]
    fn every_pair_of_options_is_refused_or_both_are_effective() {
        let mut program = Args::command();
        program.build();
        let (mut pairs, mut refused) = (0, 0);
        for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
            let before = required(command);
            let options = options(command, &before);
            let neither = parse_words(&[&before]).unwrap();
            for option in &options {
                match &option.alone {
                    Ok(config) => assert_ne!(*config, neither, "{before:?} {} changes nothing", option.long),
                    Err(e) => assert_eq!(e.kind(), MissingRequiredArgument, "{before:?} {}: {e}", option.long),
                }
            }
            for (i, a) in options.iter().enumerate() {
                for b in &options[i + 1..] {
                    pairs += 1;
                    let pair = format!("{} {} {}", before.join(" "), a.words[0], b.words[0]);
                    match parse_words(&[&before, &a.words, &b.words]) {
                        Ok(config) => {
                            assert!(is_satisfied(a, b) && is_satisfied(b, a), "{pair}: a required option is missing");
                            let is_same =
                                |alone: &GivenOption| alone.alone.as_ref().is_ok_and(|alone| *alone == config);
                            assert!(!is_same(a) && !is_same(b), "{pair}: an option has no effect");
                        }
                        Err(e) => {
                            refused += 1;
                            assert!(matches!(e.kind(), ArgumentConflict | MissingRequiredArgument), "{pair}: {e}");
                            assert_eq!(e.exit_code(), 2, "{pair}");
                        }
                    }
                }
            }
        }
        println!("{pairs} pairs of options, {refused} of them refused");
        assert!(pairs > 1000);
    }

    #[test]
    fn a_requirement_holds_even_if_it_conflicts_with_another_option() {
        for line in ["train --allow-corpus-change --overwrite", "novelty text.txt --bytes --run big"] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert!(parse_words(&[&words]).is_err(), "{line}");
        }
    }

    #[test]
    fn texts_may_start_with_a_dash() {
        for text in ["--prompt", "--stop", "--ban", "--match", "--check"] {
            let words = ["sample", text, "- x"].map(str::to_owned);
            assert!(parse_words(&[&words]).unwrap().contains("\"- x\""), "{text}");
        }
    }
}
