//! `charlstm experiment`.

use charlstm::experiments::EXPERIMENTS;
use serde_json::{Value, json};

use crate::harness::{TestDir, assert_contains_all, prose};

#[test]
fn experiments_can_be_listed_run_and_written() {
    let dir = TestDir::empty();
    let list = dir.stdout("experiment list");
    assert!(EXPERIMENTS.iter().all(|experiment| list.contains(experiment.name)), "{list}");

    let solved = dir.run("experiment reber --seed 5 --json");
    let facts = solved.json();
    assert_eq!((&facts["solved"], &facts["trials"][0]["passed"]), (&Value::from(1), &Value::from(true)), "{facts}");
    assert_eq!(solved.code, Some(0));
    assert_eq!(dir.run("experiment reber --steps 2").code, Some(1), "two steps must not pass");

    dir.run("experiment continual-reber --steps 3 --write text2.txt").succeeds();
    let text = dir.read("text2.txt");
    assert!(text.starts_with("BTB") || text.starts_with("BPB"), "{}", &text[..20]);
    for name in ["gradient-flow --svg no/a.svg", "learning-rate --svg .", "reber --write no/a.txt"] {
        dir.run(&format!("experiment {name}")).fails(73, &[]);
    }
}

#[test]
fn anbn_generalizes_beyond_training_lengths() {
    let facts = TestDir::empty().run("experiment anbn --seed 7 --json").json();
    assert_eq!(facts["solved"], 1, "{facts}");
}

#[test]
fn gradients_vanish_in_rnn_and_persist_in_lstm1997() {
    let dir = TestDir::empty();
    let flow = |args: &str| dir.run(&format!("experiment gradient-flow {args} --json")).json();
    for (cell, path, least, most) in [("rnn", "ratio of dL/dh", 0.0, 1e-9), ("lstm1997", "ratio of dL/dc", 0.1, 10.0)] {
        let facts = flow(&format!("--cell {cell} --svg flow.svg"));
        let kept = facts["table"][0][path].as_f64().unwrap();
        assert!((least..most).contains(&kept) && facts["passed"] == true, "{facts}");
    }
    assert!(dir.read("flow.svg").starts_with("<svg"));
    let facts = flow("--cell gru");
    assert!(facts["passed"].is_null() && !dir.exists("gradient-flow.svg"), "{facts}");
    // A gradient of zero has vanished.
    let facts = flow("--cell rnn --hidden 1");
    assert!(facts["table"][0]["dL/dh k=100"] == 0.0 && facts["passed"] == true, "{facts}");
    let norms = facts["curves"][0]["norm"].as_array().unwrap();
    assert_eq!((norms.len(), &norms[9]), (100, &facts["table"][0]["dL/dh k=10"]), "{facts}");
}

#[test]
fn guessing_is_deterministic_and_can_fail() {
    let dir = TestDir::empty();
    let tries = || dir.run("experiment guess --seeds 2 --json").json()["table"].clone();
    let first = tries();
    assert!(first[0]["tries"].as_u64().unwrap() > 1 && first[0]["tries"] != first[1]["tries"], "{first}");
    assert_eq!(first, tries());
    assert_eq!(dir.run("experiment guess --steps 1").code, Some(1));
}

#[test]
fn odyssey_matches_parameter_counts() {
    let dir = TestDir::empty();
    for cell in ["gru", "fgr", "indylstm"] {
        let ran = dir.run(&format!("experiment odyssey --cell {cell} --parameters 30000 --steps 4 --seeds 2 --json"));
        let row = &ran.json()["table"][0];
        assert!(row["parameters"].as_u64().unwrap().abs_diff(30_000) < 500, "{row}");
        assert!(row["held-out"].as_f64().unwrap() > row["best"].as_f64().unwrap() && row["diverged"] == 0, "{row}");
    }
}

#[test]
fn learning_rate_grid_is_explained_and_plotted() {
    let dir = TestDir::empty();
    dir.write("short.txt", prose(2300));
    let run = |args: &str| dir.run(&format!("experiment learning-rate short.txt --steps 1 --json {args}")).json();
    let (one, two) = (run("--svg rates.svg"), run("--seeds 2"));
    assert_eq!((one["table"].as_array().unwrap().len(), one["setup"]["lr"].as_array().unwrap().len()), (7, 7), "{one}");
    assert!(dir.read("rates.svg").contains("128 units"));
    // One seed has no variance between seeds.
    assert!(one["measured"].as_str().unwrap().contains("seeds -;"), "{one}");
    assert!(two["measured"].as_str().unwrap().contains(" %; "), "{two}");
}

