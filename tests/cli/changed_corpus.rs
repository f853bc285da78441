//! Corpora that change while a run trains on them.

use std::fs::File;
use std::io::Write;

use crate::harness::{ENDLESS, RunningProgram, TestDir, assert_contains_all, prose, wait_until};

/// The length of a corpus that fits in one page, in characters.
const SHORT: usize = 2000;

type Change<'a> = &'a dyn Fn(&TestDir);

/// A run that trains on `text`.
fn training(text: &str, args: &str) -> (TestDir, RunningProgram) {
    let dir = TestDir::empty();
    dir.write("text.txt", text);
    let running = dir.start_training("run", args);
    (dir, running)
}

fn truncate(dir: &TestDir, name: &str, len: usize) {
    File::options().write(true).open(dir.path(name)).unwrap().set_len(len as u64).unwrap();
}

fn overwrite(dir: &TestDir, text: &str) {
    File::options().write(true).open(dir.path("text.txt")).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Checks that the run exits with code 74 and an error that names its corpus, and resumes once the corpus is restored.
fn assert_exits_after_saving((dir, running): (TestDir, RunningProgram), text: &str, args: &str, parts: &[&str]) {
    assert_eq!(running.wait(), Some(74), "{}", dir.read("stderr.txt"));
    let stderr = dir.read("stderr.txt");
    let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert_contains_all(error, &[&["text.txt: "], parts].concat());
    dir.run("train --resume run").fails_with_usage(65, &["text.txt", "--allow-corpus-change"]);
    dir.write("text.txt", text);
    let step = dir.assert_resumes_identically("run", args);
    assert!(step >= 50, "{step}: {stderr}");
}

/// Waits for 300 more steps; an epoch of the short corpus takes 113.
fn wait_for_epochs(dir: &TestDir) {
    let before = dir.metrics_lines("run");
    wait_until("several epochs", || dir.metrics_lines("run") >= before + 6);
}

#[test]
fn truncated_corpus_stops_training_after_saving() {
    // An epoch takes longer than the test. In a corpus with NUL, the zeros past the end of the file are valid characters.
    let text = prose(2_000_000);
    for text in [&text, &text.replacen("the ", "\0", 1)] {
        let (dir, running) = training(text, ENDLESS);
        // The page that the second stream reads next no longer exists.
        truncate(&dir, "text.txt", 4096);
        assert_exits_after_saving((dir, running), text, ENDLESS, &[&text.len().to_string(), "4096"]);
    }
}

#[test]
fn corpus_changed_within_a_page_is_detected_within_an_epoch() {
    let text = prose(SHORT);
    let mut changed = text[..SHORT - 1].to_owned();
    changed.push(if text.ends_with('a') { 'e' } else { 'a' });
    let shorten = |dir: &TestDir| truncate(dir, "text.txt", SHORT - 10);
    let rewrite = |dir: &TestDir| overwrite(dir, &changed);
    let grow = |dir: &TestDir| overwrite(dir, &format!("{text}more"));
    let changes: [(Change, &[&str]); 3] = [(&shorten, &["2000", "1990"]), (&grow, &["2000", "2004"]), (&rewrite, &[])];
    for (change, parts) in changes {
        let (dir, running) = training(&text, ENDLESS);
        change(&dir);
        assert_exits_after_saving((dir, running), &text, ENDLESS, parts);
    }
}

#[test]
fn never_trains_on_zeros_past_the_end_of_a_truncated_corpus() {
    let text = prose(SHORT).replacen("the ", "\0", 1);
    for args in ["--val-frac 0", "--val-frac 0 --bytes"] {
        let args = format!("{ENDLESS} {args}");
        let (dir, running) = training(&text, &args);
        truncate(&dir, "text.txt", 100);
        assert_exits_after_saving((dir, running), &text, &args, &["100"]);
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
        truncate(&dir, "other.txt", 1000);
        assert_eq!(running.wait(), Some(74), "{}", dir.read("stderr.txt"));
        assert_contains_all(&dir.read("stderr.txt"), &["error: ", "other.txt: ", "1000"]);
        dir.write("other.txt", &text);
        let stop = dir.info("run", "step").as_u64().unwrap() + 7;
        dir.run(&format!("train --resume run --stop-at {stop}")).succeeds();
        dir.run(&format!("{} --stop-at {stop}", args.replace("--name run", "--name whole"))).succeeds();
        dir.assert_same_run("run", "whole");
    }
}

#[test]
fn external_sigbus_kills_the_program() {
    let (_dir, running) = training(&prose(SHORT), ENDLESS);
    assert_eq!(running.stop_with("BUS"), None);
}

#[test]
fn touched_deleted_or_replaced_corpus_stays_readable() {
    let text = prose(SHORT);
    let touch = |dir: &TestDir| overwrite(dir, &text);
    let delete = |dir: &TestDir| std::fs::remove_file(dir.path("text.txt")).unwrap();
    let replace = |dir: &TestDir| {
        dir.write("other.txt", prose(10));
        std::fs::rename(dir.path("other.txt"), dir.path("text.txt")).unwrap();
    };
    let changes: [Change; 3] = [&touch, &delete, &replace];
    for change in changes {
        let (dir, running) = training(&text, ENDLESS);
        change(&dir);
        wait_for_epochs(&dir);
        assert_eq!(running.stop_with("INT"), Some(130), "{}", dir.read("stderr.txt"));
        dir.write("text.txt", &text);
        dir.assert_resumes_identically("run", ENDLESS);
    }
}
