//! The experiments of the papers as a user runs them.

use crate::harness::{TestDir, prose};
use charlstm::experiments::EXPERIMENTS;
use serde_json::Value;

#[test]
fn experiments_can_be_listed_run_and_written() {
    let dir = TestDir::with_text();
    let list = String::from_utf8(dir.run("experiment list").out).unwrap();
    assert!(EXPERIMENTS.iter().all(|experiment| list.contains(experiment.name)), "{list}");

    let solved = dir.run("experiment reber --seed 5 --json");
    let facts = solved.json();
    assert_eq!((&facts["solved"], &facts["trials"][0]["passed"]), (&Value::from(1), &Value::from(true)), "{facts}");
    assert_eq!(solved.code, Some(0));

    let too_short = dir.run("experiment reber --steps 2");
    assert_eq!(too_short.code, Some(1), "not passed");
    assert!(String::from_utf8(too_short.out).unwrap().contains("0 of 1 solved"));

    dir.run("experiment continual-reber --steps 3 --write text2.txt").succeeds();
    let text = dir.read("text2.txt");
    assert!(text.starts_with("BTB") || text.starts_with("BPB"), "{}", &text[..20]);
    dir.run("experiment lag --q 0").fails(2, &["q must be"]);
}

#[test]
fn anbn_generalizes_beyond_training_lengths() {
    let facts = TestDir::with_text().run("experiment anbn --seed 7 --json").json();
    assert_eq!(facts["solved"], 1, "{facts}");
}

#[test]
fn gradients_vanish_in_rnn_and_persist_in_lstm1997() {
    let dir = TestDir::with_text();
    for (cell, path, least, most) in [("rnn", "ratio of dL/dh", 0.0, 1e-9), ("lstm1997", "ratio of dL/dc", 0.1, 10.0)] {
        let ran = dir.run(&format!("experiment gradient-flow --cell {cell} --svg flow.svg --json"));
        let facts = ran.json();
        let kept = facts["table"][0][path].as_f64().unwrap();
        assert!((least..most).contains(&kept) && facts["passed"] == true, "{facts}");
    }
    assert!(dir.read("flow.svg").starts_with("<svg"));
    let facts = dir.run("experiment gradient-flow --cell gru --json").json();
    assert!(facts["passed"].is_null() && !dir.exists("gradient-flow.svg"), "{facts}");
}

#[test]
fn guessing_is_deterministic_and_can_fail() {
    let dir = TestDir::with_text();
    let tries = || dir.run("experiment guess --seeds 2 --json").json()["table"].clone();
    let first = tries();
    assert!(first[0]["tries"].as_u64().unwrap() > 1 && first[0]["tries"] != first[1]["tries"], "{first}");
    assert_eq!(first, tries());
    let too_few = dir.run("experiment guess --steps 1");
    assert_eq!(too_few.code, Some(1), "{}", String::from_utf8_lossy(&too_few.out));
}

#[test]
fn odyssey_matches_parameter_counts() {
    let dir = TestDir::with_text();
    for cell in ["gru", "fgr", "indylstm"] {
        let ran = dir.run(&format!("experiment odyssey --cell {cell} --parameters 30000 --steps 4 --seeds 2 --json"));
        let row = &ran.json()["table"][0];
        let parameters = row["parameters"].as_u64().unwrap();
        assert!(parameters.abs_diff(30_000) < 500, "{row}");
        assert!(row["held-out"].as_f64().unwrap() > row["best"].as_f64().unwrap() && row["diverged"] == 0, "{row}");
    }
    let table = String::from_utf8(dir.run("experiment odyssey --cell rnn --steps 1 --parameters 20000").out).unwrap();
    assert!(table.contains("held-out") && table.contains("rnn "), "{table}");
}

#[test]
fn learning_rate_grid_is_explained_and_plotted() {
    let dir = TestDir::with_text();
    let facts = dir.run("experiment learning-rate --steps 2 --json --svg rates.svg").json();
    assert_eq!(facts["table"].as_array().unwrap().len(), 7, "{facts}");
    assert!(facts["measured"].as_str().unwrap().contains("variance explained"), "{facts}");
    assert!(dir.read("rates.svg").contains("128 units"));
}

