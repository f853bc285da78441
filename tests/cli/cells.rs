//! Every cell on the command line, and `charlstm cells`.

use charlstm::cells::CELLS;

use crate::harness::{TINY, TestDir};

#[test]
fn every_cell_trains_resumes_samples_and_evaluates() {
    let dir = TestDir::with_text();
    for name in CELLS.iter().flat_map(|cell| [&[cell.spec.name], cell.spec.aliases].concat()) {
        dir.run(&format!("train text.txt {TINY} --cell {name} --steps 6 --name whole --overwrite")).succeeds();
        dir.run(&format!("train text.txt {TINY} --cell {name} --steps 6 --stop-at 3 --name part --overwrite"))
            .succeeds();
        dir.run("train --resume part").succeeds();
        dir.assert_same_run("whole", "part");
        for precision in ["f32", "int8"] {
            let text = dir.stdout(&format!("sample whole --length 40 --seed 1 --precision {precision}"));
            assert!(text.len() >= 40, "{name}: {text}");
        }
        let loss = dir.run("eval whole --json").json()["loss"].as_f64().unwrap();
        assert!(loss > 0.0 && loss < 10.0, "{name}: {loss}");
    }
}

#[test]
fn initialization_settings_are_saved() {
    let dir = TestDir::with_text();
    dir.run(&format!("train text.txt {TINY} --steps 4 --stop-at 2 --init xavier --forget-bias 3")).succeeds();
    for _ in ["new", "resumed"] {
        let config = dir.read("checkpoints/text/config.toml");
        assert!(config.contains("init = \"xavier\"") && config.contains("forget-bias = 3"), "{config}");
        dir.run("train --resume").succeeds();
    }
    let other = dir.run("train --resume text --steps 6 --init uniform");
    other.fails(2, &["--init", "xavier"]);
    let none = dir.run(&format!("train text.txt {TINY} --cell rnn --forget-bias 3 --name none"));
    none.fails(2, &["rnn", "forget"]);
}

#[test]
fn cells_lists_parameters_and_source() {
    let dir = TestDir::with_text();
    let cells = dir.run("cells --hidden 16 --json").json();
    let of = |name: &str| cells.as_array().unwrap().iter().find(|cell| cell["name"] == name).unwrap().clone();
    assert_eq!(cells.as_array().unwrap().len(), CELLS.len());
    assert_eq!(of("lstm")["parameters_per_layer"], 4 * (16 * 16 + 16 * 16 + 16));
    assert_eq!(of("indylstm")["parameters_per_layer"], 4 * (16 * 16 + 16 + 16));
    assert_eq!(of("fgr")["parameters_per_layer"], 4 * (16 * 16 + 16 * 16 + 16) + 9 * 16 * 16 + 3 * 16);
    assert!(of("gru")["train_chars_per_s"].as_f64().unwrap() > 0.0);
    assert!(String::from_utf8(dir.run("cells --hidden 8").out).unwrap().contains("Greff et al. 2015"));
}
