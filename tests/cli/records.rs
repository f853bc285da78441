//! Runs on the records of a list.

use std::collections::HashSet;

use crate::harness::{Finished, TestDir, assert_contains_all, pseudo_random};

const TRAIN: &str = "--layers 1 --hidden 24 --batch 4 --seq-len 32 --threads 1 --dropout 0 --lr 0.02 --name run -q";

/// Lines of 3 to 5 letters, sorted.
fn list() -> String {
    let mut numbers = pseudo_random(3);
    let mut line = || {
        (0..3 + numbers.next().unwrap() % 3).map(|_| "abcdef".as_bytes()[numbers.next().unwrap() % 6] as char).collect()
    };
    let mut lines: Vec<String> = (0..600).map(|_| line()).collect();
    lines.sort();
    lines.join("\n") + "\n"
}

fn with_list() -> TestDir {
    let dir = TestDir::empty();
    dir.write("list.txt", list());
    dir.run(&format!("train list.txt --records line --steps 60 {TRAIN}")).succeeds();
    dir
}

fn with_poems() -> TestDir {
    let dir = TestDir::empty();
    let poem = |i: usize| format!("a {}\nb {}\n", ["sun", "sea", "sky"][i % 3], ["one", "two", "ten"][i / 3 % 3]);
    dir.write("poems.txt", (0..90).map(poem).collect::<Vec<_>>().join("\n"));
    dir.run(&format!("train poems.txt --records blank --val-frac 0 --steps 150 {TRAIN}")).succeeds();
    dir
}

#[test]
fn a_run_on_records_generates_whole_records() {
    let dir = with_list();
    let out = dir.stdout("sample --samples 50 --seed 1 --unique --novel");
    let lines: HashSet<&str> = out.lines().collect();
    let known = list();
    assert_eq!(lines.len(), 50);
    assert!(lines.iter().all(|line| !line.is_empty() && known.lines().all(|known| known != *line)), "{out}");
    assert_eq!(out, dir.stdout("sample --lines 50 --seed 1 --unique --novel"));
    assert_eq!(dir.stdout("sample --seed 1").lines().count(), 1);
    let matching = dir.stdout("sample --samples 9 --match [abc]{4} --seed 1");
    assert!(matching.lines().all(|line| line.len() == 4 && line.chars().all(|c| "abc".contains(c))), "{matching}");
    assert!(dir.stdout("sample --samples 9 --prompt fa").lines().all(|line| line.starts_with("fa")));
    dir.write("prompts.txt", "fa\nb\n");
    let prompted = dir.stdout("sample --prompts-file prompts.txt --samples 2 --seed 1");
    let starts: Vec<&str> = prompted.lines().map(|line| &line[..line.len().min(12)]).collect();
    assert!(starts[0] == "--- prompt 1" && starts[1].starts_with("fa") && starts[4].starts_with('b'), "{prompted}");
    let json = dir.stdout("sample --samples 3 --jsonl --seed 1");
    assert_contains_all(&json, &["\"text\":", "\"in_corpus\":", "\"nats_per_char\":"]);
    dir.run("sample --length 9").fails(2, &["--samples"]);
    dir.run("sample --temp 0.5,1").fails(2, &["--temp"]);
}

#[test]
fn blocks_are_separated_by_blank_lines() {
    let dir = with_poems();
    let out = dir.stdout("sample --samples 20 --temp 0.5 --seed 1");
    let poems: Vec<&str> = out.strip_suffix('\n').unwrap().split("\n\n").collect();
    assert_eq!(poems.len(), 20, "{out}");
    let whole = |poem: &&&str| poem.starts_with("a ") && poem.contains("\nb ") && poem.lines().count() == 2;
    assert!(poems.iter().filter(whole).count() > 15, "{out}");
    let known = dir.read("poems.txt");
    let json = dir.stdout("sample --samples 20 --temp 0.5 --seed 1 --jsonl");
    for line in json.lines() {
        let facts: serde_json::Value = serde_json::from_str(line).unwrap();
        let is_known = known.split("\n\n").any(|poem| poem.trim_end() == facts["text"].as_str().unwrap());
        assert_eq!(facts["in_corpus"], is_known, "{line}");
    }
    assert!(json.contains("\"in_corpus\":true"), "{json}");
}

#[test]
fn eval_scores_each_record_with_its_end() {
    let dir = with_list();
    let held_out = dir.json("eval");
    dir.write("two.txt", "abc\nfed\n");
    dir.write("reversed.txt", "fed\n\nabc");
    let score = |text: &str| dir.json(&format!("eval --text {text}"));
    assert_eq!(score("two.txt")["chars"], 8);
    let close = |a: &serde_json::Value, b: &serde_json::Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-6;
    assert!(close(&score("two.txt")["loss"], &score("reversed.txt")["loss"]));
    assert!(close(&held_out["loss"], &dir.info("run", "held_out")["loss"]), "{held_out}");
    dir.run("eval --window 4").fails(2, &["--window"]);
    dir.run("eval --context-start none").fails(2, &["--context-start"]);
}

