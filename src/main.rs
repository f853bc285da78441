//! The command line of charlstm.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
