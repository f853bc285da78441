//! Whole lines from a trained model: names that match, are new, and end.

use std::collections::HashSet;

use crate::harness::{Finished, TestDir, pseudo_random};
use serde_json::Value;

/// Made-up names, a line each: syllables, the first letter large.
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

/// A folder with a run named `names` that has learned what a name is, more or less.
fn with_names() -> TestDir {
    let dir = TestDir::empty();
    dir.write("names.txt", names(3000));
    let shape = "--layers 1 --hidden 32 --batch 8 --seq-len 32 --threads 1";
    dir.run(&format!("train names.txt {shape} --steps 500 --lr 0.02 --dropout 0 --eval-every 0")).succeeds();
    dir
}

fn lines(dir: &TestDir, args: &str) -> Vec<String> {
    dir.run(&format!("sample names --seed 5 {args}")).succeeds().0.lines().map(str::to_owned).collect()
}

fn is_name(line: &str, rest: std::ops::RangeInclusive<usize>) -> bool {
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
    for by in ["", "--match-by rejection"] {
        let found = lines(&dir, &format!("--lines 400 --unique --novel --match [A-Z][a-z]{{3,8}} {by}"));
        assert_eq!(found.len(), 400);
        assert!(found.iter().all(|line| is_name(line, 3..=8)), "{found:?}");
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 400, "none comes twice");
        assert!(found.iter().all(|line| !corpus.contains(line.as_str())), "none is copied");
    }
    // Without these wishes there are others: the tests above could fail.
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
    assert!(
        short.iter().all(|line| (5..=6).contains(&line.len())) && short.iter().any(|line| line.len() == 6),
        "{short:?}"
    );
    let banned = lines(&dir, "--lines 200 --ban aeB");
    assert!(banned.iter().all(|line| !line.contains(['a', 'e', 'B'])), "{banned:?}");
    let begun = lines(&dir, "--lines 100 --prompt Sta --match [A-Z][a-z]{4,6}");
    assert!(begun.iter().all(|line| line.starts_with("Sta") && is_name(line, 4..=6)), "{begun:?}");
    let rest = lines(&dir, "--lines 100 --prompt Sta --match [A-Z][a-z]{4,6} --no-echo");
    assert_eq!(begun, rest.iter().map(|line| format!("Sta{line}")).collect::<Vec<_>>());
}

#[test]
fn lines_json_has_text_loss_and_novelty() {
    let dir = with_names();
    let corpus = names(3000);
    let corpus: HashSet<&str> = corpus.lines().collect();
    let plain = lines(&dir, "--lines 200 --temp 0.6");
    let json: Vec<Value> =
        lines(&dir, "--lines 200 --temp 0.6 --jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, json) in plain.iter().zip(&json) {
        assert_eq!(
            (json["text"].as_str().unwrap(), json["in_corpus"].as_bool().unwrap()),
            (line.as_str(), corpus.contains(line.as_str()))
        );
        assert!((0.0..9.0).contains(&json["nats_per_char"].as_f64().unwrap()), "{json}");
    }
    assert!(json.iter().any(|json| json["in_corpus"] == true) && json.iter().any(|json| json["in_corpus"] == false));
    // What a line costs is what scoring says of it.
    let line = plain.iter().position(|line| line.len() > 4).unwrap();
    dir.write("one.txt", format!("\n{}\n", plain[line]));
    let scored = dir.json("eval names --text one.txt")["loss"].as_f64().unwrap();
    assert!((scored - json[line]["nats_per_char"].as_f64().unwrap()).abs() < 1e-5, "{scored} {}", json[line]);
    // Without the corpus that is not known, and said.
    std::fs::remove_file(dir.path("names.txt")).unwrap();
    let (out, stderr) = dir.run("sample names --seed 5 --lines 1 --jsonl").succeeds();
    assert!(out.contains("\"in_corpus\":null") && stderr.contains("is unknown"), "{out} {stderr}");
    dir.run("sample names --lines 1 --novel").fails(66, &["names.txt", "--novel-against"]);
}

