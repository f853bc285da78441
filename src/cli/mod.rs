//! The command line: arguments to library calls, library events to text, errors to exit codes.

mod args;
mod bench;
mod cells;
mod compare;
mod eval;
mod experiment;
mod experiment_list;
mod files;
mod heat;
mod info;
mod inspect;
mod inspect_page;
mod interactive;
mod lines;
mod novelty;
mod own;
mod page;
mod paint;
mod plot;
mod progress;
mod sample;
mod score;
mod settings;
mod signals;
mod terminal;
mod train;
mod tune;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use charlstm::checkpoint::{Frame, RunFolder, disk, model, run};
use charlstm::data::{DatasetProvenance, Encoding, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::isa;
use charlstm::model::{CharLm, memory};
use clap::{CommandFactory, Parser};
use rayon::ThreadPoolBuilder;

use args::{Args, Command};
use terminal::{Terminal, quoted};

/// Characters of one text that a model reads at once, at most.
const ONE_TEXT: usize = 128;

/// Runs the command line.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // Help and version go to stdout and are no error.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let (terminal, trains) = (Terminal::new(&args.common), matches!(args.command, Command::Train(_)));
    match obey(args.command, &terminal) {
        Ok(code) => code,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            terminal.error(&format!("{e}{}", in_its_place(&e, trains)));
            ExitCode::from(e.exit_code())
        }
    }
}

fn obey(command: Command, terminal: &Terminal) -> Result<ExitCode> {
    isa::forced()?;
    signals::let_writes_fail()?;
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

/// What to use in place of a checkpoint that is damaged, where there is anything: no run goes on from its best checkpoint.
fn in_its_place(error: &Error, trains: bool) -> String {
    let Error::Checkpoint { path, .. } = error else { return String::new() };
    run::whole_beside(path).map_or(String::new(), |whole| {
        let (at, to_resume) = (quoted(&whole), trains && path.file_name() == Some("latest.ckpt".as_ref()));
        let instead = if to_resume { "" } else { "name it instead, or " };
        format!("; {at} is whole: {instead}begin with its weights by: {}", train_from(&whole))
    })
}

/// The command that begins a run with the weights of a checkpoint, on the text that it learned from.
fn train_from(checkpoint: &Path) -> String {
    let folder = disk::folder_of(checkpoint);
    let run = RunFolder::new(folder.canonicalize().unwrap_or(folder.into()));
    let name = PathBuf::from(format!("{}-2", run.name().trim_start_matches('-')));
    let mut words = vec!["charlstm train".to_owned()];
    if let Ok(DatasetProvenance { config: texts, .. }) =
        Frame::read(checkpoint).and_then(|frame| DatasetProvenance::read(&frame))
    {
        words.extend(texts.paths.iter().map(|text| quoted(text)));
        words.extend((texts.encoding == Encoding::Bytes).then(|| "--bytes".to_owned()));
        words.push(match &texts.val_file {
            Some(file) => format!("--val-file {}", quoted(file)),
            None => format!("--val-frac {}", texts.val_frac),
        });
    }
    words.push(format!("--name {} --init-from {}", quoted(&name), quoted(checkpoint)));
    words.join(" ")
}

/// Starts a thread for each core, this one among them: a step that is divided among threads begins and ends here.
fn use_threads() -> Result<()> {
    start_threads(ThreadPoolBuilder::new().num_threads(memory::default_threads()).use_current_thread())
}

/// Starts a thread for each core, and no more than so many, for what has other threads for its steps: this one only waits for them,
/// asleep.
fn use_threads_beside(most: Option<usize>) -> Result<()> {
    let threads = memory::default_threads().min(most.unwrap_or(usize::MAX));
    start_threads(ThreadPoolBuilder::new().num_threads(threads))
}

fn start_threads(builder: ThreadPoolBuilder) -> Result<()> {
    builder.build_global().map_err(|e| Error::Usage(format!("cannot start threads: {e}")))
}

/// The model of a checkpoint, where there is room to run it, `positions` characters at once.
fn model_to_run(frame: &Frame, positions: usize) -> Result<(CharLm<f32>, Vocab)> {
    let shape = model::shape(frame)?;
    // Reading the model rejects a shape that does not match the weights in the file.
    if let Ok(sizes) = shape.sizes()
        && frame.len("weights").is_ok_and(|len| len == sizes.weights)
    {
        memory::check_available("this model", sizes.weights.saturating_add(sizes.inference(shape.vocab, positions)))?;
    }
    model::read(frame)
}

/// Whether the reader of our output went away, as `head` does.
fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
}
