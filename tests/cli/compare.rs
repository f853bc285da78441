//! `charlstm compare`: two runs and n-gram baselines on one text.

use crate::harness::{TestDir, assert_contains_all, prose};

/// A directory with two runs on the same text; `longer` has a lower loss than `run`.
fn with_two_runs() -> TestDir {
    let dir = TestDir::with_run();
    dir.train("text.txt --name longer --steps 300 --lr 0.02 --dropout 0");
    dir
}

#[test]
fn compares_two_runs_and_ngrams() {
    let dir = with_two_runs();
    dir.write("other.txt", &prose(9000)[3000..]);
    let found = dir.json("compare run longer --text other.txt");
    let models = found["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|model| model["model"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["run", "longer", "1-gram"]);
    assert_eq!((names.len(), names[8]), (9, "7-gram"));
    for (model, name) in models.iter().zip(["run", "longer"]) {
        let alone = dir.json(&format!("eval {name} --text other.txt --context-start none"));
        assert!((model["nats_per_char"].as_f64().unwrap() - alone["loss"].as_f64().unwrap()).abs() < 1e-6);
        assert_eq!(found["chars"], alone["chars"]);
    }
    let bits = |at: usize| models[at]["bits_per_char"].as_f64().unwrap();
    assert!(bits(3) < bits(2) && bits(4) < bits(3), "{found}");
    let difference = &found["difference"];
    let [mean, low, high] = ["bits_per_char", "low", "high"].map(|name| difference[name].as_f64().unwrap());
    assert!((mean - (bits(0) - bits(1))).abs() < 1e-4 && low <= mean && mean <= high && low > 0.0, "{found}");
    let table = dir.stdout("compare run longer --text other.txt");
    assert_contains_all(&table, &["run - longer: +", "95 %", "5-gram"]);
    let same = dir.json("compare run run --text other.txt --orders 0");
    assert_eq!((same["difference"]["low"].as_f64(), same["difference"]["high"].as_f64()), (Some(0.0), Some(0.0)));
    assert_eq!(same["models"].as_array().unwrap().len(), 2);
}

#[test]
fn compare_defaults_to_the_held_out_set_and_works_without_the_corpus() {
    let dir = with_two_runs();
    let found = dir.json("compare run longer --block 50");
    assert_eq!(found["chars"], 199);
    dir.run("compare run longer").fails(2, &["199"]);
    dir.write("other.txt", &prose(9000)[3000..]);
    std::fs::remove_file(dir.path("text.txt")).unwrap();
    let (table, stderr) = dir.run("compare run longer --text other.txt").succeeds();
    assert!(!table.contains("gram") && stderr.contains("text.txt"), "{table} {stderr}");
    dir.run("compare run longer").fails(66, &["text.txt"]);
}

#[test]
fn compare_handles_unknown_characters() {
    let dir = with_two_runs();
    dir.write("other.txt", prose(3000).replace("crow", "cr\u{f6}w"));
    let found = dir.json("compare run longer --text other.txt");
    let unknown = prose(3000).matches("crow").count();
    for model in found["models"].as_array().unwrap() {
        assert_eq!(model["unknown"], unknown, "{found}");
        assert!(model["bits_per_char"].as_f64().unwrap().is_finite());
    }
}

#[test]
fn a_model_of_bytes_is_compared_with_one_of_characters() {
    let dir = TestDir::with_run();
    dir.train("text.txt --bytes --name bytes --steps 20");
    dir.write("other.txt", &prose(9000)[3000..]);
    let (out, _) = dir.run("compare run bytes --text other.txt --json").succeeds();
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let models = found["models"].as_array().unwrap();
    for (model, name) in models.iter().zip(["run", "bytes"]) {
        let separate = dir.json(&format!("eval {name} --text other.txt --context-start none"));
        assert!((model["nats_per_char"].as_f64().unwrap() - separate["loss"].as_f64().unwrap()).abs() < 1e-6, "{out}");
    }
    let (reversed, _) = dir.run("compare bytes run --text other.txt --json").succeeds();
    let reversed: serde_json::Value = serde_json::from_str(&reversed).unwrap();
    let mean = |found: &serde_json::Value| found["difference"]["bits_per_char"].as_f64().unwrap();
    assert!((mean(&found) + mean(&reversed)).abs() < 1e-6);
    // A character of two bytes costs the bits of both.
    dir.write("accents.txt", "\u{e9}t\u{e9} caf\u{e9}\n".repeat(400));
    dir.train("accents.txt --name chars --steps 20");
    dir.train("accents.txt --bytes --name accents --steps 20");
    let (out, _) = dir.run("compare chars accents --text accents.txt --json --orders 0").succeeds();
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let whole = dir.json("eval accents --text accents.txt --context-start none");
    let bits = whole["bpc"].as_f64().unwrap() * whole["chars"].as_f64().unwrap();
    let compared = found["models"][1]["bits_per_char"].as_f64().unwrap() * found["chars"].as_f64().unwrap();
    // The first character, of two bytes, is not compared; its second byte is predicted.
    assert!(compared < bits && compared > 0.9 * bits, "{compared} {bits}");
}
