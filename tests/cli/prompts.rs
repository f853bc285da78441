//! Prompts, stop texts and several texts of `charlstm sample`.

use serde_json::Value;

use crate::harness::{Finished, TestDir, assert_contains_all};

fn sample(dir: &TestDir, options: &[&str]) -> Finished {
    let mut command = dir.command("sample run --seed 1 --length 12");
    command.args(options);
    Finished::run(command)
}

fn text(dir: &TestDir, options: &[&str]) -> String {
    sample(dir, options).succeeds().0
}

#[test]
fn values_may_begin_with_a_dash() {
    let dir = TestDir::empty();
    dir.write("dashes.txt", "- the fox\n--- a crow\n".repeat(40));
    dir.train("dashes.txt --name run --steps 5");
    assert!(text(&dir, &["--prompt", "- the"]).starts_with("- the"));
    assert!(text(&dir, &["--prompt", "--- a"]).starts_with("--- a"));
    assert!(!text(&dir, &["--ban", "-"]).contains('-'));
    text(&dir, &["--stop", "---"]);
    assert!(dir.stdout("sample run --seed 1 --lines 1 --match -{2}.*").starts_with("--"));
}

#[test]
fn several_samples_are_separated() {
    let dir = TestDir::with_run();
    let out = text(&dir, &["--samples", "2"]);
    let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("---")).collect();
    assert_eq!(lines, ["--- sample 1 ---", "--- sample 2 ---"]);
    let out = text(&dir, &["--samples", "2", "--temp", "0.5,1"]);
    assert_contains_all(&out, &["--- temp 0.5, sample 1 ---", "--- temp 1, sample 2 ---"]);
    assert!(!text(&dir, &[]).contains("---"));
}

#[test]
fn samples_are_printed_as_json() {
    let dir = TestDir::with_run();
    let out = text(&dir, &["--samples", "3", "--jsonl", "--prompt", "the"]);
    let samples: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(samples.len(), 3);
    for (sample, seed) in samples.iter().zip(1u64..) {
        assert_eq!((&sample["seed"], &sample["prompt"]), (&seed.into(), &"the".into()));
        let separate = dir.stdout(&format!("sample run --seed {seed} --length 12 --prompt the"));
        assert_eq!(separate.trim_end_matches('\n'), sample["text"].as_str().unwrap().trim_end_matches('\n'));
        assert!((0.0..9.0).contains(&sample["nats_per_char"].as_f64().unwrap()));
    }
}

#[test]
fn prompts_of_a_file_are_continued_in_order() {
    let dir = TestDir::with_run();
    dir.write("prompts.txt", "\u{feff}\"the fox\"\r\n\"a\\ncrow\"\n{\"prompt\": \"why\"}\n\"\"\n");
    let out = text(&dir, &["--prompts-file", "prompts.txt"]);
    assert_contains_all(
        &out,
        &["--- prompt 1 ---\nthe fox", "--- prompt 2 ---\na\ncrow", "--- prompt 3 ---\nwhy", "--- prompt 4 ---\n"],
    );
    let json = text(&dir, &["--prompts-file", "prompts.txt", "--jsonl"]);
    let prompts: Vec<Value> =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["prompt"].clone()).collect();
    assert_eq!(prompts, ["the fox", "a\ncrow", "why", ""]);
    // A text in quotes is not JSON if the first line is none.
    dir.write("quoted.txt", "the fox\n\"why\"\n");
    sample(&dir, &["--prompts-file", "quoted.txt"]).fails(65, &["quoted.txt: line 2", "U+0022"]);
    dir.write("plain.txt", "\u{feff}the fox\r\nwhy\n\n");
    let prompts = text(&dir, &["--prompts-file", "plain.txt"]);
    assert_contains_all(&prompts, &["--- prompt 1 ---\nthe fox", "--- prompt 2 ---\nwhy", "--- prompt 3 ---\n"]);
    let mut piped = dir.command("sample run --seed 1 --length 12 --prompts-file - --jsonl --escapes --temp 0.5,1");
    piped.arg("--no-echo");
    let json = Finished::run_with_stdin(piped, "the\\nfox\na crow").succeeds().0;
    let fields: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let order: Vec<_> =
        fields.iter().map(|of| (of["prompt"].as_str().unwrap(), of["temperature"].as_f64().unwrap())).collect();
    assert_eq!(order, [("the\nfox", 0.5), ("a crow", 0.5), ("the\nfox", 1.0), ("a crow", 1.0)]);
    assert!(fields.iter().all(|of| of["text"].as_str().unwrap().chars().count() == 12), "{json}");
    dir.write("empty.txt", "");
    sample(&dir, &["--prompts-file", "empty.txt"]).fails(65, &["empty.txt", "no prompts"]);
    dir.write("bad.txt", "\"fine\"\n{\"text\": 1}\n");
    sample(&dir, &["--prompts-file", "bad.txt"]).fails(65, &["bad.txt", "line 2", "prompt"]);
    dir.write("strange.txt", "the\n\u{3b1}\n");
    sample(&dir, &["--prompts-file", "strange.txt"]).fails(65, &["line 2", "U+03B1", "--skip-unknown"]);
}

