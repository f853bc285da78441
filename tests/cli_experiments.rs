//! The experiments of the papers as a user runs them.

// Without this feature there is no program to run.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli;

use charlstm::experiments::EXPERIMENTS;
use cli::Place;
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
        place.run(&format!("experiment {command} --seed 18446744073709551615")).fails(2, &["--seeds"]);
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