#[test]
fn carriage_returns_do_not_change_lines() {
    let dir = TestDir::empty();
    dir.write("names.txt", names(3000).replace('\n', "\r\n"));
    let shape = "--layers 1 --hidden 32 --batch 8 --seq-len 32 --threads 1";
    dir.run(&format!("train names.txt {shape} --steps 500 --lr 0.02 --dropout 0 --eval-every 0")).succeeds();
    for by in ["mask", "rejection"] {
        let wishes = format!("--lines 300 --unique --novel --match [A-Z][a-z]{{3,30}} --match-by {by}");
        let found = lines(&dir, &wishes);
        assert!(found.len() == 300 && found.iter().all(|line| is_name(line, 3..=30)), "{found:?}");
        assert!(found.iter().filter(|line| line.len() > 14).count() < 9, "they end where names do: {found:?}");
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 300);
    }
}

#[test]
fn novelty_includes_earlier_and_held_out_texts() {
    let dir = with_names();
    dir.write("new.txt", names(3000).replace('a', "o"));
    dir.write("held.txt", names(400).replace('e', "i"));
    dir.run(
        "train new.txt --init-from names --steps 2 --batch 8 --seq-len 32 --val-file held.txt --threads 1 --name new",
    )
    .succeeds();
    let old = format!("{}{}{}", names(3000), dir.read("new.txt"), dir.read("held.txt"));
    let old: HashSet<&str> = old.lines().collect();
    let lines = |args: &str| dir.run(&format!("sample new --seed 5 --lines 800 --temp 0.5 {args}")).succeeds().0;
    assert!(lines("--novel").lines().all(|line| !old.contains(line)));
    assert!(lines("").lines().any(|line| old.contains(line)));
}

#[test]
fn impossible_requests_terminate() {
    let dir = with_names();
    let sample = |args: &str| dir.run(&format!("sample names --seed 5 {args}"));
    sample("--lines 9 --match \u{3b1}+").fails(2, &["no line", "pattern"]);
    sample("--lines 9 --match a{2000}").fails(2, &["lengths"]);
    sample("--lines 9 --match (a").fails(2, &["pattern \"(a\""]);
    let few = sample("--lines 9 --unique --match [ab]");
    assert_eq!((few.code, few.out.len()), (Some(1), 4), "{} {}", few.out.escape_ascii(), few.err);
    assert!(few.err.contains("2 of 9 lines") && few.err.contains("no other line matches"), "{}", few.err);
    let vain = sample("--lines 9 --match zzzzzz --match-by rejection");
    assert_eq!(vain.code, Some(2), "z is no character of it: {}", vain.err);
    let vain = sample("--lines 9 --match (ai){30} --match-by rejection");
    assert_eq!((vain.code, vain.out.len()), (Some(1), 0), "{}", vain.err);
    assert!(
        vain.err.contains("0 of 9 lines") && vain.err.contains("10000 lines generated, 0 of them match"),
        "{}",
        vain.err
    );
    assert!(vain.err.contains("Acceptance rate: 0.00 %"), "{}", vain.err);
    // Only one line can come at all, whatever is allowed.
    let same = sample("--lines 3 --unique --temp 0");
    assert_eq!((same.code, same.out.split(|c| *c == b'\n').count()), (Some(1), 2), "{}", same.err);
}

#[test]
fn rejects_contradictory_line_options() {
    let dir = with_names();
    for (args, part) in [
        ("--unique", "--lines"),
        ("--match a", "--lines"),
        ("--lines 3 --length 9", "--length"),
        ("--lines 3 --temp 0.5,0.6", "one --temp"),
        ("--lines 3 --max-chars 0", "--max-chars"),
        ("--lines 3 --min-chars 9 --max-chars 8", "--min-chars 9"),
        ("--lines 0", "--lines"),
        ("--lines 3 --prompt Sta --match [A-R].*", "--prompt"),
        ("--lines 3 --prompt Sta --max-chars 2", "--prompt"),
    ] {
        dir.run(&format!("sample names {args}")).fails_with_usage(2, &[part]);
    }
    let mut line_end = dir.command("sample names --lines 3 --ban");
    line_end.arg("\n");
    Finished::run(line_end).fails(2, &["no line end"]);
}
