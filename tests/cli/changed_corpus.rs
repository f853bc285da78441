//! Texts that change while a run trains on them.

use std::fs::File;
use std::io::Write;

use crate::harness::{ENDLESS, RunningProgram, TestDir, prose};

/// Characters of one page, of which there are many epochs.
const SHORT: usize = 2000;

/// A run that trains on such a text, its first 50 steps made.
fn training(text: &str) -> (TestDir, RunningProgram) {
    training_with(text, ENDLESS)
}

fn training_with(text: &str, args: &str) -> (TestDir, RunningProgram) {
    let dir = TestDir::empty();
    dir.write("text.txt", text);
    let running = dir.start_training("run", args);
    (dir, running)
}

/// Cuts a file short.
fn cut(dir: &TestDir, name: &str, len: usize) {
    File::options().write(true).open(dir.path(name)).unwrap().set_len(len as u64).unwrap();
}

/// What the run says that ends by itself, in its last line: it is saved, and goes on once the text is as it was.
fn ends_saved(run: (TestDir, RunningProgram), text: &str, parts: &[&str]) {
    ends_saved_with(run, text, ENDLESS, parts);
}

fn ends_saved_with((dir, running): (TestDir, RunningProgram), text: &str, args: &str, parts: &[&str]) {
    assert_eq!(running.wait(), Some(74), "{}", dir.read("stderr.txt"));
    let stderr = dir.read("stderr.txt");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: ") && !stderr.contains("panicked"), "{stderr}");
    let step = dir.info("run", "step").as_u64().unwrap();
    assert!(step >= 50, "{step}: {stderr}");
    let saved = format!("saved at step {step}");
    for part in [&saved, "text.txt: ", "charlstm train --resume checkpoints/run"].iter().chain(parts) {
        assert!(last.contains(part), "{part:?} is not in {last}");
    }
    dir.run("train --resume run").fails_with_usage(65, &["differs from the one"]);
    dir.write("text.txt", text);
    dir.run(&format!("train --resume run --stop-at {}", step + 2)).succeeds();
    assert_eq!(dir.info("run", "step"), step + 2);
    dir.train(&format!("text.txt --name whole {args} --stop-at {}", step + 2));
    assert_eq!(dir.info("run", "state_hash"), dir.info("whole", "state_hash"), "no step was made on another text");
}

/// Waits for 300 more steps, of which 113 are an epoch of the short text.
fn wait_for_epochs(dir: &TestDir) {
    let records = || dir.bytes("checkpoints/run/metrics.jsonl").iter().filter(|byte| **byte == b'\n').count();
    let before = records();
    crate::harness::wait_until("the end of several epochs", || records() >= before + 6);
}

#[test]
fn truncated_corpus_stops_training_after_saving() {
    // Of many pages; an epoch takes longer than the test.
    let letters = prose(2_000_000);
    // Where NUL is a character of the text, what is gone cannot be told by the zeros that are read in its place.
    let with_nul = letters.replacen("the ", "\0", 1);
    for (text, how) in [(&letters, "2000000 bytes when it was opened and has 4096 now"), (&with_nul, "truncated")] {
        let (dir, running) = training(text);
        // The next page of the second of two streams is gone, and what is mapped cannot be read there.
        cut(&dir, "text.txt", 4096);
        ends_saved((dir, running), text, &[how]);
    }
}

#[test]
fn corpus_truncated_within_a_page_is_detected() {
    let (dir, running) = training(&prose(SHORT));
    // Within a page, where zeros are read and no signal comes, and of the part that is held out.
    cut(&dir, "text.txt", SHORT - 10);
    ends_saved((dir, running), &prose(SHORT), &["truncated", "2000 bytes", "1990 now"]);
}

#[test]
fn never_trains_on_zeros_past_the_end_of_a_truncated_corpus() {
    let with_nul = prose(SHORT).replacen("the ", "\0", 1);
    for args in ["--val-frac 0", "--val-frac 0 --bytes"] {
        let args = format!("{ENDLESS} {args}");
        let (dir, running) = training_with(&with_nul, &args);
        cut(&dir, "text.txt", 100);
        ends_saved_with((dir, running), &with_nul, &args, &["truncated"]);
    }
}

#[test]
fn truncated_held_out_and_replay_files_are_detected() {
    let held_out = "--layers 1 --hidden 16 --val-file other.txt --eval-every 5";
    for args in [held_out, "--init-from old --replay other.txt --eval-every 0"] {
        let dir = TestDir::empty();
        let text = prose(SHORT).replacen("the ", "\0", 1);
        dir.write("text.txt", &text);
        dir.write("other.txt", &text);
        dir.train("text.txt --name old --steps 2");
        let args = format!("train text.txt --name run --batch 2 --seq-len 8 --threads 1 --steps 1000000000 {args}");
        let running = dir.start_until_first_record("run", dir.command(&args));
        cut(&dir, "other.txt", 1000);
        assert_eq!(running.wait(), Some(74), "{}", dir.read("stderr.txt"));
        let stderr = dir.read("stderr.txt");
        let last = stderr.lines().last().unwrap();
        // Where what is replayed was read before, by the end of the epoch.
        let parts = ["other.txt: truncated", "and has 1000 now", "saved at step"];
        assert!(parts.iter().all(|part| last.contains(part)), "{stderr}");
        // An evaluation that could not be made is made once the text is back.
        dir.write("other.txt", &text);
        let stop = dir.info("run", "step").as_u64().unwrap() + 7;
        dir.run(&format!("train --resume run --stop-at {stop}")).succeeds();
        dir.run(&format!("{} --stop-at {stop}", args.replace("--name run", "--name whole"))).succeeds();
        dir.assert_same_run("run", "whole");
    }
}

