//! `charlstm sample --lines`: whole lines that match, are new, and end.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::harness::{Finished, TestDir, assert_contains_all, pseudo_random};

const TRAIN: &str = "--layers 1 --hidden 32 --batch 8 --seq-len 32 --threads 1 --dropout 0 --eval-every 0";

/// Invented names, one per line: syllables with a capital.
fn names(count: usize) -> String {
    let mut numbers = pseudo_random(7);
    let mut pick = |from: &'static [&'static str]| from[numbers.next().unwrap() % from.len()];
    let mut text = String::new();
    for _ in 0..count {
        let mut name = String::new();
        for _ in 0..pick(&["2", "2", "3", "3", "4"]).parse().unwrap() {
            name += pick(&["b", "d", "l", "m", "n", "r", "s", "t", "v", "st"]);
            name += pick(&["a", "e", "i", "o", "u", "ai"]);
        }
        name += pick(&["", "", "n", "s", "r"]);
        text += &format!("{}{}\n", name[..1].to_uppercase(), &name[1..]);
    }
    text
}

/// A directory with a run `names` that was trained briefly on `names.txt`.
fn trained_on(text: String) -> TestDir {
    let dir = TestDir::empty();
    dir.write("names.txt", text);
    dir.run(&format!("train names.txt {TRAIN} --steps 500 --lr 0.02")).succeeds();
    dir
}

fn with_names() -> TestDir {
    trained_on(names(3000))
}

fn lines(dir: &TestDir, args: &str) -> Vec<String> {
    dir.run(&format!("sample names --seed 5 {args}")).succeeds().0.lines().map(str::to_owned).collect()
}

fn is_name(line: &str, rest: RangeInclusive<usize>) -> bool {
    let mut chars = line.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase())
        && chars.clone().all(|c| c.is_ascii_lowercase())
        && rest.contains(&chars.count())
}

#[test]
fn lines_are_unique_novel_and_match() {
    let dir = with_names();
    let corpus = names(3000);
    let corpus: HashSet<&str> = corpus.lines().collect();
    for by in ["mask", "rejection"] {
        let args = format!("--lines 400 --unique --novel --match [A-Z][a-z]{{3,8}} --match-by {by}");
        let found = lines(&dir, &args);
        assert!(found.iter().all(|line| is_name(line, 3..=8) && !corpus.contains(line.as_str())), "{found:?}");
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 400);
    }
    // Without these options the conditions do not hold.
    let free = lines(&dir, "--lines 400 --temp 0.5");
    assert!(free.iter().any(|line| corpus.contains(line.as_str())), "{free:?}");
    assert!(free.iter().collect::<HashSet<_>>().len() < 400);
    assert!(!free.iter().all(|line| is_name(line, 3..=6)));
}

#[test]
fn lines_depend_on_the_seed_only() {
    let dir = with_names();
    let whole = lines(&dir, "--lines 300 --unique");
    assert_eq!(lines(&dir, "--lines 100 --unique"), whole[..100]);
    let mut one = dir.command("sample names --seed 5 --lines 300 --unique");
    one.env("RAYON_NUM_THREADS", "1");
    assert_eq!(Finished::run(one).succeeds().0.lines().collect::<Vec<_>>(), whole);
    assert_ne!(dir.stdout("sample names --seed 6 --lines 300 --unique").lines().collect::<Vec<_>>(), whole);
}

#[test]
fn lines_respect_length_ban_and_prompt() {
    let dir = with_names();
    let short = lines(&dir, "--lines 200 --min-chars 5 --max-chars 6");
    assert!(short.iter().all(|line| (5..=6).contains(&line.len())), "{short:?}");
    assert!(short.iter().any(|line| line.len() == 6), "{short:?}");
    let banned = lines(&dir, "--lines 200 --ban aeB");
    assert!(banned.iter().all(|line| !line.contains(['a', 'e', 'B'])), "{banned:?}");
    let prompted = lines(&dir, "--lines 100 --prompt Sta --match [A-Z][a-z]{4,6}");
    assert!(prompted.iter().all(|line| line.starts_with("Sta") && is_name(line, 4..=6)), "{prompted:?}");
    let rest = lines(&dir, "--lines 100 --prompt Sta --match [A-Z][a-z]{4,6} --no-echo");
    assert_eq!(prompted, rest.iter().map(|line| format!("Sta{line}")).collect::<Vec<_>>());
}

