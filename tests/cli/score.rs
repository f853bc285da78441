//! `charlstm score`: surprisal by character, word and line.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Finished, TestDir, assert_contains_all, prose};

fn jsonl(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn scored(dir: &TestDir, args: &str) -> Vec<Value> {
    jsonl(&dir.run(&format!("score {args} --jsonl")).succeeds().0)
}

fn sum(rows: &[Value], name: &str) -> f64 {
    rows.iter().filter_map(|row| row[name].as_f64()).sum()
}

#[test]
fn units_add_up_to_the_eval_loss() {
    let dir = TestDir::with_run();
    dir.write("other.txt", &prose(2000)[700..1500]);
    let expected = dir.json("eval run --text other.txt");
    let total = &scored(&dir, "run other.txt --summary")[0];
    let off = total["nats_per_char"].as_f64().unwrap() - expected["loss"].as_f64().unwrap();
    assert!(off.abs() < 1e-6 && total["chars"] == expected["chars"], "{total} {expected}");
    for unit in ["char", "word", "line"] {
        let rows = scored(&dir, &format!("run other.txt --unit {unit}"));
        assert!((sum(&rows, "nats") - total["nats"].as_f64().unwrap()).abs() < 1e-6, "{unit}");
        assert_eq!(sum(&rows, "chars"), 800.0);
        let text: String = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(text, dir.read("other.txt"));
    }
    let words = scored(&dir, "run other.txt --unit word");
    assert!(words.iter().any(|row| row["text"] == "crow ") && words.iter().any(|row| row["text"] == "why?\n"));
}

#[test]
fn table_equals_json() {
    let dir = TestDir::with_run();
    dir.write("other.txt", "the fox\tmet \\ a\n\ncrow\n");
    let (table, stderr) = dir.run("score run other.txt --unit char --context-start none").succeeds();
    let rows = scored(&dir, "run other.txt --unit char --context-start none");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("text\tchars\tbits\tnats\trank\tentropy\tunknown"));
    assert_eq!(lines.next(), Some("t\t0\t-\t-\t-\t-\t0"), "nothing predicts the first character");
    assert_eq!(rows.len(), 22);
    for (line, row) in lines.zip(&rows[1..]) {
        let fields: Vec<&str> = line.split('\t').collect();
        for (field, name) in fields[1..].iter().zip(["chars", "bits", "nats", "rank", "entropy", "unknown"]) {
            match row[name].as_f64() {
                Some(figure) => assert!((field.parse::<f64>().unwrap() - figure).abs() < 1e-4, "{line} {row}"),
                None => assert_eq!(*field, "-", "{line} {row}"),
            }
        }
        let bits = row["bits"].as_f64().unwrap();
        assert!((bits - row["nats"].as_f64().unwrap() / 2f64.ln()).abs() < 1e-9 && bits >= 0.0);
    }
    assert!(table.contains("\\t\t1") && table.contains("\\\\\t1") && table.contains("\\n\t1"), "{table}");
    assert_contains_all(&stderr, &["21 characters", "2 unknown"]);
}

#[test]
fn unknown_characters_have_a_fixed_cost() {
    let dir = TestDir::with_run();
    dir.write("known.txt", "the fox met a crow\n");
    dir.write("strange.txt", "the \u{3b1}fox\u{1f600} met a crow\n");
    let [known, strange] = ["known", "strange"].map(|name| scored(&dir, &format!("run {name}.txt --unit char")));
    let unknown: Vec<&Value> = strange.iter().filter(|row| row["unknown"] == 1).collect();
    assert_eq!(unknown.len(), 2);
    assert!(unknown.iter().all(|row| (44.0..44.2).contains(&row["bits"].as_f64().unwrap()) && row["rank"].is_null()));
    let rest: Vec<&Value> = strange.iter().filter(|row| row["unknown"] == 0).collect();
    assert!(rest.iter().zip(&known).all(|(a, b)| **a == *b));
    dir.write("broken.txt", b"the \xff fox\n");
    assert_eq!(scored(&dir, "run broken.txt --summary")[0]["unknown"], 1);
    // A line longer than a block, with a character of two bytes at the boundary.
    dir.write("long.txt", format!("{}\u{e9}{}", "a".repeat((1 << 20) - 1), "b".repeat(99)));
    let long = &scored(&dir, "run long.txt --summary")[0];
    assert_eq!((&long["chars"], &long["unknown"]), (&Value::from((1 << 20) + 99), &Value::from(100)), "{long}");
    dir.write("empty.txt", "");
    assert_eq!(scored(&dir, "run empty.txt --summary")[0]["chars"], 0);
}

