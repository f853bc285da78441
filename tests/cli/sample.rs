//! Writing text with a trained model, scoring texts with it, and what needs no model at all.

use std::io::Read;
use std::process::Stdio;

use crate::harness::{Finished, TestDir, noise, prose};

/// Characters of one to four bytes, and no line end among them: what is sampled from a run on them is one line.
const ALPHABET: &str = "ab \u{e9}\u{4e2d}\u{1f600}";

/// A folder with a run named `wide`, trained on `wide.txt`.
fn with_wide_run() -> TestDir {
    let dir = TestDir::empty();
    dir.write("wide.txt", noise(ALPHABET, 1000));
    dir.train("wide.txt --steps 12");
    dir
}

#[test]
fn text_depends_on_the_seed() {
    let dir = TestDir::with_run();
    let sample = |args: &str| dir.stdout(&format!("sample run --length 200 {args}"));
    let one = sample("--seed 1");
    assert_eq!(sample("--seed 1"), one);
    assert_ne!(sample("--seed 2"), one);
    assert_ne!(sample("--seed 1 --temp 1.5"), one);
    assert_ne!(sample(""), sample(""), "without a seed every text is another");
}

#[test]
fn length_counts_characters() {
    let dir = with_wide_run();
    for length in [1, 7, 300] {
        let text = dir.stdout(&format!("sample wide --seed 3 --temp 1 --length {length}"));
        let line = text.strip_suffix('\n').unwrap();
        assert_eq!(line.chars().count(), length);
        assert!(line.chars().all(|c| ALPHABET.contains(c)), "{line}");
        assert!(length < 300 || ALPHABET.chars().all(|c| line.contains(c)), "every character comes up: {line}");
    }
    dir.train("wide.txt --name bytes --bytes --steps 12");
    let bytes = dir.run("sample bytes --seed 3 --length 100").out;
    assert_eq!(bytes.len(), 101, "of bytes it counts bytes");
}

#[test]
fn prompt_is_echoed_and_continued() {
    let dir = with_wide_run();
    let text = dir.stdout("sample wide --seed 3 --length 20 --prompt b\u{e9}\u{1f600}");
    assert!(text.starts_with("b\u{e9}\u{1f600}"), "{text}");
    assert_eq!(text.trim_end_matches('\n').chars().count(), 23);
    // Longer than what is read at once.
    let long = noise(ALPHABET, 400);
    dir.write("prompt.txt", &long);
    let text = dir.stdout("sample wide --seed 3 --length 60 --prompt-file prompt.txt");
    assert_eq!(text.strip_prefix(&long).unwrap().chars().count(), 61);
}

#[test]
fn prompt_can_be_piped_hidden_and_filtered() {
    let dir = with_wide_run();
    let whole = dir.stdout("sample wide --seed 3 --length 20 --prompt ab");
    let piped = dir.command("sample wide --seed 3 --length 20 --prompt-file -");
    assert_eq!(Finished::run_with_stdin(piped, "ab").succeeds().0, whole);
    assert_eq!(format!("ab{}", dir.stdout("sample wide --seed 3 --length 20 --prompt ab --no-echo")), whole);
    let (text, stderr) = dir.run("sample wide --seed 3 --length 20 --prompt xaybx --skip-unknown").succeeds();
    assert_eq!(text, whole);
    assert!(stderr.contains("3 unknown characters") && stderr.contains("'x' (U+0078), 'y' (U+0079)"), "{stderr}");
    dir.run("sample wide --prompt xaybx").fails(2, &["'x' (U+0078), at character 1"]);
    dir.write("bad.txt", b"ab\xff");
    dir.run("sample wide --prompt-file bad.txt").fails(65, &["bad.txt", "byte 2"]);
    let (_, stderr) = dir.run("sample wide --seed 3 --length 5 --stop xyz").succeeds();
    assert!(stderr.contains("--stop \"xyz\" has no effect"), "{stderr}");
}

#[test]
fn one_text_per_temperature() {
    let dir = with_wide_run();
    let text = |temp: &str| dir.stdout(&format!("sample wide --seed 3 --length 30 --temp {temp}"));
    let wanted: String = ["0.4", "1", "2"].map(|temp| format!("--- temp {temp} ---\n{}", text(temp))).concat();
    assert_eq!(text("0.4,1,2"), wanted);
    dir.run("sample wide --temp 0.4,nan").fails(2, &["--temp"]);
}