#[test]
fn lines_json_has_text_loss_and_novelty() {
    let dir = with_names();
    let corpus = names(3000);
    let corpus: HashSet<&str> = corpus.lines().collect();
    let plain = lines(&dir, "--lines 200 --temp 0.6");
    let json = lines(&dir, "--lines 200 --temp 0.6 --jsonl");
    let json: Vec<Value> = json.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, json) in plain.iter().zip(&json) {
        assert_eq!((&json["text"], &json["in_corpus"]), (&line[..].into(), &corpus.contains(&line[..]).into()));
        assert!((0.0..9.0).contains(&json["nats_per_char"].as_f64().unwrap()), "{json}");
    }
    assert!(json.iter().any(|json| json["in_corpus"] == true) && json.iter().any(|json| json["in_corpus"] == false));
    // The loss of a line is the loss that `eval` reports.
    let line = plain.iter().position(|line| line.len() > 4).unwrap();
    dir.write("one.txt", format!("{}\n", plain[line]));
    let loss = dir.json("eval names --text one.txt")["loss"].as_f64().unwrap();
    assert!((loss - json[line]["nats_per_char"].as_f64().unwrap()).abs() < 1e-5, "{loss} {}", json[line]);
    std::fs::remove_file(dir.path("names.txt")).unwrap();
    let (out, stderr) = dir.run("sample names --seed 5 --lines 1 --jsonl").succeeds();
    assert!(out.contains("\"in_corpus\":null") && stderr.contains("names.txt"), "{out} {stderr}");
    dir.run("sample names --lines 1 --novel").fails(66, &["names.txt", "--novel-against"]);
}

#[test]
fn carriage_returns_do_not_change_lines() {
    let dir = trained_on(names(3000).replace('\n', "\r\n"));
    for by in ["mask", "rejection"] {
        let args = format!("--lines 300 --unique --novel --match [A-Z][a-z]{{3,30}} --match-by {by}");
        let found = lines(&dir, &args);
        assert!(found.len() == 300 && found.iter().all(|line| is_name(line, 3..=30)), "{found:?}");
        assert!(
            found.iter().filter(|line| line.len() > 14).count() < 9,
            "too many lines are longer than a name: {found:?}"
        );
    }
}

#[test]
fn novelty_includes_earlier_and_held_out_texts() {
    let dir = with_names();
    dir.write("new.txt", names(3000).replace('a', "o"));
    dir.write("held.txt", names(400).replace('e', "i"));
    let args = "--init-from names --steps 2 --batch 8 --seq-len 32 --val-file held.txt --threads 1 --name new";
    dir.run(&format!("train new.txt {args}")).succeeds();
    let old = format!("{}{}{}", names(3000), dir.read("new.txt"), dir.read("held.txt"));
    let old: HashSet<&str> = old.lines().collect();
    let lines = |args: &str| dir.run(&format!("sample new --seed 5 --lines 800 --temp 0.5 {args}")).succeeds().0;
    assert!(lines("--novel").lines().all(|line| !old.contains(line)));
    assert!(lines("").lines().any(|line| old.contains(line)));
}

#[test]
fn impossible_line_requests_end_with_an_error() {
    let dir = with_names();
    let sample = |args: &str| dir.run(&format!("sample names --seed 5 {args}"));
    sample("--lines 9 --match \u{3b1}+").fails(2, &["\u{3b1}+"]);
    sample("--lines 9 --match a{2000}").fails(2, &["a{2000}"]);
    sample("--lines 9 --match (a").fails(2, &["\"(a\""]);
    sample("--lines 9 --match zzzzzz --match-by rejection").fails(2, &["zzzzzz"]);
    for (args, found, parts) in [
        ("--lines 9 --unique --match [ab]", 2, ["2 of 9", ""]),
        ("--lines 9 --match (ai){30} --match-by rejection", 0, ["0 of 9", "0.00 %"]),
        ("--lines 3 --unique --temp 0", 1, ["1 of 3", ""]),
    ] {
        let ran = sample(args);
        assert_eq!((ran.code, String::from_utf8(ran.out).unwrap().lines().count()), (Some(1), found), "{}", ran.err);
        assert_contains_all(&ran.err, &parts);
    }
}

#[test]
fn rejects_contradictory_line_options() {
    let dir = with_names();
    for (args, part) in [
        ("--unique", "--lines"),
        ("--match a", "--lines"),
        ("--lines 3 --length 9", "--length"),
        ("--lines 3 --temp 0.5,0.6", "--temp"),
        ("--lines 3 --max-chars 0", "max"),
        ("--lines 3 --min-chars 9 --max-chars 8", "9"),
        ("--lines 0", "--lines"),
        ("--lines 3 --prompt Sta --match [A-R].*", "prompt"),
        ("--lines 3 --prompt Sta --max-chars 2", "prompt"),
    ] {
        dir.run(&format!("sample names {args}")).fails_with_usage(2, &[part]);
    }
    let mut line_end = dir.command("sample names --lines 3 --ban");
    line_end.arg("\n");
    Finished::run(line_end).fails(2, &["line end"]);
}