#[test]
fn external_sigbus_kills_the_program() {
    let (_place, running) = training(&prose(SHORT));
    assert_eq!(running.stop_with("BUS"), None, "a signal ended it");
}

#[test]
fn grown_corpus_is_detected_within_an_epoch() {
    let (dir, running) = training(&prose(SHORT));
    File::options().append(true).open(dir.path("text.txt")).unwrap().write_all(b"more").unwrap();
    ends_saved((dir, running), &prose(SHORT), &["2000 bytes", "2004 now"]);
}

#[test]
fn rewritten_corpus_is_detected_within_an_epoch() {
    let (dir, running) = training(&prose(SHORT));
    // Held out, so that no step is made on it.
    let mut text = prose(SHORT);
    let last = text.pop().unwrap();
    text.push(if last == 'a' { 'e' } else { 'a' });
    let mut file = File::options().write(true).open(dir.path("text.txt")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    ends_saved((dir, running), &prose(SHORT), &["it was rewritten"]);
}

#[test]
fn touching_the_corpus_changes_nothing() {
    let (dir, running) = training(&prose(SHORT));
    let mut file = File::options().write(true).open(dir.path("text.txt")).unwrap();
    file.write_all(prose(SHORT).as_bytes()).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    wait_for_epochs(&dir);
    assert_eq!(running.stop_with("INT"), Some(130), "{}", dir.read("stderr.txt"));
    assert!(!dir.read("stderr.txt").contains("warning"), "{}", dir.read("stderr.txt"));
}

#[test]
fn a_deleted_or_replaced_text_stays_readable() {
    for replaced in [false, true] {
        let (dir, running) = training(&prose(SHORT));
        if replaced {
            dir.write("other.txt", prose(10));
            std::fs::rename(dir.path("other.txt"), dir.path("text.txt")).unwrap();
        } else {
            std::fs::remove_file(dir.path("text.txt")).unwrap();
        }
        wait_for_epochs(&dir);
        assert_eq!(running.stop_with("INT"), Some(130), "{}", dir.read("stderr.txt"));
        dir.write("text.txt", prose(SHORT));
        let step = dir.info("run", "step").as_u64().unwrap();
        dir.run(&format!("train --resume run --stop-at {}", step + 1)).succeeds();
    }
}

#[test]
fn truncated_corpus_with_failing_save_reports_both() {
    let dir = TestDir::empty();
    dir.write("text.txt", prose(200_000));
    dir.train("text.txt --name run --steps 1000000000 --eval-every 0 --save-every 0 --log-every 50 --stop-at 20");
    let running = dir.start(dir.command_in_shell("ulimit -f 20", "train --resume run"));
    wait_for_epochs(&dir);
    cut(&dir, "text.txt", 100);
    assert_eq!(running.wait(), Some(74));
    let stderr = dir.read("stderr.txt");
    let last = stderr.lines().last().unwrap();
    for part in [
        "and has 100 now",
        "not all since could be saved: checkpoints/run/latest.ckpt: ",
        "The run is saved at step 20;",
    ] {
        assert!(last.contains(part), "{part:?} is not in {last}");
    }
    assert_eq!(dir.info("run", "step"), 20);
}

#[test]
fn rewritten_corpus_is_detected_at_the_end_of_training() {
    let text = prose(200_000);
    for ending in ["INT", "patience"] {
        let dir = TestDir::empty();
        dir.write("text.txt", &text);
        dir.write("held.txt", prose(300));
        let pace = "--log-every 50 --save-every 0 --val-file held.txt --steps 1000000000";
        let patience = if ending == "INT" { "--eval-every 0" } else { "--eval-every 2000 --patience 1 --lr 9" };
        let running = dir.start_training("run", &format!("{pace} {patience}"));
        let mut file = File::options().write(true).open(dir.path("text.txt")).unwrap();
        file.write_all(b"THE").unwrap();
        drop(file);
        let code = if ending == "INT" { running.stop_with("INT") } else { running.wait() };
        let stderr = dir.read("stderr.txt");
        assert_eq!(code, Some(74), "{ending}: {stderr}");
        let step = dir.info("run", "step");
        for part in ["text.txt: it was rewritten", &format!("The run is saved at step {step};")] {
            assert!(stderr.contains(part), "{ending}: {part:?} is not in {stderr}");
        }
    }
}
