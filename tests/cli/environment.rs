//! Unusual environments: changed environment variables, closed standard streams.

use std::process::Command;

use crate::harness::{Finished, TINY, TestDir};

/// Runs the program from a shell, with redirections.
fn run_redirected(dir: &TestDir, args: &str, redirections: &str) -> Finished {
    let program = dir.command("").get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" {args} {redirections}")).arg(program).current_dir(dir.path(""));
    shell.env_remove("RUST_BACKTRACE");
    Finished::run(shell)
}

#[test]
fn results_do_not_depend_on_environment_variables() {
    let dir = TestDir::with_text();
    std::fs::rename(dir.path("text.txt"), dir.path("m\u{e4}rchen.txt")).unwrap();
    type Change = fn(&mut Command) -> &mut Command;
    let changes: [(&str, Change); 8] = [
        ("usual", |command| command),
        ("empty", |command| command.env_clear()),
        ("no-home", |command| command.env_remove("HOME")),
        ("no-term", |command| command.env_remove("TERM")),
        ("dumb", |command| command.env("TERM", "dumb")),
        ("locale", |command| command.env("LC_ALL", "C")),
        ("west", |command| command.env("TZ", "America/Los_Angeles")),
        ("nowhere", |command| command.env("TZ", "No/Such/Zone")),
    ];
    let results = changes.map(|(name, change)| {
        let run = |args: &str| {
            let mut command = dir.command(args);
            change(&mut command);
            Finished::run(command).succeeds()
        };
        let (_, err) = run(&format!("train m\u{e4}rchen.txt {TINY} --steps 12 --eval-every 5 --name {name}"));
        assert!(err.contains("m\u{e4}rchen.txt"), "{name}: {err}");
        let (out, err) = run(&format!("sample {name} --seed 1 --length 50"));
        assert_eq!((out.len() >= 50, err.as_str()), (true, ""), "{name}");
        (dir.info(name, "state_hash"), out)
    });
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}

#[test]
fn trains_with_closed_standard_streams() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name whole --steps 12 --eval-every 5");
    for (name, redirections) in
        [("out", ">&-"), ("err", "2>&-"), ("both", ">&- 2>&-"), ("all", "<&- >&- 2>&-"), ("full", "2>/dev/full")]
    {
        let args = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name {name}");
        assert_eq!(run_redirected(&dir, &args, redirections).code, Some(0), "{redirections}");
        // No file may be opened in place of a closed stream: messages would be written to it.
        dir.assert_same_run(name, "whole");
        dir.json(&format!("eval checkpoints/{name}/best.ckpt"));
        assert_eq!(run_redirected(&dir, "sample whole --length 20", redirections).code, Some(0), "{redirections}");
    }
    assert_eq!(run_redirected(&dir, "train absent.txt", "2>/dev/full").code, Some(66));
}