#[test]
fn rejects_options_that_an_experiment_does_not_use() {
    let dir = TestDir::with_text();
    for (command, name) in [
        ("reber text.txt", "TEXT"),
        ("reber --parameters 9", "--parameters"),
        ("guess --q 9", "--q"),
        ("guess --lr 1", "--lr"),
        ("guess text.txt", "TEXT"),
        ("odyssey --hidden 9", "--hidden"),
        ("odyssey --svg a.svg", "--svg"),
        ("learning-rate --lr 1", "--lr"),
        ("gradient-flow --parameters 1", "--parameters"),
        ("gradient-flow --seeds 2", "--seeds"),
        ("list text.txt", "TEXT"),
        ("list --q 5", "--q"),
        ("list --noise", "--noise"),
        ("lag 1000", "TEXT"),
        // `-q` means `--quiet`, so the number is parsed as TEXT.
        ("lag -q 1000", "--q 1000"),
        ("reber --cell rnn --forget-bias 2", "rnn"),
        ("gradient-flow --lr 5", "learning rate"),
    ] {
        dir.run(&format!("experiment {command}")).fails(2, &[name]);
    }
    dir.run("experiment reber --write a.txt --seeds 2").fails_with_usage(2, &["--write", "--seeds"]);
    let facts = dir.json("experiment list");
    let options =
        |name: &str| facts.as_array().unwrap().iter().find(|e| e["name"] == name).unwrap()["options"].to_string();
    assert!(options("lag").contains("--noise") && options("lag").contains("--cell"), "{facts}");
    assert!(options("odyssey").contains("TEXT") && !options("odyssey").contains("--write"), "{facts}");
}

#[test]
fn rejects_numbers_out_of_range() {
    let dir = TestDir::with_text();
    for (command, parts) in [
        ("odyssey --parameters 10", ["parameters", "10"]),
        // Rejected before any other cell is trained.
        ("odyssey --parameters 5000000", ["parameters", "indylstm"]),
        ("reber --seed 18446744073709551615", ["seed", "18446744073709551614"]),
        ("reber --seed 18446744073709551615 --seeds 9", ["seed", "18446744073709551606"]),
        ("guess --seed 18446744073709551615", ["seed", ""]),
        ("odyssey --seed 18446744073709551615", ["seed", ""]),
        ("lag --q 0", ["q", "1 to"]),
        ("reber --steps 0", ["steps", "0"]),
        ("reber --steps 0 --write a.txt", ["steps", "0"]),
        ("guess --steps 0", ["steps", "0"]),
        ("reber --lr nan", ["lr", ""]),
        ("reber --lr 1e300", ["lr", ""]),
        ("reber --weight-decay 1e300", ["weight", ""]),
        ("reber --forget-bias 1e300", ["forget", ""]),
        ("reber --hidden 0", ["hidden", "1 to"]),
    ] {
        dir.run(&format!("experiment {command}")).fails(2, &parts);
    }
}

#[test]
fn too_short_corpus_error_gives_the_required_length() {
    let dir = TestDir::with_text();
    let flow = "experiment gradient-flow --cell rnn --hidden 2";
    let odyssey = "experiment odyssey --cell rnn --parameters 5000 --steps 1";
    for (command, characters) in [(flow, 7113), (odyssey, 2277)] {
        dir.write("enough.txt", prose(characters));
        dir.run(&format!("{command} enough.txt")).succeeds();
        dir.write("less.txt", prose(characters - 1));
        dir.run(&format!("{command} less.txt")).fails(65, &["less.txt", &characters.to_string()]);
    }
    assert_contains_all(&dir.run("experiment learning-rate text.txt").err, &["text.txt", "2277"]);
}

#[test]
fn json_records_the_setup() {
    let dir = TestDir::with_text();
    dir.write("long.txt", prose(1000));
    let setup = |args: &str| dir.run(&format!("experiment {args} --json")).json()["setup"].clone();
    let lag = setup("lag --q 5 --noise --steps 1 --hidden 2 --cell np");
    assert!(lag["q"] == 5 && lag["noise"] == true && lag["cell"] == "lstm", "{lag}");
    assert!(lag["forget_bias"].is_number() && lag.get("size").is_none(), "{lag}");
    let parity = setup("parity --steps 1 --hidden 2 --cell lstm1997");
    assert!(parity["size"] == 16 && parity["forget_bias"].is_null(), "{parity}");
    let odyssey = setup("odyssey text.txt long.txt --cell noaf --parameters 5000 --steps 1 --seeds 2 --lr 0.004");
    let expected = json!({
        "cell": ["peephole"], "lr": [0.004], "steps": [1], "seed": [1, 2], "text": ["text.txt", "long.txt"],
        "init": ["orthogonal", "uniform"], "batch": [32], "seq_len": [64], "hidden": odyssey["hidden"],
    });
    assert_eq!(odyssey, expected);
    assert_eq!(setup("guess --steps 3"), json!({"cell": ["rnn"], "hidden": [2], "steps": [3], "seed": [1]}));
    let flow = setup("gradient-flow --cell gru --hidden 2");
    assert!(flow["steps"][0] == 0 && flow.get("lr").is_none(), "{flow}");
}