#[test]
fn banned_characters_never_appear() {
    let dir = with_wide_run();
    let text = dir.stdout("sample wide --seed 3 --length 300 --temp 2 --ban a\u{4e2d}Q");
    assert!(!text.contains(['a', '\u{4e2d}']) && text.contains('\u{1f600}'), "{text}");
    let mut all = dir.command("sample wide --ban");
    all.arg(ALPHABET);
    Finished::run(all).fails(2, &["--ban excludes all characters"]);
}

#[test]
fn length_zero_is_unlimited() {
    let dir = with_wide_run();
    let mut command = dir.command("sample wide --seed 3 --length 0");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 50_000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    dir.run("sample wide --length 0 --samples 2").fails(2, &["--length 0"]);
    dir.run("sample wide --length 0 --temp 1,2").fails(2, &["--length 0"]);
}

#[test]
fn greedy_text_does_not_depend_on_the_seed() {
    let dir = TestDir::with_text();
    // Trained long enough to be sure of something.
    dir.train("text.txt --name run --steps 150 --lr 0.02 --dropout 0 --eval-every 0");
    let sample = |args: &str| dir.stdout(&format!("sample run --length 150 --prompt fox {args}"));
    let greedy = sample("--temp 0");
    assert_eq!(sample("--temp 0"), greedy);
    assert_eq!(sample("--temp 0 --seed 77"), greedy);
    assert_eq!(sample("--top-k 1 --temp 1.3 --seed 5"), greedy);
    assert_eq!(sample("--top-p 0.000001 --seed 6"), greedy);
    assert_eq!(sample("--min-p 1 --seed 7"), greedy);
    assert_ne!(sample("--temp 1.3 --seed 5"), greedy);
    assert_ne!(sample("--top-k 2 --temp 1.3 --seed 5"), greedy);
}

#[test]
fn whole_prompt_determines_the_continuation() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 400 --lr 0.02 --dropout 0 --eval-every 0");
    // The first two end with the same letter; what came before it decides.
    for (prompt, wanted) in
        [("the wh", "the why?\n"), ("the ch", "the cheese"), ("a tr", "a trees"), ("fox sa", "fox said")]
    {
        dir.write("prompt.txt", prompt);
        let length = wanted.len() - prompt.len();
        let text = dir.stdout(&format!("sample run --temp 0 --prompt-file prompt.txt --length {length}"));
        assert_eq!(text.trim_end_matches('\n'), wanted.trim_end_matches('\n'));
    }
}

#[test]
fn stop_string_ends_the_text() {
    let dir = with_wide_run();
    let sample = |args: &str| dir.stdout(&format!("sample wide --seed 4 --temp 1 --length 300 {args}"));
    let whole = sample("");
    for stop in ["\u{e9}", "ab", "\u{4e2d}a"] {
        let end = whole.find(stop).unwrap() + stop.len();
        assert_eq!(sample(&format!("--stop {stop}")), format!("{}\n", &whole[..end]));
    }
    let first = ["ab", "\u{4e2d}a"].map(|stop| whole.find(stop).unwrap() + stop.len()).into_iter().min().unwrap();
    assert_eq!(sample("--stop ab --stop \u{4e2d}a"), format!("{}\n", &whole[..first]));
    assert_eq!(dir.run("sample wide --seed 4 --temp 1 --length 300 --stop never").succeeds().0, whole);
}

#[test]
fn samples_equal_single_runs_with_consecutive_seeds() {
    let dir = with_wide_run();
    let text = dir.stdout("sample wide --seed 4 --length 50 --prompt ab --samples 3");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines.iter().all(|line| line.starts_with("ab") && line.chars().count() == 52), "{text}");
    assert!(lines[0] != lines[1] && lines[1] != lines[2] && lines[0] != lines[2], "{text}");
    assert_eq!(dir.stdout("sample wide --seed 4 --length 50 --prompt ab"), format!("{}\n", lines[0]));
    dir.run("sample wide --samples 0").fails_with_usage(2, &["--samples"]);
    // Side by side each is the one that its seed gives alone, stops included.
    for extra in ["", "--stop b", "--top-k 3 --precision int8"] {
        let alone: String =
            (9..79).map(|seed| dir.stdout(&format!("sample wide --length 20 --seed {seed} {extra}"))).collect();
        assert_eq!(dir.stdout(&format!("sample wide --length 20 --seed 9 --samples 70 {extra}")), alone);
    }
}

