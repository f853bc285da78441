//! `charlstm sample`, `eval`, `bench`, and commands without a model.

use std::io::Read;
use std::process::{Child, Stdio};

use crate::harness::{Finished, TestDir, assert_contains_all, noise, prose};

/// Characters of one to four bytes, without a line end.
const ALPHABET: &str = "ab \u{e9}\u{4e2d}\u{1f600}";

/// A directory with a run `wide`, trained on random characters of `ALPHABET`.
fn with_wide_run() -> TestDir {
    let dir = TestDir::empty();
    dir.write("wide.txt", noise(ALPHABET, 1000));
    dir.train("wide.txt --steps 12");
    dir
}

/// Starts a command, reads `bytes` bytes of its stdout and closes the pipe.
fn read_some(dir: &TestDir, args: &str, bytes: usize) -> Child {
    let mut child = dir.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut vec![0; bytes]).unwrap();
    child
}

#[test]
fn text_depends_on_the_seed() {
    let dir = TestDir::with_run();
    let sample = |args: &str| dir.stdout(&format!("sample run --length 200 {args}"));
    let one = sample("--seed 1");
    assert_eq!(sample("--seed 1"), one);
    assert_ne!(sample("--seed 2"), one);
    assert_ne!(sample("--seed 1 --temp 1.5"), one);
    assert_ne!(sample(""), sample(""), "the default seed is random");
    let (text, stderr) = dir.run("sample run --length 60 -v").succeeds();
    let seed = stderr.trim_end().rsplit_once("seed ").unwrap().1;
    assert_eq!(dir.stdout(&format!("sample run --length 60 --seed {seed}")), text);
}

#[test]
fn length_counts_characters() {
    let dir = with_wide_run();
    for length in [1, 7, 300] {
        let text = dir.stdout(&format!("sample wide --seed 3 --temp 1 --length {length}"));
        let line = text.strip_suffix('\n').unwrap();
        assert_eq!(line.chars().count(), length);
        assert!(line.chars().all(|c| ALPHABET.contains(c)), "{line}");
        assert!(length < 300 || ALPHABET.chars().all(|c| line.contains(c)), "{line}");
    }
    dir.train("wide.txt --name bytes --bytes --steps 12");
    assert_eq!(dir.run("sample bytes --seed 3 --length 100").out.len(), 100);
}

#[test]
fn prompt_is_echoed_and_continued() {
    let dir = with_wide_run();
    let text = dir.stdout("sample wide --seed 3 --length 20 --prompt b\u{e9}\u{1f600}");
    assert!(text.starts_with("b\u{e9}\u{1f600}"), "{text}");
    assert_eq!(text.trim_end_matches('\n').chars().count(), 23);
    // Longer than a window.
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
    assert_contains_all(&stderr, &["3 ", "U+0078", "U+0079"]);
    dir.run("sample wide --prompt xaybx").fails(2, &["'x' (U+0078)", "character 1"]);
    dir.write("bad.txt", b"ab\xff");
    dir.run("sample wide --prompt-file bad.txt").fails(65, &["bad.txt", "byte 2"]);
}

#[test]
fn one_text_per_temperature() {
    let dir = with_wide_run();
    let text = |temp: &str| dir.stdout(&format!("sample wide --seed 3 --length 30 --temp {temp}"));
    let expected: String = ["0.4", "1", "2"].map(|temp| format!("--- temp {temp} ---\n{}", text(temp))).concat();
    assert_eq!(text("0.4,1,2"), expected);
    dir.run("sample wide --temp 0.4,nan").fails(2, &["--temp"]);
}

#[test]
fn banned_characters_never_appear() {
    let dir = with_wide_run();
    let text = dir.stdout("sample wide --seed 3 --length 300 --temp 2 --ban a\u{4e2d}Q");
    assert!(!text.contains(['a', '\u{4e2d}']) && text.contains('\u{1f600}'), "{text}");
    let mut all = dir.command("sample wide --ban");
    all.arg(ALPHABET);
    Finished::run(all).fails(2, &["ban"]);
}

#[test]
fn length_zero_is_unlimited_until_the_pipe_closes() {
    let dir = with_wide_run();
    for args in ["--length 0", "--length 100000000"] {
        let output = read_some(&dir, &format!("sample wide --seed 3 {args}"), 50_000).wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }
    dir.run("sample wide --length 0 --samples 2").fails(2, &["--length"]);
    dir.run("sample wide --length 0 --temp 1,2").fails(2, &["--length"]);
}

#[test]
fn greedy_text_does_not_depend_on_the_seed() {
    let dir = TestDir::with_text();
    // Trained long enough that the most likely character is unambiguous.
    dir.train("text.txt --name run --steps 150 --lr 0.02 --dropout 0 --eval-every 0");
    let sample = |args: &str| dir.stdout(&format!("sample run --length 150 --prompt fox {args}"));
    let greedy = sample("--temp 0");
    for args in [
        "--temp 0 --seed 77",
        "--temp 1e-30 --seed 4",
        "--top-k 1 --temp 1.3 --seed 5",
        "--top-p 0.000001 --seed 6",
        "--min-p 1 --seed 7",
    ] {
        assert_eq!(sample(args), greedy, "{args}");
    }
    assert_ne!(sample("--temp 1.3 --seed 5"), greedy);
    assert_ne!(sample("--top-k 2 --temp 1.3 --seed 5"), greedy);
}

