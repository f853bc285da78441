//! The experiments of the papers as a user runs them.

use crate::harness::{Place, prose};
use charlstm::experiments::EXPERIMENTS;
use serde_json::Value;

#[test]
fn experiments_are_listed_run_and_written() {
    let place = Place::with_text();
    let list = String::from_utf8(place.run("experiment list").out).unwrap();
    assert!(EXPERIMENTS.iter().all(|experiment| list.contains(experiment.name)), "{list}");

    let solved = place.run("experiment reber --seed 5 --json");
    let facts = solved.json();
    assert_eq!((&facts["solved"], &facts["trials"][0]["passed"]), (&Value::from(1), &Value::from(true)), "{facts}");
    assert_eq!(solved.code, Some(0));

    let too_short = place.run("experiment reber --steps 2");
    assert_eq!(too_short.code, Some(1), "not passed");
    assert!(String::from_utf8(too_short.out).unwrap().contains("0 of 1 solved"));

    place.run("experiment continual-reber --steps 3 --write text2.txt").succeeds();
    let text = place.read("text2.txt");
    assert!(text.starts_with("BTB") || text.starts_with("BPB"), "{}", &text[..20]);
    place.run("experiment lag --q 0").fails(2, &["--q must be"]);
}

#[test]
fn a_net_that_counts_goes_on_beyond_what_it_has_seen() {
    let facts = Place::with_text().run("experiment anbn --seed 7 --json").json();
    assert_eq!(facts["solved"], 1, "{facts}");
}

#[test]
fn gradients_vanish_in_the_rnn_and_stay_in_the_carousel() {
    let place = Place::with_text();
    for (cell, path, least, most) in [("rnn", "kept by h", 0.0, 1e-9), ("lstm1997", "kept by c", 0.1, 10.0)] {
        let ran = place.run(&format!("experiment gradient-flow --cell {cell} --svg flow.svg --json"));
        let facts = ran.json();
        let kept = facts["table"][0][path].as_f64().unwrap();
        assert!((least..most).contains(&kept) && facts["passed"] == true, "{facts}");
    }
    assert!(place.read("flow.svg").starts_with("<svg"));
    let facts = place.run("experiment gradient-flow --cell gru --json").json();
    assert!(facts["passed"].is_null() && !place.has("gradient-flow.svg"), "{facts}");
}

#[test]
fn guessing_takes_the_same_tries_each_time_and_can_run_out() {
    let place = Place::with_text();
    let tries = || place.run("experiment guess --seeds 2 --json").json()["table"].clone();
    let first = tries();
    assert!(first[0]["tries"].as_u64().unwrap() > 1 && first[0]["tries"] != first[1]["tries"], "{first}");
    assert_eq!(first, tries());
    let too_few = place.run("experiment guess --steps 1");
    assert_eq!(too_few.code, Some(1), "{}", String::from_utf8_lossy(&too_few.out));
}

#[test]
fn cells_are_compared_with_as_many_parameters() {
    let place = Place::with_text();
    for cell in ["gru", "fgr", "indylstm"] {
        let ran = place.run(&format!("experiment odyssey --cell {cell} --parameters 30000 --steps 4 --seeds 2 --json"));
        let row = &ran.json()["table"][0];
        let parameters = row["parameters"].as_u64().unwrap();
        assert!(parameters.abs_diff(30_000) < 500, "{row}");
        assert!(row["held-out"].as_f64().unwrap() > row["best"].as_f64().unwrap() && row["diverged"] == 0, "{row}");
    }
    let table = String::from_utf8(place.run("experiment odyssey --cell rnn --steps 1 --parameters 20000").out).unwrap();
    assert!(table.contains("held-out") && table.contains("rnn "), "{table}");
}

#[test]
fn the_grid_of_rates_is_shared_out_and_drawn() {
    let place = Place::with_text();
    let facts = place.run("experiment learning-rate --steps 2 --json --svg rates.svg").json();
    assert_eq!(facts["table"].as_array().unwrap().len(), 7, "{facts}");
    assert!(facts["measured"].as_str().unwrap().contains("variance explained"), "{facts}");
    assert!(place.read("rates.svg").contains("128 units"));
}

