//! Texts that change while a run trains on them.

use std::fs::File;
use std::io::Write;

use crate::harness::{ENDLESS, Place, Running, prose};

/// Characters of one page, of which there are many epochs.
const SHORT: usize = 2000;

/// A run that trains on such a text, its first 50 steps made.
fn training(text: &str) -> (Place, Running) {
    training_with(text, ENDLESS)
}

fn training_with(text: &str, args: &str) -> (Place, Running) {
    let place = Place::empty();
    place.write("text.txt", text);
    let running = place.start_training("run", args);
    (place, running)
}

/// Cuts a file short.
fn cut(place: &Place, name: &str, len: usize) {
    File::options().write(true).open(place.path(name)).unwrap().set_len(len as u64).unwrap();
}

/// What the run says that ends by itself, in its last line: it is saved, and goes on once the text is as it was.
fn ends_saved(run: (Place, Running), text: &str, parts: &[&str]) {
    ends_saved_with(run, text, ENDLESS, parts);
}

fn ends_saved_with((place, running): (Place, Running), text: &str, args: &str, parts: &[&str]) {
    assert_eq!(running.end(), Some(74), "{}", place.read("stderr.txt"));
    let said = place.read("stderr.txt");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: ") && !said.contains("panicked"), "{said}");
    let step = place.fact("run", "step").as_u64().unwrap();
    assert!(step >= 50, "{step}: {said}");
    let saved = format!("saved at step {step}");
    for part in [&saved, "text.txt: ", "charlstm train --resume checkpoints/run"].iter().chain(parts) {
        assert!(last.contains(part), "{part:?} is not in {last}");
    }
    place.run("train --resume run").fails_at_length(65, &["not the one this run was trained on"]);
    place.write("text.txt", text);
    place.run(&format!("train --resume run --stop-at {}", step + 2)).succeeds();
    assert_eq!(place.fact("run", "step"), step + 2);
    place.train(&format!("text.txt --name whole {args} --stop-at {}", step + 2));
    assert_eq!(place.fact("run", "state_hash"), place.fact("whole", "state_hash"), "no step was made on another text");
}

/// Waits for 300 more steps, of which 113 are an epoch of the short text.
fn wait_for_epochs(place: &Place) {
    let records = || place.bytes("checkpoints/run/metrics.jsonl").iter().filter(|byte| **byte == b'\n').count();
    let before = records();
    crate::harness::wait_until("the end of several epochs", || records() >= before + 6);
}

#[test]
fn a_text_that_is_cut_short_ends_the_run_and_what_was_learned_is_saved() {
    // Of many pages; an epoch takes longer than the test.
    let letters = prose(2_000_000);
    // Where NUL is a character of the text, what is gone cannot be told by the zeros that are read in its place.
    let with_nul = letters.replacen("the ", "\0", 1);
    for (text, how) in [(&letters, "2000000 bytes when it was opened and has 4096 now"), (&with_nul, "cut short")] {
        let (place, running) = training(text);
        // The next page of the second of two streams is gone, and what is mapped cannot be read there.
        cut(&place, "text.txt", 4096);
        ends_saved((place, running), text, &[how]);
    }
}

#[test]
fn a_text_that_loses_its_last_bytes_is_noticed_by_its_end() {
    let (place, running) = training(&prose(SHORT));
    // Within a page, where zeros are read and no signal comes, and of the part that is held out.
    cut(&place, "text.txt", SHORT - 10);
    ends_saved((place, running), &prose(SHORT), &["cut short", "2000 bytes", "1990 now"]);
}

#[test]
fn no_step_is_made_on_the_zeros_within_the_last_page() {
    let with_nul = prose(SHORT).replacen("the ", "\0", 1);
    for args in ["--val-frac 0", "--val-frac 0 --bytes"] {
        let args = format!("{ENDLESS} {args}");
        let (place, running) = training_with(&with_nul, &args);
        cut(&place, "text.txt", 100);
        ends_saved_with((place, running), &with_nul, &args, &["cut short"]);
    }
}

#[test]
fn texts_beside_the_first_are_watched_too() {
    let held_out = "--layers 1 --hidden 16 --val-file other.txt --eval-every 5";
    for args in [held_out, "--init-from old --replay other.txt --eval-every 0"] {
        let place = Place::empty();
        let text = prose(SHORT).replacen("the ", "\0", 1);
        place.write("text.txt", &text);
        place.write("other.txt", &text);
        place.train("text.txt --name old --steps 2");
        let args = format!("train text.txt --name run --batch 2 --seq-len 8 --threads 1 --steps 1000000000 {args}");
        let running = place.first_record("run", place.command(&args));
        cut(&place, "other.txt", 1000);
        assert_eq!(running.end(), Some(74), "{}", place.read("stderr.txt"));
        let said = place.read("stderr.txt");
        let last = said.lines().last().unwrap();
        // Where what is replayed was read before, by the end of the epoch.
        let parts = ["other.txt: it ", "and has 1000 now", "saved at step"];
        assert!(parts.iter().all(|part| last.contains(part)), "{said}");
        // An evaluation that could not be made is made once the text is back.
        place.write("other.txt", &text);
        let stop = place.fact("run", "step").as_u64().unwrap() + 7;
        place.run(&format!("train --resume run --stop-at {stop}")).succeeds();
        place.run(&format!("{} --stop-at {stop}", args.replace("--name run", "--name whole"))).succeeds();
        place.are_the_same("run", "whole");
    }
}