#[test]
fn reset_state_scores_each_line_separately() {
    let dir = TestDir::with_run();
    let text = prose(2000);
    dir.write("other.txt", &text);
    let together = scored(&dir, "run other.txt --state reset");
    for (number, line) in text.split_inclusive('\n').enumerate().step_by(17) {
        dir.write("alone.txt", line);
        let alone = dir.json("eval run --text alone.txt");
        let mean = together[number]["nats"].as_f64().unwrap() / together[number]["chars"].as_f64().unwrap();
        assert!((mean - alone["loss"].as_f64().unwrap()).abs() < 1e-5, "{line}");
    }
    let carried = scored(&dir, "run other.txt");
    assert_eq!(carried.len(), together.len());
    assert!(carried.iter().zip(&together).any(|(a, b)| a["nats"] != b["nats"]));
    let mut one = dir.command("score run other.txt --state reset --jsonl");
    one.env("RAYON_NUM_THREADS", "1");
    assert_eq!(jsonl(&Finished::run(one).succeeds().0), together);
}

#[test]
fn scores_are_streamed() {
    let dir = TestDir::with_run();
    for state in ["carry", "reset"] {
        let mut command = dir.command(&format!("score run - --alert-bits 8 --jsonl --state {state} -q"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        for strange in ["\u{3b1}\u{3b2}", "\u{3b3}"] {
            input.write_all(format!("the fox met a crow\n{strange}\nthe old trees. \n").as_bytes()).unwrap();
            let mut line = String::new();
            // The input is still open.
            output.read_line(&mut line).unwrap();
            assert_eq!(
                jsonl(&line)[0]["text"],
                format!("{strange}\n"),
                "only lines above the threshold must be printed"
            );
        }
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn score_reports_invalid_arguments() {
    let dir = TestDir::with_run();
    dir.write("other.txt", "the fox\n");
    assert_eq!(scored(&dir, "other.txt"), scored(&dir, "run other.txt"));
    dir.run("score run missing.txt").fails(66, &["missing.txt"]);
    dir.run("score missing other.txt").fails(66, &["missing"]);
    dir.run("score run checkpoints").fails(2, &["checkpoints"]);
    dir.run("score run other.txt --html no/such/x.html").fails(73, &["no/such"]);
    dir.run("score run other.txt --alert-bits nan").fails(2, &["--alert-bits"]);
    dir.run("score").fails_with_usage(2, &["FILE"]);
}

#[test]
fn a_table_for_linguists_lists_text_ids_and_offsets() {
    let dir = TestDir::with_run();
    dir.write("other.txt", "the fox\nmet a crow\n");
    let (table, _) = dir.run("score run other.txt --tsv --unit word").succeeds();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["text_id", "unit", "start", "end", "bits", "rank", "entropy"]);
    assert_eq!(
        rows[1..].iter().map(|row| row[..4].to_vec()).collect::<Vec<_>>(),
        [
            ["1", "the ", "0", "4"],
            ["1", "fox\\n", "4", "8"],
            ["2", "met ", "0", "4"],
            ["2", "a ", "4", "6"],
            ["2", "crow\\n", "6", "11"],
        ]
    );
    let sum: f64 = rows[1..].iter().map(|row| row[4].parse::<f64>().unwrap()).sum();
    let total = scored(&dir, "run other.txt --summary")[0]["bits"].as_f64().unwrap();
    assert!((sum - total).abs() < 1e-9 * total, "{sum} {total}");
}

#[test]
fn regions_sum_to_the_total() {
    let dir = TestDir::empty();
    let text =
        "\u{53e4}\u{6c60}\u{3084}\u{86d9}\u{98db}\u{3073}\u{3053}\u{3080}\n\u{5e8a}\u{524d}\u{660e}\u{6708}\u{5149}\n";
    dir.write("poems.txt", text.repeat(60));
    dir.train("poems.txt --name run --steps 10");
    dir.write("two.txt", text);
    dir.write("regions.txt", "\u{53e4}\u{6c60}\u{3084}|\u{86d9}|\u{98db}\u{3073}\u{3053}\u{3080}\n\u{5e8a}\u{524d}|\u{660e}\u{6708}\u{5149}\n");
    for state in ["carry", "reset"] {
        let rows = scored(&dir, &format!("run two.txt --regions regions.txt --state {state}"));
        let texts: Vec<&str> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(texts.len(), 5);
        assert_eq!(texts.concat(), text);
        let total = scored(&dir, &format!("run two.txt --summary --state {state}"))[0]["bits"].as_f64().unwrap();
        assert!((sum(&rows, "bits") - total).abs() < 1e-9 * total);
    }
    for (regions, parts) in [
        ("\u{53e4}|\u{6c60}\n", ["line 1", "shorter"]),
        ("\u{6c60}\n", ["line 1", "differs"]),
        ("\u{53e4}\u{6c60}\u{3084}\u{86d9}\u{98db}\u{3073}\u{3053}\u{3080}\n", ["line 2", "more lines"]),
    ] {
        dir.write("wrong.txt", regions);
        dir.run("score run two.txt --regions wrong.txt").fails(65, &["wrong.txt", parts[0], parts[1]]);
    }
    dir.write("long.txt", dir.read("regions.txt") + "x\n");
    let Finished { code, err, .. } = dir.run("score run two.txt --regions long.txt");
    assert!(code == Some(65) && err.contains("more lines than the text"), "{err}");
}
