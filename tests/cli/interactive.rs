//! Writing in turns with the model, in a real pseudo-terminal.

use std::process::Stdio;

use crate::harness::{Finished, TestDir};
use rexpect::session::{PtySession, spawn_command};

/// A program in a terminal of its own; it is given up after 30 seconds without what is waited for.
fn start(dir: &TestDir, args: &str) -> PtySession {
    let mut command = dir.command(args);
    command.env("TERM", "xterm").stdin(Stdio::inherit());
    let mut session = spawn_command(command, Some(30_000)).unwrap();
    session.exp_string("/help lists the commands").unwrap();
    session
}

/// Types a line once the program waits for one: it says so by switching bracketed paste on, before its prompt.
fn type_line(session: &mut PtySession, line: &str) {
    session.exp_string("\u{1b}[?2004h").unwrap();
    session.exp_string("> ").unwrap();
    session.send_line(line).unwrap();
}

/// Ends the program once it waits for a line.
fn end(mut session: PtySession) {
    session.exp_string("\u{1b}[?2004h").unwrap();
    session.exp_string("> ").unwrap();
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
    // The turns together are the text that the seed gives at one go.
    let mut whole = dir.command("sample run --seed 3 --length 50 --temp 0.5 --prompt");
    whole.arg("the fox");
    assert_eq!(Finished::run(whole).succeeds().0.trim_end_matches('\n'), two.trim_end_matches('\n'));
    assert!(two.starts_with(&one) && one == three && four.starts_with(&one));
    let mut greedy = dir.command("sample run --length 10 --temp 0 --prompt");
    greedy.arg(&one);
    assert_eq!(
        Finished::run(greedy).succeeds().0.trim_end_matches('\n'),
        four.trim_end_matches('\n'),
        "state and temperature"
    );
}

#[test]
fn invalid_input_is_reported_and_the_text_kept() {
    let dir = TestDir::with_run();
    let mut session = start(&dir, "sample run -i --seed 3 --length 20");
    for (line, stderr) in [
        ("\u{3b1}", "does not know"),
        ("/temp hot", "/temp expects a number"),
        ("/temp -1", "temperature must be"),
        ("/undo", "nothing to undo"),
        ("/more much", "/more expects a number"),
        ("/save no/such/folder/x.txt", "no/such/folder"),
        ("/dance", "unknown command /dance"),
        ("/help", "undo the last turn"),
    ] {
        type_line(&mut session, line);
        session.exp_string(stderr).unwrap();
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
    // Far more than a turn of any length that is not endless.
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
    // A line that begins with a blank is a line; an empty one goes on; the beginning is display.
    assert!(text.starts_with('a') && text[11..].starts_with(" fox") && written.starts_with(&text[..11]), "{written}");
}
