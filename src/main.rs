//! The command line of charlstm.

fn main() -> std::process::ExitCode {
    charlstm::cli::main()
}
