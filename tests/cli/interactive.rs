//! `charlstm sample --interactive` in a pseudo-terminal.

use std::process::Stdio;

use crate::harness::{Finished, TestDir};
use rexpect::session::{PtySession, spawn_command};

/// Starts the program in a pseudo-terminal. A test fails if it waits for more than 30 seconds.
fn start(dir: &TestDir, args: &str) -> PtySession {
    let mut command = dir.command(args);
    command.env("TERM", "xterm").stdin(Stdio::inherit());
    let mut session = spawn_command(command, Some(30_000)).unwrap();
    session.exp_string("/help").unwrap();
    session
}

/// Waits until the program enables bracketed paste and prints its prompt.
fn wait_for_prompt(session: &mut PtySession) {
    session.exp_string("\u{1b}[?2004h").unwrap();
    session.exp_string("> ").unwrap();
}

fn type_line(session: &mut PtySession, line: &str) {
    wait_for_prompt(session);
    session.send_line(line).unwrap();
}

fn end(mut session: PtySession) {
    wait_for_prompt(&mut session);
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn turns_can_be_undone_and_saved() {
    let dir = TestDir::with_run();
    let mut session = start(&dir, "sample run --interactive --seed 3 --length 40 --temp 0.5");
    for line in
        ["the fox", "/save one.txt", "/more 10", "/save two.txt", "/undo", "/save three.txt", "/temp 0", "/more 10"]
    {
        type_line(&mut session, line);
    }
    type_line(&mut session, "/save four.txt");
    session.exp_string("57 characters saved to four.txt").unwrap();
    end(session);
    let [one, two, three, four] = ["one", "two", "three", "four"].map(|name| dir.read(&format!("{name}.txt")));
    assert!(two.starts_with(&one) && one == three && four.starts_with(&one));
    // The same texts in one call.
    for (args, prompt, text) in
        [("--seed 3 --length 50 --temp 0.5", "the fox", two), ("--length 10 --temp 0", &one, four)]
    {
        let mut command = dir.command(&format!("sample run {args} --prompt"));
        command.arg(prompt);
        assert_eq!(Finished::run(command).succeeds().0.trim_end_matches('\n'), text.trim_end_matches('\n'));
    }
}

#[test]
fn invalid_input_is_reported_and_the_text_kept() {
    let dir = TestDir::with_run();
    let mut session = start(&dir, "sample run -i --seed 3 --length 20");
    for (line, part) in [
        ("\u{3b1}", "not in the model's vocabulary"),
        ("/temp hot", "/temp expects"),
        ("/temp -1", "temperature must be"),
        ("/undo", "undo"),
        ("/more much", "/more expects"),
        ("/save no/such/folder/x.txt", "no/such/folder"),
        ("/dance", "unknown command /dance"),
        ("/help", "undo the last turn"),
    ] {
        type_line(&mut session, line);
        session.exp_string(part).unwrap();
    }
    type_line(&mut session, "/save empty.txt");
    session.exp_string("0 characters saved").unwrap();
    end(session);
}

#[test]
fn interrupt_ends_only_the_turn() {
    let dir = TestDir::with_run();
    let mut session = start(&dir, "sample run -i --seed 3 --length 0");
    type_line(&mut session, "the fox");
    // Length 0 is unlimited.
    session.exp_regex("(?s).{3000}").unwrap();
    session.send_control('c').unwrap();
    type_line(&mut session, "/help");
    session.exp_string("undo the last turn").unwrap();
    end(session);
}

#[test]
fn reads_lines_from_a_pipe() {
    let dir = TestDir::with_run();
    let piped = dir.command("sample run -i --seed 3 --length 10 -q --prompt a");
    let written = Finished::run_with_stdin(piped, " fox\n/more 5\n\n/save out.txt\n").succeeds().0;
    let text = dir.read("out.txt");
    assert_eq!(text.chars().count(), 1 + 10 + 4 + 10 + 5 + 10);
    // A line may start with a space, an empty line continues the text, and the prompt is printed.
    assert!(text.starts_with('a') && text[11..].starts_with(" fox") && written.starts_with(&text[..11]), "{written}");
}

#[test]
fn a_line_end_can_be_typed() {
    let dir = TestDir::with_run();
    let saved = |options: &str, typed: &str| {
        let piped = dir.command(&format!("sample run -i --seed 3 --length 4 -q {options}"));
        Finished::run_with_stdin(piped, &format!("{typed}\n/save out.txt\n")).succeeds();
        dir.read("out.txt")
    };
    assert!(saved("", "the fox\\\na crow").starts_with("the fox\na crow"));
    assert_eq!(saved("", "the fox\\\n").chars().count(), 12, "an empty line ends the text");
    assert!(saved("--escapes", "the fox\\na crow\\\nwhy").starts_with("the fox\na crow\nwhy"));
}
