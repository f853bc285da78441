//! What a run leaves behind, how it is resumed, replaced and made again.

use crate::harness::{Place, Ran, TINY, noise, number_after, prose, steps_of};
use serde_json::Value;

const ESCAPE: char = '\u{1b}';

fn keys(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_run_leaves_what_is_documented() {
    let place = Place::with_text();
    let run = place.run(&format!("train text.txt {TINY} --steps 20 --log-every 5 --eval-every 10"));
    assert_eq!(run.out, b"", "progress is no output");
    run.succeeds();
    let mut files: Vec<_> = std::fs::read_dir(place.path("checkpoints/text")).unwrap().collect();
    files.retain(|file| !file.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    let mut files: Vec<_> = files.into_iter().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["best.ckpt", "config.toml", "latest.ckpt", "loss.svg", "metrics.jsonl"]);
    let metrics = place.metrics("text");
    assert_eq!((steps_of(&metrics, "train"), steps_of(&metrics, "eval")), (vec![5, 10, 15, 20], vec![10, 20]));
    let finite = |record: &Value, name: &str| record[name].as_f64().unwrap();
    for record in &metrics {
        if record["kind"] == "train" {
            assert_eq!(keys(record), ["kind", "step", "epoch", "loss", "lr", "grad_norm", "chars_per_s", "elapsed_s"]);
            assert!(finite(record, "grad_norm") > 0.0 && finite(record, "chars_per_s") > 0.0, "{record}");
        } else {
            assert_eq!(keys(record), ["kind", "step", "epoch", "loss", "bpc", "best", "elapsed_s"]);
            assert!((finite(record, "bpc") - finite(record, "loss") / 2f64.ln()).abs() < 1e-9, "{record}");
            assert!(record["best"].is_boolean(), "{record}");
        }
    }
    let clock: Vec<f64> = metrics.iter().map(|record| finite(record, "elapsed_s")).collect();
    assert!(clock[0] > 0.0 && clock.is_sorted(), "{clock:?}");
    let plot = place.read("checkpoints/text/loss.svg");
    assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>") && plot.contains("held out"));
    let config = place.read("checkpoints/text/config.toml");
    assert!(config.contains("hidden = 16\n") && config.contains("steps = 20\n"), "{config}");
}

#[test]
fn info_tells_a_step_and_hashes() {
    let place = Place::with_run();
    let facts = place.json("info run");
    assert_eq!((&facts["step"], &facts["hidden"], &facts["holds"]), (&20.into(), &16.into(), &"everything".into()));
    for name in ["weights_hash", "state_hash"] {
        let hash = facts[name].as_str().unwrap();
        assert!(hash.len() == 32 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{name}: {hash}");
    }
    let best = place.json("info checkpoints/run/best.ckpt");
    assert_eq!((&best["holds"], &best["state_hash"]), (&"weights only".into(), &Value::Null));
    let lines = place.out("info run");
    assert!(lines.contains("weights hash") && lines.contains(facts["weights_hash"].as_str().unwrap()), "{lines}");
}

#[test]
fn a_run_in_parts_is_the_run_in_one() {
    let place = Place::empty();
    // An epoch is 12 steps, the last one shorter than the others.
    place.write("text.txt", prose(205));
    let settings = "text.txt --steps 30 --eval-every 7 --dropout 0.3";
    place.train(&format!("{settings} --name whole"));
    let said = place.train(&format!("{settings} --name parts --stop-at 13"));
    assert!(said.contains("Saved at step 13") && said.contains("train --resume checkpoints/parts"), "{said}");
    assert_eq!(place.fact("parts", "step"), 13);
    assert_ne!(place.fact("parts", "state_hash"), place.fact("whole", "state_hash"));
    place.run("train --resume parts --stop-at 24").succeeds();
    place.run("train --resume checkpoints/parts").succeeds();
    assert_eq!(place.fact("parts", "step"), 30);
    for hash in ["state_hash", "weights_hash"] {
        assert_eq!(place.fact("parts", hash), place.fact("whole", hash), "{hash}");
    }
    let evaluations = |run| -> Vec<(Value, Value)> {
        let records = place.metrics(run).into_iter().filter(|record| record["kind"] == "eval");
        records.map(|record| (record["step"].clone(), record["loss"].clone())).collect()
    };
    assert_eq!(evaluations("parts"), evaluations("whole"));
}

#[test]
fn resume_alone_goes_on_with_the_newest_run() {
    let place = Place::with_run();
    std::thread::sleep(std::time::Duration::from_millis(30));
    place.train("text.txt --name newer --steps 30 --stop-at 5");
    place.run("train --resume").succeeds();
    assert_eq!((place.fact("run", "step"), place.fact("newer", "step")), (20.into(), 30.into()));
}

#[test]
fn a_finished_run_says_so_and_can_be_extended() {
    let place = Place::with_run();
    let before = place.fact("run", "state_hash");
    let (_, said) = place.run("train --resume run").succeeds();
    assert!(said.contains("All 20 steps are made already") && said.contains("--steps N"), "{said}");
    place.run("train --resume run --steps 10").succeeds();
    assert!(
        place.read("checkpoints/run/config.toml").contains("steps = 20\n"),
        "nothing is done, so nothing is changed"
    );
    assert_eq!(place.fact("run", "state_hash"), before);
    let (_, said) = place.run("train --resume run --steps 33").succeeds();
    assert!(said.contains("33 steps now instead of 20") && said.contains("from step 20 of 33"), "{said}");
    assert_eq!(place.fact("run", "step"), 33);
    assert!(place.read("checkpoints/run/config.toml").contains("steps = 33\n"));
}

#[test]
fn overwrite_leaves_nothing_of_the_old_run() {
    let place = Place::with_run();
    let before = place.fact("run", "weights_hash");
    place.train("text.txt --name run --overwrite --steps 6 --log-every 3 --eval-every 0 --seed 2");
    assert_eq!(place.fact("run", "step"), 6);
    assert_ne!(place.fact("run", "weights_hash"), before);
    assert_eq!(steps_of(&place.metrics("run"), "train"), [3, 6]);
    assert!(!place.has("checkpoints/run/best.ckpt"));
}

#[test]
fn the_configuration_of_a_run_makes_it_again() {
    let place = Place::with_text();
    place.write("held.txt", prose(300));
    place.train("text.txt --name first --steps 15 --seed 9 --lr 0.01 --optimizer rmsprop --val-file held.txt");
    place.run("train --config checkpoints/first/config.toml --name second").succeeds();
    assert_eq!(place.fact("first", "weights_hash"), place.fact("second", "weights_hash"));
    assert_eq!(place.read("checkpoints/first/config.toml"), place.read("checkpoints/second/config.toml"));
    place.run("train --config checkpoints/first/config.toml --name third --seed 8").succeeds();
    assert_eq!(place.fact("third", "seed"), 8);
    assert_ne!(place.fact("first", "weights_hash"), place.fact("third", "weights_hash"));
}

#[test]
fn threads_do_not_matter_and_the_seed_does() {
    let place = Place::with_text();
    let settings = "train text.txt --layers 2 --hidden 16 --batch 5 --seq-len 8 --steps 15";
    let hash = |name: &str, more: &str| {
        place.run(&format!("{settings} --name {name} {more}")).succeeds();
        (place.fact(name, "weights_hash"), place.fact(name, "state_hash"))
    };
    let one = hash("one", "--threads 1");
    assert_eq!(hash("two", "--threads 2"), one);
    assert_eq!(hash("three", "--threads 3"), one);
    assert_ne!(hash("other", "--threads 1 --seed 2"), one);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_mentioned() {
    let place = Place::empty();
    place.write("dos.txt", format!("\u{feff}{}", prose(900).replace('\n', "\r\n")));
    place.write("plain.txt", prose(900));
    let said = place.train("dos.txt --steps 5");
    assert!(said.contains("note: ") && said.contains("byte order mark") && said.contains("carriage returns"), "{said}");
    let said = place.train("plain.txt --steps 5");
    assert!(!said.contains("note: "), "{said}");
}

#[test]
fn several_files_and_folders_are_one_text() {
    let place = Place::empty();
    let text = prose(1500);
    place.write("whole.txt", &text);
    place.write("parts/a.txt", &text[..400]);
    place.write("parts/b.txt", &text[400..1100]);
    place.write("parts/below/not-entered.txt", &text);
    place.write("parts/d.txt", &text[1100..]);
    place.write("parts/picture.png", b"\x89PNG\x00\x01");
    let run = |texts: &str, name: &str| {
        let said = place.train(&format!("{texts} --name {name} --steps 15"));
        let lengths = (number_after(&said, "Text: "), number_after(&said, "train on, "));
        assert_eq!(lengths, (1350, 150), "{said}");
        (place.fact(name, "weights_hash"), said)
    };
    let (whole, _) = run("whole.txt", "whole");
    assert_eq!(run("parts/a.txt parts/b.txt parts/d.txt", "files").0, whole);
    let (hash, said) = run("parts", "folder");
    assert_eq!(hash, whole);
    assert!(said.contains("picture.png: not text, left out"), "{said}");
    assert_ne!(run("parts/d.txt parts/a.txt parts/b.txt", "swapped").0, whole);
    place.train("parts --steps 2");
    assert!(place.has("checkpoints/parts/latest.ckpt"), "a run is named after its text");
}

#[test]
fn quiet_is_quiet() {
    let place = Place::with_text();
    assert_eq!(place.out(&format!("train -q text.txt {TINY} --name run --steps 20 --eval-every 5")), "");
    assert_eq!(place.fact("run", "step"), 20);
    assert_eq!(place.out("train --resume run --steps 25 --quiet"), "");
    place.run("train --quiet absent.txt").fails(66, &["absent.txt"]);
}

#[test]
fn colours_come_when_they_are_wanted() {
    let place = Place::with_text();
    let coloured = |args: &str, variables: &[&str]| {
        let mut command = place.command(args);
        command.envs(variables.iter().map(|name| (name, "1")));
        let Ran { code, err, .. } = Ran::of(command);
        assert_eq!(code, Some(66));
        assert!(err.contains("error:") && err.contains("absent.txt"), "{err}");
        err.contains(ESCAPE)
    };
    assert!(coloured("train absent.txt --color always", &[]));
    assert!(coloured("train absent.txt", &["CLICOLOR_FORCE"]));
    assert!(!coloured("train absent.txt", &[]), "stderr is no terminal here");
    assert!(!coloured("train absent.txt", &["NO_COLOR", "CLICOLOR_FORCE"]));
    assert!(!coloured("train absent.txt --color never", &["CLICOLOR_FORCE"]));
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let place = Place::with_text();
    let settings = "--steps 1000000000 --eval-every 0 --log-every 1";
    let running = place.start_training("killed", &format!("{settings} --save-every 4000"));
    // Well beyond a checkpoint, and well before the next.
    let lines = || place.bytes("checkpoints/killed/metrics.jsonl").iter().filter(|byte| **byte == b'\n').count();
    crate::harness::wait_until("records beyond the first checkpoint", || lines() >= 4500);
    assert_eq!(running.end_by("KILL"), None, "no time was left to save");
    let step = place.fact("killed", "step").as_u64().unwrap();
    assert!(step > 0 && step.is_multiple_of(4000), "{step}");
    assert!(lines() as u64 > step, "{} records, saved at {step}", lines());
    let stop = step + 10;
    place.run(&format!("train --resume killed --stop-at {stop}")).succeeds();
    assert!(steps_of(&place.metrics("killed"), "train").into_iter().eq(1..=stop), "each step once, in order");
    place.train(&format!("text.txt --name whole {settings} --save-every 0 --stop-at {stop}"));
    assert_eq!(place.fact("killed", "state_hash"), place.fact("whole", "state_hash"));
}

#[test]
fn evaluation_can_be_left_out() {
    let place = Place::with_text();
    place.train("text.txt --name run --steps 20 --eval-every 0");
    assert!(place.has("checkpoints/run/latest.ckpt") && !place.has("checkpoints/run/best.ckpt"));
    assert_eq!(steps_of(&place.metrics("run"), "eval"), [0; 0]);
    let of_run = place.out("sample run --length 30 --seed 1");
    assert_eq!(of_run, place.out("sample checkpoints/run/latest.ckpt --length 30 --seed 1"));
}

#[test]
fn patience_ends_a_run_that_gets_no_better() {
    let place = Place::empty();
    place.write("text.txt", noise("abcdefgh", 2000));
    place.write("held.txt", noise("hgfedcba", 400));
    // At this rate no weight changes, so only the first evaluation is better than those before it.
    let settings = "--steps 1000 --lr 1e-30 --eval-every 2 --val-file held.txt";
    let said = place.train(&format!("text.txt --name run {settings} --patience 3"));
    assert!(said.contains("Stopped at step 8: 3 evaluations without a better held-out loss"), "{said}");
    assert_eq!(steps_of(&place.metrics("run"), "eval"), [2, 4, 6, 8]);
    let best: Vec<Value> = place.metrics("run").iter().filter_map(|record| record.get("best").cloned()).collect();
    assert_eq!(best, [true, false, false, false]);
    assert_eq!((place.fact("run", "step"), place.fact("run", "best")["step"].clone()), (8.into(), 2.into()));
}

#[test]
fn a_run_that_diverges_keeps_its_last_good_checkpoint() {
    let place = Place::with_text();
    let settings = "--lr 1e6 --clip 0 --optimizer sgd --schedule constant --warmup 0 --dropout 0";
    let train = format!("train -q text.txt --name wild {TINY} {settings} --steps 500 --save-every 1 --eval-every 0");
    place.run(&train).fails(70, &["diverged", "--lr", "checkpoints/wild/latest.ckpt"]);
    let step = place.fact("wild", "step").as_u64().unwrap();
    assert!((1..500).contains(&step), "{step}");
    assert!(place.out("sample wild --length 20 --seed 1").len() >= 20);
    assert!(place.json("eval wild")["loss"].is_number(), "the checkpoint that is called good is good");
}

#[test]
fn a_loss_far_above_that_of_guessing_is_warned_of_once() {
    let place = Place::with_text();
    let train =
        |lr: &str| place.train(&format!("text.txt --name run --overwrite --steps 60 --eval-every 20 --lr {lr}"));
    let said = train("3");
    assert_eq!(said.matches("times that of guessing").count(), 1, "{said}");
    assert!(said.contains("warning: the held-out loss is ") && said.contains("lower --lr"), "{said}");
    assert!(!train("0.01").contains("guessing"));
}

#[test]
fn what_a_name_holds_does_not_steer_a_terminal() {
    let place = Place::empty();
    let name = "a\u{1b}[2J\nerror: forged.txt";
    place.write(name, prose(900));
    let run = |args: &[&str]| {
        let mut command = place.command("");
        command.args(args);
        Ran::of(command).succeeds()
    };
    let tiny: Vec<&str> = TINY.split_whitespace().collect();
    let train = ["train", name, "--name", "run", "--steps", "2"];
    for said in [run(&[&train[..], &tiny].concat()).1, run(&["info", "run"]).0] {
        assert!(said.contains("a\\u{1b}[2J\\nerror: forged.txt"), "{said}");
        assert!(!said.contains(ESCAPE) && !said.lines().any(|line| line.starts_with("error:")), "{said}");
    }
}

#[test]
fn without_a_text_the_built_in_one_is_learned() {
    let place = Place::empty();
    let said = place.train("--steps 3 --eval-every 0");
    assert!(said.contains("built-in"), "{said}");
    let run = std::fs::read_dir(place.path("checkpoints")).unwrap().next().unwrap().unwrap().file_name();
    let run = run.to_str().unwrap();
    assert_eq!(place.fact(run, "text"), Value::from(vec![run]), "the run has the name of the text");
    assert_eq!(place.fact(run, "step"), 3);
}