#[test]
fn int8_loss_is_close_to_f32() {
    let dir = TestDir::with_run();
    let loss = |precision: &str| -> f64 {
        let stderr = dir.stdout(&format!("eval run --json --precision {precision}"));
        serde_json::from_str::<serde_json::Value>(&stderr).unwrap()["loss"].as_f64().unwrap()
    };
    let (exact, int8) = (loss("f32"), loss("int8"));
    assert!(exact != int8 && (exact - int8).abs() < 0.005, "{exact} and {int8} nats");
    assert!(dir.stdout("sample run --seed 1 --length 50 --precision int8").len() >= 50);
    dir.run("sample run --precision int4").fails_with_usage(2, &["int4", "int8"]);
}

#[test]
fn bench_reports_speeds() {
    let dir = TestDir::empty();
    let size = "--hidden 8 --batch 4 --seq-len 8 --vocab 5 --threads 2 --json";
    let stderr: serde_json::Value = serde_json::from_str(&dir.stdout(&format!("bench {size}"))).unwrap();
    for speed in ["train", "sample", "sample_int8", "sample_many"] {
        assert!(stderr[format!("{speed}_chars_per_s")].as_f64().unwrap() > 0.0, "{stderr}");
    }
    assert_eq!((stderr["threads"].as_u64(), stderr["vocab"].as_u64()), (Some(2), Some(5)));
    dir.run("bench --vocab 1").fails(2, &["--vocab"]);
    dir.run("bench --hidden 0").fails(2, &["hidden"]);
}