#[test]
fn rejects_options_that_an_experiment_does_not_use() {
    let dir = TestDir::with_text();
    for (command, name) in [
        ("experiment reber text.txt", "TEXT"),
        ("experiment reber --parameters 9", "--parameters"),
        ("experiment guess --q 9", "--q"),
        ("experiment guess --lr 1", "--lr"),
        ("experiment guess text.txt", "TEXT"),
        ("experiment odyssey --hidden 9", "--hidden"),
        ("experiment learning-rate --lr 1", "--lr"),
        ("experiment gradient-flow --parameters 1", "--parameters"),
        ("experiment odyssey --svg a.svg", "--svg"),
        ("experiment gradient-flow --seeds 2", "--seeds"),
    ] {
        dir.run(command).fails(2, &[name, "omit it"]);
    }
    dir.run("experiment odyssey --parameters 10").fails(2, &["parameters must be"]);
    // indylstm cannot be that large: said before any other cell is trained.
    dir.run("experiment odyssey --parameters 5000000").fails(2, &["parameters must be", "indylstm"]);
    for command in ["reber", "guess", "odyssey"] {
        dir.run(&format!("experiment {command} --seed 18446744073709551615")).fails(2, &["--seed must be at most"]);
    }
    for command in ["reber --steps 0", "reber --steps 0 --write a.txt", "guess --steps 0"] {
        dir.run(&format!("experiment {command}")).fails(2, &["steps must be"]);
    }
    dir.run("experiment reber --write a.txt --seeds 2").fails_with_usage(2, &["--write", "--seeds"]);
    dir.run("experiment reber --cell rnn --forget-bias 2").fails(2, &["rnn", "omit --forget-bias"]);
    dir.run("experiment reber --lr nan").fails(2, &["--lr"]);
    dir.run("experiment reber --hidden 0").fails(2, &["--hidden"]);
    dir.run("experiment gradient-flow text.txt --cell rnn").fails(65, &["characters to train on"]);
}

#[test]
fn zero_gradient_counts_as_vanished() {
    let dir = TestDir::with_text();
    let ran = dir.run("experiment gradient-flow --cell rnn --hidden 1 --json");
    let facts = ran.json();
    assert!(facts["table"][0]["dL/dh k=100"] == 0.0 && facts["passed"] == true && ran.code == Some(0), "{facts}");
    let norms = facts["curves"][0]["norm"].as_array().unwrap();
    assert_eq!((norms.len(), &norms[9]), (100, &facts["table"][0]["dL/dh k=10"]), "{facts}");
    let ran = dir.run("experiment gradient-flow --cell lstm --hidden 2");
    let (out, _) = ran.succeeds();
    assert!(out.contains("undecided: the criterion is about rnn and lstm1997"), "{out}");
    for steps in ["", "--steps 0"] {
        let refused = dir.run(&format!("experiment gradient-flow --lr 5 {steps}"));
        refused.fails(2, &["no effect on untrained weights"]);
    }
}

/// Of a text that is too short an experiment says how long it must be; that long it is enough, and one character less is not.
#[test]
fn too_short_corpus_error_gives_the_required_length() {
    let dir = TestDir::with_text();
    let flow = "experiment gradient-flow --cell rnn --hidden 2";
    let odyssey = "experiment odyssey --cell rnn --parameters 5000 --steps 1";
    for (command, characters) in [(flow, 7113), (odyssey, 2277)] {
        dir.write("enough.txt", prose(characters));
        dir.run(&format!("{command} enough.txt")).succeeds();
        dir.write("less.txt", prose(characters - 1));
        let least = format!("a text of {characters} or more");
        dir.run(&format!("{command} less.txt")).fails(65, &["less.txt", &least, "to train on"]);
    }
    let message = dir.run("experiment learning-rate text.txt").err;
    assert!(message.contains("of 2277 or more") && !message.contains("--batch"), "{message}");
}

#[test]
fn unwritable_chart_is_reported_before_training() {
    let dir = TestDir::with_text();
    for command in ["gradient-flow --svg no/a.svg", "learning-rate --svg .", "reber --write no/a.txt"] {
        dir.run(&format!("experiment {command}")).fails(73, &[]);
    }
    dir.write("learning-rate.svg/file", "");
    dir.run("experiment learning-rate").fails(73, &["learning-rate.svg"]);
}