#[test]
fn a_bus_error_that_is_sent_ends_the_run_as_it_would_any_program() {
    let (_place, running) = training(&prose(SHORT));
    assert_eq!(running.end_by("BUS"), None, "a signal ended it");
}

#[test]
fn a_text_that_grows_is_noticed_by_the_end_of_the_epoch() {
    let (place, running) = training(&prose(SHORT));
    File::options().append(true).open(place.path("text.txt")).unwrap().write_all(b"more").unwrap();
    ends_saved((place, running), &prose(SHORT), &["2000 bytes", "2004 now"]);
}

#[test]
fn a_text_that_is_rewritten_in_place_is_noticed_by_the_end_of_the_epoch() {
    let (place, running) = training(&prose(SHORT));
    // Held out, so that no step is made on it.
    let mut text = prose(SHORT);
    let last = text.pop().unwrap();
    text.push(if last == 'a' { 'e' } else { 'a' });
    let mut file = File::options().write(true).open(place.path("text.txt")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    ends_saved((place, running), &prose(SHORT), &["it was rewritten"]);
}

#[test]
fn a_text_that_is_touched_or_written_as_it_was_is_the_same() {
    let (place, running) = training(&prose(SHORT));
    let mut file = File::options().write(true).open(place.path("text.txt")).unwrap();
    file.write_all(prose(SHORT).as_bytes()).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    wait_for_epochs(&place);
    assert_eq!(running.end_by("INT"), Some(130), "{}", place.read("stderr.txt"));
    assert!(!place.read("stderr.txt").contains("warning"), "{}", place.read("stderr.txt"));
}

#[test]
fn a_deleted_or_replaced_text_stays_readable() {
    for replaced in [false, true] {
        let (place, running) = training(&prose(SHORT));
        if replaced {
            place.write("other.txt", prose(10));
            std::fs::rename(place.path("other.txt"), place.path("text.txt")).unwrap();
        } else {
            std::fs::remove_file(place.path("text.txt")).unwrap();
        }
        wait_for_epochs(&place);
        assert_eq!(running.end_by("INT"), Some(130), "{}", place.read("stderr.txt"));
        place.write("text.txt", prose(SHORT));
        let step = place.fact("run", "step").as_u64().unwrap();
        place.run(&format!("train --resume run --stop-at {}", step + 1)).succeeds();
    }
}

#[test]
fn what_could_not_be_saved_of_a_text_that_was_cut_is_told_too() {
    let place = Place::empty();
    place.write("text.txt", prose(200_000));
    place.train("text.txt --name run --steps 1000000000 --eval-every 0 --save-every 0 --log-every 50 --stop-at 20");
    let running = place.start(place.command_after("ulimit -f 20", "train --resume run"));
    wait_for_epochs(&place);
    cut(&place, "text.txt", 100);
    assert_eq!(running.end(), Some(74));
    let said = place.read("stderr.txt");
    let last = said.lines().last().unwrap();
    for part in [
        "and has 100 now",
        "not all since could be saved: checkpoints/run/latest.ckpt: ",
        "The run is saved at step 20;",
    ] {
        assert!(last.contains(part), "{part:?} is not in {last}");
    }
    assert_eq!(place.fact("run", "step"), 20);
}

#[test]
fn a_text_that_was_rewritten_is_noticed_however_the_run_ends() {
    let text = prose(200_000);
    for ending in ["INT", "patience"] {
        let place = Place::empty();
        place.write("text.txt", &text);
        place.write("held.txt", prose(300));
        let pace = "--log-every 50 --save-every 0 --val-file held.txt --steps 1000000000";
        let patience = if ending == "INT" { "--eval-every 0" } else { "--eval-every 2000 --patience 1 --lr 9" };
        let running = place.start_training("run", &format!("{pace} {patience}"));
        let mut file = File::options().write(true).open(place.path("text.txt")).unwrap();
        file.write_all(b"THE").unwrap();
        drop(file);
        let code = if ending == "INT" { running.end_by("INT") } else { running.end() };
        let said = place.read("stderr.txt");
        assert_eq!(code, Some(74), "{ending}: {said}");
        let step = place.fact("run", "step");
        for part in ["text.txt: it was rewritten", &format!("The run is saved at step {step};")] {
            assert!(said.contains(part), "{ending}: {part:?} is not in {said}");
        }
    }
}