#[test]
fn escapes_are_interpreted_on_request() {
    let dir = TestDir::with_run();
    assert!(text(&dir, &["--escapes", "--prompt", "the\\n\\u{66}ox"]).starts_with("the\nfox"));
    sample(&dir, &["--prompt", "the\\nfox"]).fails(2, &["U+005C"]);
    sample(&dir, &["--escapes", "--prompt", "the\\x"]).fails(2, &["escape"]);
    let banned = dir.stdout("sample run --seed 1 --length 500 --escapes --ban \\n");
    assert_eq!(banned.lines().count(), 1, "{banned}");
    let line = dir.stdout("sample run --seed 1 --length 500 --escapes --stop \\n");
    assert!(line.len() < 500 && line.lines().count() == 1, "{line}");
}

#[test]
fn a_minimum_length_delays_stop_texts() {
    let dir = TestDir::with_run();
    let with = |min: &str| {
        let options = format!("sample run --seed 1 --temp 1 --length 300 --stop e --min-length {min}");
        dir.stdout(&options).trim_end_matches('\n').chars().count()
    };
    assert!(with("0") < 50 && (100..300).contains(&with("100")), "{} {}", with("0"), with("100"));
    dir.run("sample run --stop e --min-length 1001").fails(2, &["--min-length 1001", "--length 1000"]);
    dir.run("sample run --min-length 5").fails_with_usage(2, &["--stop"]);
}

#[test]
fn a_model_of_bytes_writes_exactly_the_requested_bytes() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --bytes --steps 5");
    for length in [1, 100] {
        assert_eq!(dir.run(&format!("sample run --seed 1 --length {length}")).out.len(), length);
    }
}

#[test]
fn a_repetition_penalty_ends_loops() {
    let dir = TestDir::with_run();
    let tail = |options: &str| {
        let out = dir.stdout(&format!("sample run --seed 1 --temp 0 --length 2000 {options}"));
        let repeated = (1..200).any(|period| {
            let text = &out.trim_end().as_bytes()[1000..];
            text[period..].iter().zip(text).all(|(a, b)| a == b)
        });
        (repeated, out)
    };
    assert!(tail("").0, "the most likely characters form a loop");
    let (repeated, out) = tail("--repetition-penalty 1");
    assert!(!repeated, "{out}");
    assert_eq!(tail("--repetition-penalty 0").1, tail("").1);
}

#[test]
fn only_a_prompt_can_follow_nothing() {
    let dir = TestDir::with_run();
    dir.write("prompts.txt", "the\n\n");
    for options in [&["--context-start", "none"][..], &["--context-start", "none", "--prompts-file", "prompts.txt"]] {
        sample(&dir, options).fails(2, &["--context-start none", "prompt"]);
    }
    assert_ne!(text(&dir, &["--prompt", "the", "--context-start", "none"]), text(&dir, &["--prompt", "the"]));
}

#[test]
fn the_unknown_character_is_neither_a_stop_text_nor_left_over() {
    let dir = TestDir::empty();
    dir.write("text.txt", "abab\nabba\nx".repeat(60) + "zq");
    dir.train("text.txt --name run --min-count 9 --steps 5");
    let (_, stderr) = sample(&dir, &["--stop", "z"]).succeeds();
    assert!(stderr.contains("--stop \"z\" has no effect"), "{stderr}");
    let (_, stderr) = sample(&dir, &["--prompt", "azb"]).succeeds();
    assert!(stderr.contains("1 of the prompt's characters"), "{stderr}");
    sample(&dir, &["--escapes", "--ban", "abx\\n"]).fails(2, &["--ban"]);
}

#[test]
fn texts_start_like_lines_of_the_corpus() {
    let dir = TestDir::empty();
    let line = |i: usize| {
        format!("The {} and the {}\n", ["fox", "owl", "hen"][i % 3], ["cat", "elk", "bee", "cow"][i * i % 4])
    };
    dir.write("lines.txt", (0..600).map(line).collect::<String>());
    let impossible = |options: &str| {
        dir.run(&format!("train lines.txt --layers 1 --hidden 32 --epochs 60 --lr 0.01 --threads 1 --overwrite -q --name run {options}"))
            .succeeds();
        let out = dir.stdout("sample run --samples 1000 --length 1 --temp 1 --seed 1 --jsonl");
        let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].clone();
        out.lines().map(text).filter(|text| text != "T" && text != "\n").count()
    };
    let (with_resets, without) = (impossible(""), impossible("--reset-prob 0"));
    assert!(with_resets <= 10 && without > 3 * with_resets, "{with_resets} and {without} of 1,000");
}

#[test]
fn a_prompt_gives_the_same_text_in_every_mode() {
    let dir = TestDir::with_run();
    let line = dir.stdout("sample run --seed 1 --lines 1 --prompt the");
    let text = dir.stdout("sample run --seed 1 --prompt the --length 500");
    assert!(text.starts_with(&line), "{line} {text}");
    assert_ne!(text, dir.stdout("sample run --seed 1 --prompt the --length 500 --context-start none"));
}
