//! The command line: maps arguments to library calls, and errors to messages and exit codes.

mod args;
mod bench;
mod cells;
mod compare;
mod errors;
mod eval;
mod experiment;
mod experiment_list;
mod files;
mod fine_tune;
mod heatmap;
mod html_page;
mod info;
mod inspect;
mod inspect_page;
mod inspect_text;
mod interactive;
mod line_ends;
mod line_reader;
mod load;
mod novelty;
mod parse;
mod plot;
mod progress;
mod prompts;
mod regions;
mod sample;
mod sample_records;
mod sample_text;
mod score;
mod score_page;
mod settings;
mod signals;
mod terminal;
mod text_notes;
mod text_pieces;
mod train;
mod validator;
mod values;

use std::process::ExitCode;

use charlstm::error::Result;
use charlstm::simd::Isa;
use clap::CommandFactory;

use args::{Args, Command};
use terminal::{Terminal, is_broken_pipe};

pub fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    let (args, command) = match parse::parse(&line) {
        Ok(parsed) => parsed,
        Err(e) => {
            // Help and version are printed to stdout and are not errors.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { errors::USAGE } else { 0 });
        }
    };
    let terminal = Terminal::new(&args.output);
    match run_command(args.command, &terminal) {
        Ok(code) => code,
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            terminal.error(&errors::message(&e, &command));
            ExitCode::from(errors::exit_code(&e))
        }
    }
}

fn run_command(command: Command, terminal: &Terminal) -> Result<ExitCode> {
    Isa::detect()?;
    signals::report_file_size_limit_as_error()?;
    match command {
        Command::Train(args) => train::run(*args, terminal),
        Command::Sample(args) => sample::run(&args, terminal),
        Command::Eval(args) => eval::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Score(args) => score::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Compare(args) => compare::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Info(args) => info::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Novelty(args) => novelty::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Cells(args) => cells::run(&args, terminal).map(|()| ExitCode::SUCCESS),
        Command::Experiment(args) => experiment::run(&args, terminal),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "charlstm", &mut script);
            terminal.out(&script).map(|()| ExitCode::SUCCESS)
        }
    }
}