#[test]
fn whole_prompt_determines_the_continuation() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 400 --lr 0.02 --dropout 0 --eval-every 0");
    // The first two end with the same letter.
    for (prompt, expected) in
        [("the wh", "the why?\n"), ("the ch", "the cheese"), ("a tr", "a trees"), ("fox sa", "fox said")]
    {
        dir.write("prompt.txt", prompt);
        let length = expected.len() - prompt.len();
        let text = dir.stdout(&format!("sample run --temp 0 --prompt-file prompt.txt --length {length}"));
        assert_eq!(text.trim_end_matches('\n'), expected.trim_end_matches('\n'));
    }
}

#[test]
fn stop_string_ends_the_text() {
    let dir = with_wide_run();
    let sample = |args: &str| dir.run(&format!("sample wide --seed 4 --temp 1 --length 300 {args}")).succeeds();
    let (whole, _) = sample("");
    let end_of = |stop: &str| whole.find(stop).unwrap() + stop.len();
    for stop in ["\u{e9}", "ab", "\u{4e2d}a"] {
        assert_eq!(sample(&format!("--stop {stop}")).0, format!("{}\n", &whole[..end_of(stop)]));
    }
    let first = end_of("ab").min(end_of("\u{4e2d}a"));
    assert_eq!(sample("--stop ab --stop \u{4e2d}a").0, format!("{}\n", &whole[..first]));
    let (text, stderr) = sample("--stop xyz");
    assert!(text == whole && stderr.contains("xyz"), "a stop string outside the vocabulary must be reported: {stderr}");
}

#[test]
fn samples_equal_single_runs_with_consecutive_seeds() {
    let dir = with_wide_run();
    for extra in ["--prompt ab", "--stop b", "--top-k 3 --precision int8"] {
        let single: String =
            (9..79).map(|seed| dir.stdout(&format!("sample wide --length 20 --seed {seed} {extra}"))).collect();
        let several = dir.stdout(&format!("sample wide --length 20 --seed 9 --samples 70 {extra}"));
        let texts = several.split_inclusive('\n').filter(|line| !line.starts_with("--- sample "));
        assert_eq!(texts.collect::<String>(), single);
        assert_ne!(single.lines().next(), single.lines().nth(1));
    }
    dir.run("sample wide --samples 0").fails_with_usage(2, &["--samples"]);
}

#[test]
fn int8_loss_is_close_to_f32() {
    let dir = TestDir::with_run();
    let loss = |precision: &str| dir.json(&format!("eval run --precision {precision}"))["loss"].as_f64().unwrap();
    let (exact, int8) = (loss("f32"), loss("int8"));
    assert!(exact != int8 && (exact - int8).abs() < 0.005, "{exact} and {int8} nats");
    assert!(dir.stdout("sample run --seed 1 --length 50 --precision int8").len() >= 50);
}

#[test]
fn bench_reports_speeds() {
    let dir = TestDir::empty();
    let speeds = dir.json("bench --hidden 8 --batch 4 --seq-len 8 --vocab 5 --threads 2");
    for speed in ["train", "sample", "sample_int8", "sample_many"] {
        assert!(speeds[format!("{speed}_chars_per_s")].as_f64().unwrap() > 0.0, "{speeds}");
    }
    assert_eq!((&speeds["threads"], &speeds["vocab"]), (&2.into(), &5.into()));
    dir.run("bench --vocab 1").fails(2, &["vocab"]);
    dir.run("bench --hidden 0").fails(2, &["hidden"]);
}

#[test]
fn finds_runs_by_name_directory_file_and_age() {
    let dir = TestDir::with_text();
    let sample = |run: &str| dir.stdout(&format!("sample {run} --seed 1 --length 80"));
    // The newest is neither the first nor the last by name.
    for (name, seed, age) in [("c", 1, 30), ("a", 2, 20), ("b", 3, 10)] {
        dir.train(&format!("text.txt --name {name} --steps 10 --seed {seed}"));
        dir.set_age(name, age);
    }
    assert_eq!(sample(""), sample("b"));
    assert_ne!(sample("a"), sample("b"));
    for target in ["checkpoints/a", "checkpoints/a/", "checkpoints/a/best.ckpt", "checkpoints/a/latest.ckpt"] {
        assert_eq!(sample(target), sample("a"), "{target}");
    }
    dir.run("train --resume c --steps 14").succeeds();
    assert_eq!(sample(""), sample("c"));
    dir.train("text.txt --out elsewhere/d --steps 10 --seed 4");
    assert_eq!(sample(""), sample("c"), "only checkpoints/ is searched");
    assert_ne!(sample("elsewhere/d"), sample("c"));
    // A run takes precedence over a file of the same name.
    dir.write("a", prose(500));
    assert_eq!(sample("a"), sample("checkpoints/a"));
}