#[test]
fn a_choice_that_means_nothing_is_refused() {
    let place = Place::with_text();
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
        place.run(command).fails(2, &[name, "leave it out"]);
    }
    place.run("experiment odyssey --parameters 10").fails(2, &["--parameters must be"]);
    // indylstm cannot be that large: said before any other cell is trained.
    place.run("experiment odyssey --parameters 5000000").fails(2, &["--parameters must be", "indylstm"]);
    for command in ["reber", "guess", "odyssey"] {
        place.run(&format!("experiment {command} --seed 18446744073709551615")).fails(2, &["--seed must be at most"]);
    }
    for command in ["reber --steps 0", "reber --steps 0 --write a.txt", "guess --steps 0"] {
        place.run(&format!("experiment {command}")).fails(2, &["--steps must be"]);
    }
    place.run("experiment reber --write a.txt --seeds 2").fails_at_length(2, &["--write", "--seeds"]);
    place.run("experiment reber --cell rnn --forget-bias 2").fails(2, &["rnn", "leave out --forget-bias"]);
    place.run("experiment reber --lr nan").fails(2, &["--lr"]);
    place.run("experiment reber --hidden 0").fails(2, &["--hidden"]);
    place.run("experiment gradient-flow text.txt --cell rnn").fails(65, &["characters to train on"]);
}

#[test]
fn a_gradient_that_is_gone_is_one_that_vanished() {
    let place = Place::with_text();
    let ran = place.run("experiment gradient-flow --cell rnn --hidden 1 --json");
    let facts = ran.json();
    assert!(facts["table"][0]["dL/dh k=100"] == 0.0 && facts["passed"] == true && ran.code == Some(0), "{facts}");
    let norms = facts["curves"][0]["norm"].as_array().unwrap();
    assert_eq!((norms.len(), &norms[9]), (100, &facts["table"][0]["dL/dh k=10"]), "{facts}");
    let ran = place.run("experiment gradient-flow --cell lstm --hidden 2");
    let (out, _) = ran.succeeds();
    assert!(out.contains("not judged: the claim is about rnn and lstm1997"), "{out}");
    for steps in ["", "--steps 0"] {
        let refused = place.run(&format!("experiment gradient-flow --lr 5 {steps}"));
        refused.fails(2, &["add --steps, or leave out --lr"]);
    }
}

/// Of a text that is too short an experiment says how long it must be; that long it is enough, and one character less is not.
#[test]
fn a_text_that_is_too_short_is_told_how_long_it_must_be() {
    let place = Place::with_text();
    let flow = "experiment gradient-flow --cell rnn --hidden 2";
    let odyssey = "experiment odyssey --cell rnn --parameters 5000 --steps 1";
    for (command, characters) in [(flow, 7113), (odyssey, 2277)] {
        place.write("enough.txt", prose(characters));
        place.run(&format!("{command} enough.txt")).succeeds();
        place.write("less.txt", prose(characters - 1));
        let least = format!("a text of {characters} or more");
        place.run(&format!("{command} less.txt")).fails(65, &["less.txt", &least, "to train on"]);
    }
    let message = place.run("experiment learning-rate text.txt").err;
    assert!(message.contains("of 2277 or more") && !message.contains("--batch"), "{message}");
}

#[test]
fn a_place_that_takes_no_chart_is_refused_before_the_work() {
    let place = Place::with_text();
    // All that is written to stderr is the refusal: no net was told of.
    for command in ["gradient-flow --svg no/a.svg", "learning-rate --svg .", "reber --write no/a.txt"] {
        place.run(&format!("experiment {command}")).fails(73, &[]);
    }
    place.write("learning-rate.svg/file", "");
    place.run("experiment learning-rate").fails(73, &["learning-rate.svg"]);
}

