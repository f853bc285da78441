//! `charlstm train`: the files of a run, and resuming, overwriting and reproducing it.

use serde_json::Value;

use crate::harness::{Finished, TINY, TestDir, assert_contains_all, noise, numbers_in, prose, steps_of, wait_until};

const ESCAPE: char = '\u{1b}';

fn keys(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn run_directory_contains_the_documented_files() {
    let dir = TestDir::with_text();
    let (out, _) = dir.run(&format!("train text.txt {TINY} --steps 20 --log-every 5 --eval-every 10")).succeeds();
    assert_eq!(out, "");
    let mut files: Vec<String> = std::fs::read_dir(dir.path("checkpoints/text"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    files.sort();
    assert_eq!(files, ["best.ckpt", "config.toml", "latest.ckpt", "loss.svg", "metrics.jsonl"]);
    let metrics = dir.metrics("text");
    assert_eq!((steps_of(&metrics, "train"), steps_of(&metrics, "eval")), (vec![5, 10, 15, 20], vec![10, 20]));
    let number = |record: &Value, name: &str| record[name].as_f64().unwrap();
    for record in &metrics {
        if record["kind"] == "train" {
            assert_eq!(keys(record), ["kind", "step", "epoch", "loss", "lr", "grad_norm", "chars_per_s", "elapsed_s"]);
            assert!(number(record, "grad_norm") > 0.0 && number(record, "chars_per_s") > 0.0, "{record}");
        } else {
            assert_eq!(keys(record), ["kind", "step", "epoch", "loss", "bpc", "best", "elapsed_s"]);
            assert!((number(record, "bpc") - number(record, "loss") / 2f64.ln()).abs() < 1e-9, "{record}");
            assert!(record["best"].is_boolean(), "{record}");
        }
    }
    let elapsed: Vec<f64> = metrics.iter().map(|record| number(record, "elapsed_s")).collect();
    assert!(elapsed[0] > 0.0 && elapsed.is_sorted(), "{elapsed:?}");
    let plot = dir.read("checkpoints/text/loss.svg");
    assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"), "{plot}");
    assert_contains_all(&dir.read("checkpoints/text/config.toml"), &["hidden = 16\n", "steps = 20\n"]);
}

#[test]
fn info_reports_step_and_hashes() {
    let dir = TestDir::with_run();
    let facts = dir.json("info run");
    assert_eq!((&facts["step"], &facts["hidden"]), (&20.into(), &16.into()));
    for name in ["weights_hash", "state_hash"] {
        let hash = facts[name].as_str().unwrap();
        assert!(hash.len() == 32 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{name}: {hash}");
    }
    assert_eq!(dir.json("info checkpoints/run/best.ckpt")["state_hash"], Value::Null);
    assert!(dir.stdout("info run").contains(facts["weights_hash"].as_str().unwrap()));
}

#[test]
fn resumed_run_equals_uninterrupted_run() {
    let dir = TestDir::empty();
    // An epoch is 12 steps, the last one shorter than the others.
    dir.write("text.txt", prose(205));
    let settings = "text.txt --steps 30 --eval-every 7 --dropout 0.3";
    dir.train(&format!("{settings} --name whole"));
    dir.train(&format!("{settings} --name parts --stop-at 13"));
    assert_eq!(dir.info("parts", "step"), 13);
    assert_ne!(dir.info("parts", "state_hash"), dir.info("whole", "state_hash"));
    dir.run("train --resume parts --stop-at 24").succeeds();
    dir.run("train --resume checkpoints/parts").succeeds();
    dir.assert_same_run("parts", "whole");
    let losses = |run| -> Vec<(Value, Value)> {
        let records = dir.metrics(run).into_iter().filter(|record| record["kind"] == "eval");
        records.map(|record| (record["step"].clone(), record["loss"].clone())).collect()
    };
    assert_eq!(losses("parts"), losses("whole"));
}

#[test]
fn resume_without_name_uses_the_newest_run() {
    let dir = TestDir::with_run();
    dir.set_age("run", 60);
    dir.train("text.txt --name newer --steps 30 --stop-at 5");
    dir.run("train --resume").succeeds();
    assert_eq!((dir.info("run", "step"), dir.info("newer", "step")), (20.into(), 30.into()));
}

#[test]
fn finished_run_can_be_extended() {
    let dir = TestDir::with_run();
    let before = dir.info("run", "state_hash");
    let (_, stderr) = dir.run("train --resume run").succeeds();
    assert_contains_all(&stderr, &["20", "--steps"]);
    dir.run("train --resume run --steps 10").succeeds();
    assert!(dir.read("checkpoints/run/config.toml").contains("steps = 20\n"), "nothing is trained or changed");
    assert_eq!(dir.info("run", "state_hash"), before);
    dir.resume_to("run", 33);
    assert!(dir.read("checkpoints/run/config.toml").contains("steps = 33\n"));
}

#[test]
fn overwrite_removes_the_old_run() {
    let dir = TestDir::with_run();
    let before = dir.info("run", "weights_hash");
    dir.train("text.txt --name run --overwrite --steps 6 --log-every 3 --eval-every 0 --seed 2");
    assert_eq!(dir.info("run", "step"), 6);
    assert_ne!(dir.info("run", "weights_hash"), before);
    assert_eq!(steps_of(&dir.metrics("run"), "train"), [3, 6]);
    assert!(!dir.exists("checkpoints/run/best.ckpt"));
}

#[test]
fn saved_configuration_reproduces_the_run() {
    let dir = TestDir::with_text();
    dir.write("held.txt", prose(300));
    dir.train("text.txt --name first --steps 15 --seed 9 --lr 0.01 --optimizer rmsprop --val-file held.txt");
    dir.run("train --config checkpoints/first/config.toml --name second").succeeds();
    dir.assert_same_run("first", "second");
    assert_eq!(dir.read("checkpoints/first/config.toml"), dir.read("checkpoints/second/config.toml"));
    dir.run("train --config checkpoints/first/config.toml --name third --seed 8").succeeds();
    assert_eq!(dir.info("third", "seed"), 8);
    assert_ne!(dir.info("first", "weights_hash"), dir.info("third", "weights_hash"));
}

#[test]
fn weights_depend_on_seed_but_not_on_threads() {
    let dir = TestDir::with_text();
    let settings = "train text.txt --layers 2 --hidden 16 --batch 5 --seq-len 8 --steps 15";
    let hash = |name: &str, more: &str| {
        dir.run(&format!("{settings} --name {name} {more}")).succeeds();
        dir.info(name, "weights_hash")
    };
    let one = hash("one", "--threads 1");
    assert_eq!(hash("two", "--threads 2"), one);
    assert_eq!(hash("three", "--threads 3"), one);
    assert_ne!(hash("other", "--threads 1 --seed 2"), one);
}

#[test]
fn notes_carriage_returns() {
    let dir = TestDir::empty();
    dir.write("dos.txt", format!("\u{feff}{}", prose(900).replace('\n', "\r\n")));
    dir.write("plain.txt", prose(900));
    assert_contains_all(&dir.train("dos.txt --steps 5"), &["note: ", "CRLF", "--newline lf"]);
    assert!(!dir.train("plain.txt --steps 5").contains("note: "));
}

#[test]
fn files_and_directories_are_concatenated() {
    let dir = TestDir::empty();
    let text = prose(1500);
    dir.write("whole.txt", &text);
    // Files end with lines: otherwise a line end would be added.
    let after = |at: usize| at + text[at..].find('\n').unwrap() + 1;
    let (first, second) = (after(400), after(1100));
    dir.write("parts/a.txt", &text[..first]);
    dir.write("parts/b.txt", &text[first..second]);
    dir.write("parts/below/not-entered.txt", &text);
    dir.write("parts/d.txt", &text[second..]);
    dir.write("parts/picture.png", b"\x89PNG\x00\x01");
    let run = |texts: &str, name: &str| {
        let stderr = dir.train(&format!("{texts} --name {name} --steps 15"));
        let lengths = stderr.lines().find(|line| line.starts_with("Text: ")).unwrap();
        assert_eq!(numbers_in(lengths)[..2], [1350, 150], "{stderr}");
        (dir.info(name, "weights_hash"), stderr)
    };
    let (whole, _) = run("whole.txt", "whole");
    assert_eq!(run("parts/a.txt parts/b.txt parts/d.txt", "files").0, whole);
    let (hash, stderr) = run("parts", "folder");
    assert_eq!(hash, whole);
    assert!(stderr.contains("picture.png"), "{stderr}");
    assert_ne!(run("parts/b.txt parts/a.txt parts/d.txt", "swapped").0, whole);
    dir.train("parts --steps 2");
    assert!(dir.exists("checkpoints/parts/latest.ckpt"), "a run is named after its corpus");
}

#[test]
fn quiet_prints_nothing() {
    let dir = TestDir::with_text();
    assert_eq!(dir.stdout(&format!("train -q text.txt {TINY} --name run --steps 20 --eval-every 5")), "");
    assert_eq!(dir.stdout("train --resume run --steps 25 --quiet"), "");
    dir.run("train --quiet absent.txt").fails(66, &["absent.txt"]);
}

#[test]
fn color_follows_flag_and_environment() {
    let dir = TestDir::with_text();
    let is_colored = |args: &str, variables: &[&str]| {
        let mut command = dir.command(args);
        command.envs(variables.iter().map(|name| (name, "1")));
        let Finished { code, err, .. } = Finished::run(command);
        assert_eq!(code, Some(66));
        assert_contains_all(&err, &["error:", "absent.txt"]);
        err.contains(ESCAPE)
    };
    assert!(is_colored("train absent.txt --color always", &[]));
    assert!(is_colored("train absent.txt", &["CLICOLOR_FORCE"]));
    assert!(!is_colored("train absent.txt", &[]), "stderr is not a terminal in this test");
    assert!(!is_colored("train absent.txt", &["NO_COLOR", "CLICOLOR_FORCE"]));
    assert!(!is_colored("train absent.txt --color never", &["CLICOLOR_FORCE"]));
}

#[test]
fn killed_run_resumes_from_its_last_checkpoint() {
    let dir = TestDir::with_text();
    let settings = "--steps 1000000000 --eval-every 0 --log-every 1 --save-every 4000";
    let running = dir.start_training("killed", settings);
    // Well after a checkpoint and well before the next.
    wait_until("records after the first checkpoint", || dir.metrics_lines("killed") >= 4500);
    assert_eq!(running.stop_with("KILL"), None);
    let logged = dir.metrics_lines("killed") as u64;
    let step = dir.assert_resumes_identically("killed", settings);
    assert!(step > 0 && step.is_multiple_of(4000) && logged > step, "{logged} records, saved at {step}");
    assert!(steps_of(&dir.metrics("killed"), "train").into_iter().eq(1..=step + 5), "one record per step");
}

#[test]
fn evaluation_can_be_disabled() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 20 --eval-every 0");
    assert!(dir.exists("checkpoints/run/latest.ckpt") && !dir.exists("checkpoints/run/best.ckpt"));
    assert_eq!(steps_of(&dir.metrics("run"), "eval"), [0; 0]);
    let text = dir.stdout("sample run --length 30 --seed 1");
    assert_eq!(text, dir.stdout("sample checkpoints/run/latest.ckpt --length 30 --seed 1"));
}

#[test]
fn patience_stops_training_early() {
    let dir = TestDir::empty();
    dir.write("text.txt", noise("abcdefgh", 2000));
    dir.write("held.txt", noise("hgfedcba", 400));
    // At this learning rate the weights do not change, so only the first evaluation is an improvement.
    let settings = "--steps 1000 --lr 1e-30 --eval-every 2 --val-file held.txt";
    dir.train(&format!("text.txt --name run {settings} --patience 3"));
    assert_eq!(steps_of(&dir.metrics("run"), "eval"), [2, 4, 6, 8]);
    let best: Vec<Value> = dir.metrics("run").iter().filter_map(|record| record.get("best").cloned()).collect();
    assert_eq!(best, [true, false, false, false]);
    assert_eq!((dir.info("run", "step"), dir.info("run", "best")["step"].clone()), (8.into(), 2.into()));
    let without = format!("train text.txt --name other {TINY} --patience 3 --eval-every 0");
    dir.run(&without).fails(2, &["patience"]);
}

#[test]
fn diverged_run_keeps_its_last_good_checkpoint() {
    let dir = TestDir::with_text();
    let settings = "--lr 1e6 --clip 0 --optimizer sgd --schedule constant --warmup 0 --dropout 0";
    let train = format!("train text.txt --name wild {TINY} {settings} --steps 500 --save-every 1 --eval-every 0");
    let ran = dir.run(&train);
    assert_eq!(ran.code, Some(70), "{}", ran.err);
    assert_contains_all(&ran.err, &["error: ", "diverged", "checkpoints/wild/latest.ckpt"]);
    let step = dir.info("wild", "step").as_u64().unwrap();
    assert!((1..500).contains(&step), "{step}");
    assert!(dir.stdout("sample wild --length 20 --seed 1").len() >= 20);
    assert!(dir.json("eval wild")["loss"].is_number());
}

#[test]
fn loss_above_a_uniform_guess_counts_as_diverged() {
    let dir = TestDir::with_text();
    for (lr, code, warnings) in [("3", Some(70), 1), ("0.01", Some(0), 0)] {
        let args = format!(
            "train {TINY} text.txt --name run --overwrite --steps 200 --eval-every 20 --schedule constant --lr {lr}"
        );
        let ran = dir.run(&args);
        assert_eq!((ran.code, ran.err.matches("warning: ").count()), (code, warnings), "{}", ran.err);
    }
}

#[test]
fn control_characters_in_names_are_escaped() {
    let dir = TestDir::empty();
    let name = "a\u{1b}[2J\nerror: forged.txt";
    dir.write(name, prose(900));
    let run = |args: &[&str]| {
        let mut command = dir.command("");
        command.args(args);
        Finished::run(command).succeeds()
    };
    let tiny: Vec<&str> = TINY.split_whitespace().collect();
    let train = ["train", name, "--name", "run", "--steps", "2"];
    for output in [run(&[&train[..], &tiny].concat()).1, run(&["info", "run"]).0] {
        assert!(output.contains("a\\u{1b}[2J\\nerror: forged.txt"), "{output}");
        assert!(!output.contains(ESCAPE) && !output.lines().any(|line| line.starts_with("error:")), "{output}");
    }
}

#[test]
fn trains_on_built_in_text_by_default() {
    let dir = TestDir::empty();
    dir.train("--steps 3 --eval-every 0");
    let run = std::fs::read_dir(dir.path("checkpoints")).unwrap().next().unwrap().unwrap().file_name();
    let run = run.to_str().unwrap();
    assert_eq!(dir.info(run, "text"), Value::from(vec![run]), "the run is named after the text");
    assert_eq!(dir.info(run, "step"), 3);
}