#[test]
fn quiet_flag_is_not_the_distractor_count() {
    let dir = TestDir::with_text();
    dir.run("experiment lag -q 1000").fails(2, &["omit it (-q is --quiet", "--q 1000"]);
    for command in ["experiment lag 1000", "experiment lag -q text.txt", "experiment reber -q 10"] {
        let ran = dir.run(command);
        assert!(!ran.err.contains("--q"), "{}", ran.err);
        ran.fails(2, &["does not accept TEXT; omit it"]);
    }
}

#[test]
fn experiment_list_rejects_other_options() {
    let dir = TestDir::with_text();
    for given in ["text.txt", "--q 5", "--cell rnn", "--seeds 3", "--seed 2", "--steps 4", "--svg a.svg", "--noise"] {
        dir.run(&format!("experiment list {given}")).fails(2, &["list does not accept ", "omit it"]);
    }
    let facts = dir.json("experiment list");
    let options =
        |name: &str| facts.as_array().unwrap().iter().find(|e| e["name"] == name).unwrap()["options"].to_string();
    assert!(options("lag").contains("--noise") && options("lag").contains("--cell"), "{facts}");
    assert!(options("odyssey").contains("TEXT") && !options("odyssey").contains("--write"), "{facts}");
}

#[test]
fn json_records_the_setup() {
    let dir = TestDir::with_text();
    let lag = dir.run("experiment lag --q 5 --noise --steps 1 --hidden 2 --cell np --json").json();
    let setup = &lag["setup"];
    assert!(setup["q"] == 5 && setup["noise"] == true && setup["cell"] == "lstm" && lag["passed"] == false, "{lag}");
    assert!(setup["forget_bias"].is_number() && setup.get("size").is_none(), "{lag}");
    let parity = dir.run("experiment parity --steps 1 --hidden 2 --cell lstm1997 --json").json();
    assert!(parity["setup"]["size"] == 16 && parity["setup"]["forget_bias"].is_null(), "{parity}");

    let odyssey =
        "experiment odyssey text.txt long.txt --cell noaf --parameters 5000 --steps 1 --seeds 2 --lr 0.004 --json";
    dir.write("long.txt", prose(1000));
    let setup = &dir.run(odyssey).json()["setup"];
    let wanted = serde_json::json!({
        "cell": ["peephole"], "lr": [0.004], "steps": [1], "seed": [1, 2], "text": ["text.txt", "long.txt"],
        "init": ["orthogonal", "uniform"], "batch": [32], "seq_len": [64], "hidden": setup["hidden"],
    });
    assert_eq!(setup, &wanted);
    let guess = dir.run("experiment guess --steps 3 --json").json();
    assert_eq!(guess["setup"], serde_json::json!({"cell": ["rnn"], "hidden": [2], "steps": [3], "seed": [1]}));
    let flow = dir.run("experiment gradient-flow --cell gru --hidden 2 --json").json();
    assert!(flow["setup"]["steps"][0] == 0 && flow["setup"].get("lr").is_none(), "{flow}");
}

#[test]
fn one_seed_has_no_variance_between_seeds() {
    let dir = TestDir::empty();
    dir.write("short.txt", prose(2300));
    let measured = |seeds: u64| {
        let facts = dir.run(&format!("experiment learning-rate short.txt --steps 1 --seeds {seeds} --json")).json();
        assert_eq!(facts["setup"]["lr"].as_array().unwrap().len(), 7, "{facts}");
        facts["measured"].as_str().unwrap().to_owned()
    };
    let (one, two) = (measured(1), measured(2));
    assert!(one.contains("seeds -;") && one.contains("with a single seed"), "{one}");
    assert!(two.contains(" %; ") && !two.contains("with a single seed"), "{two}");
}

#[test]
fn out_of_range_numbers_are_printed_as_given() {
    let dir = TestDir::with_text();
    for (given, reported) in [
        ("--lr 1e300", "not 1e300"),
        ("--weight-decay 1e300", "not 1e300"),
        ("--forget-bias 1e300", "not 1e300"),
        ("--seed 18446744073709551615", "at most 18446744073709551614, not"),
        ("--seed 18446744073709551615 --seeds 9", "18446744073709551606 with --seeds 9, not"),
    ] {
        dir.run(&format!("experiment reber {given}")).fails(2, &[reported]);
    }
}