#[test]
fn resuming_continues_with_the_same_records() {
    let dir = with_list();
    dir.run(&format!(
        "train list.txt --records line --steps 60 --stop-at 23 --out other -q {}",
        TRAIN.replace("--name run -q", "")
    ))
    .succeeds();
    dir.run("train --resume other -q").succeeds();
    dir.assert_same_run("run", "other");
    dir.run("train --resume run --records blank --steps 99").fails(2, &["records", "line", "blank"]);
}

#[test]
fn check_keeps_what_a_command_accepts() {
    let dir = with_list();
    let filter = "sed -u 's/.*\"a.*/{\"ok\": true}/;t;s/.*/{\"ok\": false}/'";
    let sample = |check: &str, options: &str| {
        let mut command = dir.command(&format!("sample --samples 5 --seed 1 {options}"));
        command.args(["--check", check]);
        Finished::run(command)
    };
    let (out, stderr) = sample(filter, "").succeeds();
    assert!(out.lines().count() == 5 && out.lines().all(|line| line.starts_with('a')), "{out}");
    assert!(stderr.contains("accepted 5 of"), "{stderr}");
    sample("exit 3", "").fails(2, &["exit 3", "before it answered"]);
    sample("cat", "").fails(2, &["cat", "instead of"]);
    sample("exec sleep 60", "--check-timeout 1").fails(2, &["sleep 60", "within 1 s"]);
}

#[test]
fn options_of_whole_lines_need_lines_or_records() {
    let dir = TestDir::with_run();
    for option in
        ["--unique", "--novel", "--match a", "--min-chars 3", "--max-chars 3", "--check cat", "--match-by mask"]
    {
        let name = option.split(' ').next().unwrap();
        for other in ["", "--samples 2"] {
            dir.run(&format!("sample {option} {other}")).fails(2, &[name, "--lines"]);
        }
        for other in ["--length 5", "--stop a", "-i"] {
            let other_name = other.split(' ').next().unwrap().replace("-i", "--interactive");
            dir.run(&format!("sample {option} {other}")).fails_with_usage(2, &[name, &other_name]);
        }
    }
}

#[test]
fn score_reports_each_record_with_its_end() {
    let dir = with_list();
    dir.write("two.txt", "abc\r\n\nfed");
    let (rows, _) = dir.run("score run two.txt --tsv").succeeds();
    let rows: Vec<&str> = rows.lines().skip(1).collect();
    assert!(
        rows.len() == 2 && rows[0].starts_with("1\tabc\\n\t0\t4\t") && rows[1].starts_with("2\tfed\\n\t0\t4\t"),
        "{rows:?}"
    );
    let bits: f64 = rows.iter().map(|row| row.split('\t').nth(4).unwrap().parse::<f64>().unwrap()).sum();
    let eval = dir.json("eval run --text two.txt");
    assert!((bits / 8.0 - eval["bpc"].as_f64().unwrap()).abs() < 1e-5, "{bits} {eval}");
    dir.run("score run two.txt --state carry").fails(2, &["--state"]);
    let poems = with_poems();
    let (out, _) = poems.run("score run poems.txt --unit line --tsv").succeeds();
    assert_contains_all(&out, &["1\ta sun\\n\t0\t6\t", "1\tb one\\n\t6\t12\t", "90\t"]);
    // A record of several lines has a line of regions for each of them.
    poems.write("two.txt", "a sun\nb one\n\na sea\nb ten\n");
    let total = poems.stdout("score run two.txt --summary --jsonl -q");
    let total = serde_json::from_str::<serde_json::Value>(&total).unwrap()["bits"].as_f64().unwrap();
    for regions in ["a |sun\nb| one\n\na |sea\nb |ten\n", "a |sun\nb| one\na |sea\nb |ten"] {
        poems.write("regions.txt", regions);
        let (out, _) = poems.run("score run two.txt --regions regions.txt --tsv").succeeds();
        let rows: Vec<Vec<&str>> = out.lines().skip(1).map(|row| row.split('\t').collect()).collect();
        let ends: Vec<&str> = rows.iter().map(|row| row[3]).collect();
        assert_eq!(ends, ["2", "6", "7", "12", "2", "6", "8", "12"], "{out}");
        let bits: f64 = rows.iter().map(|row| row[4].parse::<f64>().unwrap()).sum();
        assert!((bits - total).abs() < 1e-9 * total, "{bits} {total}");
    }
    poems.write("wrong.txt", "a |sun\nb| two\n");
    poems.run("score run two.txt --regions wrong.txt").fails(65, &["wrong.txt", "line 2", "differs"]);
}