#[test]
fn finds_runs_by_name_directory_file_and_age() {
    let dir = TestDir::with_text();
    let sample = |run: &str| dir.stdout(&format!("sample {run} --seed 1 --length 80"));
    // In this order the newest is neither the first nor the last by name.
    for (name, seed) in [("c", 1), ("a", 2), ("b", 3)] {
        dir.train(&format!("text.txt --name {name} --steps 10 --seed {seed}"));
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    assert_eq!(sample(""), sample("b"));
    assert_ne!(sample("a"), sample("b"));
    for place_of_a in ["checkpoints/a", "checkpoints/a/", "checkpoints/a/best.ckpt", "checkpoints/a/latest.ckpt"] {
        assert_eq!(sample(place_of_a), sample("a"), "{place_of_a}");
    }
    dir.run("train --resume c --steps 14").succeeds();
    assert_eq!(sample(""), sample("c"));
    dir.train("text.txt --out elsewhere/d --steps 10 --seed 4");
    assert_eq!(sample(""), sample("c"), "only what is under checkpoints is looked at");
    assert_ne!(sample("elsewhere/d"), sample("c"));
}

#[test]
fn samples_from_the_best_checkpoint() {
    let dir = TestDir::with_text();
    // The second half is trained far too fast, so the best evaluation comes before the end.
    dir.train("text.txt --name run --steps 10 --eval-every 5");
    dir.run("train --resume run --steps 20 --lr 50 --schedule constant --warmup 0 --clip 0").succeeds();
    let sample = |run: &str| dir.stdout(&format!("sample {run} --seed 1 --length 100 --temp 1"));
    assert_eq!(sample("run"), sample("checkpoints/run/best.ckpt"));
    assert_ne!(sample("run"), sample("checkpoints/run/latest.ckpt"));
}

#[test]
fn closed_pipe_is_not_an_error() {
    let dir = TestDir::with_run();
    let mut command = dir.command("sample run --length 100000000");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    // Its end of the pipe was dropped just now.
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn stdout_contains_only_the_text() {
    let dir = TestDir::with_run();
    let text = dir.stdout("sample run --seed 12345 --length 60");
    let (verbose, stderr) = dir.run("sample run --seed 12345 --length 60 -v").succeeds();
    assert_eq!(verbose, text);
    assert!(stderr.contains("checkpoints/run/best.ckpt") && stderr.contains("seed 12345"), "{stderr}");
    // With the seed that it names, a text comes back.
    let (text, stderr) = dir.run("sample run --length 60 -v").succeeds();
    let seed = stderr.trim_end().rsplit_once("seed ").unwrap().1;
    assert_eq!(dir.stdout(&format!("sample run --length 60 --seed {seed}")), text);
}

#[test]
fn eval_reports_nats_and_bits() {
    let dir = TestDir::with_run();
    let text = prose(2000);
    let other = &text[700..1200];
    dir.write("other.txt", other);
    let score = dir.json("eval run --text other.txt");
    let (loss, bpc) = (score["loss"].as_f64().unwrap(), score["bpc"].as_f64().unwrap());
    assert_eq!(score["chars"], 499, "nothing predicts the first character");
    assert!((bpc - loss / 2f64.ln()).abs() < 1e-9 && loss > 0.5 && loss < 4.0, "{score}");
    let line = dir.stdout("eval run --text other.txt");
    assert!(line.starts_with(&format!("{loss:.6} nats, {bpc:.6} bits per character over 499 characters")), "{line}");
    assert!(line.contains("carried state") && line.lines().count() == 1, "{line}");
    let window = dir.json("eval run --text other.txt --window 4");
    assert_eq!((&window["chars"], &window["window"], &score["window"]), (&499.into(), &4.into(), &().into()));
    assert!((window["loss"].as_f64().unwrap() - loss).abs() > 1e-6, "{window} {score}");
    let longer = dir.json("eval run --text other.txt --window 1000");
    assert!((longer["loss"].as_f64().unwrap() - loss).abs() < 1e-6, "one window is one stream: {longer} {score}");
    assert!(dir.stdout("eval run --text other.txt --window 4").contains("windows of 4"));
}

#[test]
fn eval_counts_characters() {
    let dir = with_wide_run();
    dir.write("other.txt", noise(ALPHABET, 321));
    assert_eq!(dir.json("eval wide --text other.txt")["chars"], 320);
    dir.write("strange.txt", "ab\u{3b1}ab");
    let refused = dir.run("eval wide --text strange.txt");
    assert!(refused.err.contains("strange.txt"), "{}", refused.err);
    refused.fails(65, &["U+03B1", "character 3"]);
    dir.write("short.txt", "a");
    dir.run("eval wide --text short.txt").fails(65, &["short.txt", "two characters"]);
}

#[test]
fn eval_defaults_to_the_held_out_set() {
    let dir = TestDir::with_run();
    let score = dir.json("eval run");
    dir.write("tail.txt", &prose(2000)[1800..]);
    assert_eq!(score["chars"], 199);
    assert_eq!(score["loss"], dir.json("eval run --text tail.txt")["loss"]);
    let reported = dir.info("run", "best")["loss"].as_f64().unwrap();
    assert!((score["loss"].as_f64().unwrap() - reported).abs() < 1e-6, "{score} {reported}");
    dir.write("held.txt", prose(150));
    dir.train("text.txt --name own --steps 5 --val-file held.txt");
    assert_eq!(dir.json("eval own")["chars"], 149);
    dir.train("text.txt --name none --steps 5 --val-frac 0");
    dir.run("eval none").fails(2, &["no held-out text", "--text"]);
    dir.write("held.txt", prose(151));
    dir.run("eval own").fails(65, &["held.txt: the text differs", "--text"]);
}

#[test]
fn completions_cover_commands_and_flags() {
    let dir = TestDir::empty();
    let scripts = ["bash", "zsh", "fish"].map(|shell| dir.stdout(&format!("completions {shell}")));
    for (script, sign) in scripts.iter().zip(["complete -F", "#compdef charlstm", "complete -c charlstm"]) {
        assert!(script.contains(sign), "{sign} is not in {script}");
        for word in ["train", "sample", "eval", "info", "completions", "seq-len", "top-p"] {
            assert!(script.contains(word), "{word} is not in {script}");
        }
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let dir = TestDir::empty();
    for (command, flag) in [
        ("train", "--resume"),
        ("sample", "--top-p"),
        ("eval", "--window"),
        ("info", "--json"),
        ("completions", "<SHELL>"),
    ] {
        let help = dir.stdout(&format!("{command} --help"));
        assert!(help.contains(&format!("Usage: charlstm {command}")) && help.contains(flag), "{help}");
        assert_eq!(dir.stdout(&format!("help {command}")), help);
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{help}");
    }
    let help = dir.stdout("--help");
    for command in ["train", "sample", "eval", "info", "completions"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
    }
    assert_eq!(dir.stdout("--version"), format!("charlstm {}\n", env!("CARGO_PKG_VERSION")));
    // Nothing at all is no error of the program, but no success either.
    let ran = dir.run("");
    assert_eq!((ran.code, ran.out.len()), (Some(2), 0));
    assert!(ran.err.contains("Usage: charlstm"), "{}", ran.err);
}
