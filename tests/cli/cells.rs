//! Every cell as a user runs it.

use crate::harness::{Place, TINY};
use charlstm::cells::CELLS;

#[test]
fn every_cell_trains_resumes_to_the_bit_samples_and_evaluates() {
    let place = Place::with_text();
    for name in CELLS.iter().flat_map(|cell| [&[cell.spec.name], cell.spec.aliases].concat()) {
        place.run(&format!("train text.txt {TINY} --cell {name} --steps 6 --name whole --overwrite")).succeeds();
        place
            .run(&format!("train text.txt {TINY} --cell {name} --steps 6 --stop-at 3 --name part --overwrite"))
            .succeeds();
        place.run("train --resume part").succeeds();
        let [whole, part] =
            ["whole", "part"].map(|run| place.fact(&format!("checkpoints/{run}/latest.ckpt"), "state_hash"));
        assert_eq!(whole, part, "{name}");
        let text = place.run("sample whole --length 40 --seed 1");
        assert!(text.out.len() >= 40, "{name}: {}", text.err);
        let one = place.run("sample whole --length 40 --seed 1 --precision int8");
        assert!(one.out.len() >= 40, "{name}: {}", one.err);
        let loss = place.run("eval whole --json").json()["loss"].as_f64().unwrap();
        assert!(loss > 0.0 && loss < 10.0, "{name}: {loss}");
    }
}

#[test]
fn a_start_can_be_chosen_and_is_kept() {
    let place = Place::with_text();
    place.run(&format!("train text.txt {TINY} --steps 4 --stop-at 2 --init xavier --forget-bias 3")).succeeds();
    for _ in ["begun", "resumed"] {
        let config = place.read("checkpoints/text/config.toml");
        assert!(config.contains("init = \"xavier\"") && config.contains("forget-bias = 3"), "{config}");
        place.run("train --resume").succeeds();
    }
    let other = place.run("train --resume text --steps 6 --init uniform");
    other.fails(2, &["--init xavier"]);
    let none = place.run(&format!("train text.txt {TINY} --cell rnn --forget-bias 3 --name none"));
    none.fails(2, &["no forget gate"]);
}

#[test]
fn cells_are_listed_with_parameters_and_source() {
    let place = Place::with_text();
    let cells = place.run("cells --hidden 16 --json").json();
    let of = |name: &str| cells.as_array().unwrap().iter().find(|cell| cell["name"] == name).unwrap().clone();
    assert_eq!(cells.as_array().unwrap().len(), CELLS.len());
    assert_eq!(of("lstm")["parameters_per_layer"], 4 * (16 * 16 + 16 * 16 + 16));
    assert_eq!(of("indylstm")["parameters_per_layer"], 4 * (16 * 16 + 16 + 16));
    assert_eq!(of("fgr")["parameters_per_layer"], 4 * (16 * 16 + 16 * 16 + 16) + 9 * 16 * 16 + 3 * 16);
    assert!(of("gru")["train_chars_per_s"].as_f64().unwrap() > 0.0);
    assert!(String::from_utf8(place.run("cells --hidden 8").out).unwrap().contains("Greff et al. 2015"));
}