#[test]
fn quiet_is_not_taken_for_distractors() {
    let place = Place::with_text();
    place.run("experiment lag -q 1000").fails(2, &["leave it out; -q is --quiet", "--q 1000"]);
    for command in ["experiment lag 1000", "experiment lag -q text.txt", "experiment reber -q 10"] {
        let ran = place.run(command);
        assert!(!ran.err.contains("--q"), "{}", ran.err);
        ran.fails(2, &["takes no TEXT; leave it out"]);
    }
}

#[test]
fn the_list_refuses_what_it_does_not_use() {
    let place = Place::with_text();
    for given in ["text.txt", "--q 5", "--cell rnn", "--seeds 3", "--seed 2", "--steps 4", "--svg a.svg", "--noise"] {
        place.run(&format!("experiment list {given}")).fails(2, &["list takes no ", "leave it out"]);
    }
    let facts = place.json("experiment list");
    let takes = |name: &str| facts.as_array().unwrap().iter().find(|e| e["name"] == name).unwrap()["takes"].to_string();
    assert!(takes("lag").contains("--noise") && takes("lag").contains("--cell"), "{facts}");
    assert!(takes("odyssey").contains("TEXT") && !takes("odyssey").contains("--write"), "{facts}");
}

#[test]
fn facts_say_what_was_run() {
    let place = Place::with_text();
    let lag = place.run("experiment lag --q 5 --noise --steps 1 --hidden 2 --cell np --json").json();
    let setup = &lag["setup"];
    assert!(setup["q"] == 5 && setup["noise"] == true && setup["cell"] == "lstm" && lag["passed"] == false, "{lag}");
    assert!(setup["forget_bias"].is_number() && setup.get("size").is_none(), "{lag}");
    let parity = place.run("experiment parity --steps 1 --hidden 2 --cell lstm1997 --json").json();
    assert!(parity["setup"]["size"] == 16 && parity["setup"]["forget_bias"].is_null(), "{parity}");

    let odyssey =
        "experiment odyssey text.txt long.txt --cell noaf --parameters 5000 --steps 1 --seeds 2 --lr 0.004 --json";
    place.write("long.txt", prose(1000));
    let setup = &place.run(odyssey).json()["setup"];
    let wanted = serde_json::json!({
        "cell": ["peephole"], "lr": [0.004], "steps": [1], "seed": [1, 2], "text": ["text.txt", "long.txt"],
        "init": ["orthogonal", "uniform"], "batch": [32], "seq_len": [64], "hidden": setup["hidden"],
    });
    assert_eq!(setup, &wanted);
    let guess = place.run("experiment guess --steps 3 --json").json();
    assert_eq!(guess["setup"], serde_json::json!({"cell": ["rnn"], "hidden": [2], "steps": [3], "seed": [1]}));
    let flow = place.run("experiment gradient-flow --cell gru --hidden 2 --json").json();
    assert!(flow["setup"]["steps"][0] == 0 && flow["setup"].get("lr").is_none(), "{flow}");
}

#[test]
fn one_seed_explains_nothing_and_is_not_said_to() {
    let place = Place::empty();
    place.write("short.txt", prose(2300));
    let measured = |seeds: u64| {
        let facts = place.run(&format!("experiment learning-rate short.txt --steps 1 --seeds {seeds} --json")).json();
        assert_eq!(facts["setup"]["lr"].as_array().unwrap().len(), 7, "{facts}");
        facts["measured"].as_str().unwrap().to_owned()
    };
    let (one, two) = (measured(1), measured(2));
    assert!(one.contains("seeds -;") && one.contains("with one seed"), "{one}");
    assert!(two.contains(" %; ") && !two.contains("with one seed"), "{two}");
}

#[test]
fn numbers_beyond_all_bounds_are_told_as_they_were_given() {
    let place = Place::with_text();
    for (given, told) in [
        ("--lr 1e300", "not 1e300"),
        ("--weight-decay 1e300", "not 1e300"),
        ("--forget-bias 1e300", "not 1e300"),
        ("--seed 18446744073709551615", "at most 18446744073709551614, not"),
        ("--seed 18446744073709551615 --seeds 9", "18446744073709551606 with --seeds 9, not"),
    ] {
        place.run(&format!("experiment reber {given}")).fails(2, &[told]);
    }
}