#[test]
fn samples_from_the_best_checkpoint() {
    let dir = TestDir::with_text();
    // The second half trains with a learning rate that is far too high, so the best evaluation is not the last.
    dir.train("text.txt --name run --steps 10 --eval-every 5");
    dir.run("train --resume run --steps 20 --lr 50 --schedule constant --warmup 0 --clip 0").succeeds();
    let sample = |run: &str| dir.stdout(&format!("sample {run} --seed 1 --length 100 --temp 1"));
    assert_eq!(sample("run"), sample("checkpoints/run/best.ckpt"));
    assert_ne!(sample("run"), sample("checkpoints/run/latest.ckpt"));
}

#[test]
fn eval_reports_nats_and_bits() {
    let dir = TestDir::with_run();
    dir.write("other.txt", &prose(2000)[700..1200]);
    let score = dir.json("eval run --text other.txt");
    let (loss, bpc) = (score["loss"].as_f64().unwrap(), score["bpc"].as_f64().unwrap());
    assert_eq!(score["chars"], 500);
    let without_context = dir.json("eval run --text other.txt --context-start none");
    assert_eq!(without_context["chars"], 499, "nothing predicts the first character");
    assert!((bpc - loss / 2f64.ln()).abs() < 1e-9 && loss > 0.5 && loss < 4.0, "{score}");
    assert_contains_all(
        &dir.stdout("eval run --text other.txt"),
        &[&format!("{loss:.6}"), &format!("{bpc:.6}"), "500"],
    );
    let window = dir.json("eval run --text other.txt --window 4");
    assert_eq!((&window["chars"], &window["window"], &score["window"]), (&499.into(), &4.into(), &().into()));
    assert!((window["loss"].as_f64().unwrap() - loss).abs() > 1e-6, "{window} {score}");
    let longer = dir.json("eval run --text other.txt --window 1000");
    assert_eq!(longer["loss"], without_context["loss"], "one window is one stream");
}

#[test]
fn eval_counts_characters() {
    let dir = with_wide_run();
    dir.write("other.txt", noise(ALPHABET, 321));
    assert_eq!(dir.json("eval wide --text other.txt")["chars"], 320, "the model knows no line end");
    dir.write("strange.txt", "ab\u{3b1}ab");
    dir.run("eval wide --text strange.txt").fails(65, &["strange.txt", "U+03B1", "character 3"]);
    dir.write("short.txt", "a");
    dir.run("eval wide --text short.txt").fails(65, &["short.txt"]);
}

#[test]
fn eval_defaults_to_the_held_out_set() {
    let dir = TestDir::with_run();
    let score = dir.json("eval run --context-start none");
    dir.write("tail.txt", &prose(2000)[1800..]);
    assert_eq!(score["chars"], 199);
    assert_eq!(score["loss"], dir.json("eval run --text tail.txt --context-start none")["loss"]);
    let saved = dir.info("run", "best")["loss"].as_f64().unwrap();
    assert!((score["loss"].as_f64().unwrap() - saved).abs() < 1e-6, "{score} {saved}");
    dir.write("held.txt", prose(150));
    dir.train("text.txt --name own --steps 5 --val-file held.txt");
    assert_eq!(dir.json("eval own")["chars"], 150);
    dir.train("text.txt --name none --steps 5 --val-frac 0");
    dir.run("eval none").fails(2, &["--text"]);
    dir.write("held.txt", prose(151));
    dir.run("eval own").fails(65, &["held.txt: ", "--text"]);
}

#[test]
fn completions_cover_commands_and_flags() {
    let dir = TestDir::empty();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef charlstm"), ("fish", "complete -c charlstm")] {
        let script = dir.stdout(&format!("completions {shell}"));
        assert_contains_all(&script, &[sign, "train", "sample", "eval", "info", "completions", "seq-len", "top-p"]);
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let dir = TestDir::empty();
    let top = dir.stdout("--help");
    for (command, flag) in [
        ("train", "--resume"),
        ("sample", "--top-p"),
        ("eval", "--window"),
        ("info", "--json"),
        ("completions", "<SHELL>"),
    ] {
        let help = dir.stdout(&format!("{command} --help"));
        assert_contains_all(&help, &[&format!("Usage: charlstm {command}"), flag]);
        assert_eq!(dir.stdout(&format!("help {command}")), help);
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        assert!(top.contains(&format!("  {command} ")), "{top}");
    }
    assert_eq!(dir.stdout("--version"), format!("charlstm {}\n", env!("CARGO_PKG_VERSION")));
    let ran = dir.run("");
    assert_eq!((ran.code, ran.out.len()), (Some(2), 0));
    assert!(ran.err.contains("Usage: charlstm"), "{}", ran.err);
}
