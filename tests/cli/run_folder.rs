//! The files of a run's folder: links, pipes and permissions, and the settings of a resumed run.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::harness::{Place, Running, prose, wait_until};

fn make_fifo(place: &Place, name: &str) {
    let _ = std::fs::remove_file(place.path(name));
    assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
}

#[test]
fn links_in_a_run_from_elsewhere_are_not_written_through() {
    let place = Place::with_run();
    for name in ["latest.ckpt.tmp", "best.ckpt.tmp", "config.toml.tmp", "metrics.jsonl.tmp", "loss.svg.tmp"] {
        let link = place.path(&format!("checkpoints/run/{name}"));
        place.write("victim.txt", "");
        let _ = std::fs::remove_file(&link);
        symlink("../../victim.txt", &link).unwrap();
        place.run("train --resume run --steps 22").succeeds();
        assert!(!link.is_symlink(), "{name}: it stays");
        assert_eq!(place.read("victim.txt"), "", "{name}");
    }
}

#[test]
fn the_best_of_another_text_is_not_taken_for_the_runs() {
    let place = Place::with_run();
    place.write("text.txt", prose(2001));
    place.run("train --resume run --steps 22 --eval-every 0 --allow-corpus-change").succeeds();
    assert!(!place.has("checkpoints/run/best.ckpt"));
}

#[test]
fn pipes_in_the_place_of_files_are_not_waited_for() {
    let place = Place::with_run();
    make_fifo(&place, "checkpoints/run/metrics.jsonl");
    let ran = place.run("train --resume run --steps 22");
    assert!(
        ran.code == Some(66) && ran.err.contains("run/metrics.jsonl: it cannot be read: not a regular"),
        "{}",
        ran.err
    );
    make_fifo(&place, "checkpoints/run/latest.ckpt");
    for command in ["train --resume run --steps 22", "info run"] {
        place.run(command).fails(66, &["run/latest.ckpt", "not a regular file"]);
    }
    make_fifo(&place, "checkpoints/run/best.ckpt");
    place.run("sample run").fails(66, &["run/best.ckpt", "not a regular file"]);
}

#[test]
fn a_private_run_stays_private() {
    let place = Place::with_run();
    let files = ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl", "loss.svg"];
    let paths = files.map(|name| place.path(&format!("checkpoints/run/{name}")));
    paths.iter().for_each(|path| std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap());
    place.run("train --resume run --steps 40 --eval-every 1").succeeds();
    for path in paths {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn what_cannot_be_a_configuration_is_a_mistake_of_usage() {
    let place = Place::with_run();
    place.write("latin.toml", b"# caf\xe9\nlayers = 1\n");
    for file in ["latin.toml", "checkpoints/run/latest.ckpt"] {
        place.run(&format!("train text.txt --name new --config {file}")).fails(2, &[file, "not UTF-8"]);
    }
}

#[test]
fn bytes_cannot_be_chosen_off_on_the_way() {
    let place = Place::with_text();
    place.train("text.txt --name raw --steps 5 --bytes");
    place.write("off.toml", "bytes = false\n");
    place.run("train --resume raw --steps 9 --config off.toml").fails(2, &["Bytes", "Utf8"]);
    place.run("train --resume raw --steps 9 --config checkpoints/raw/config.toml").succeeds();
    assert_eq!(place.fact("raw", "characters"), "bytes");
    // A flag wins, and needs no value.
    place.train("--bytes text.txt --name flag --steps 5 --config off.toml");
    assert_eq!(place.fact("flag", "characters"), "bytes");
    place.run("train text.txt --bytes=false").fails_at_length(2, &["--bytes"]);
}

#[test]
fn a_folder_in_the_way_of_a_file_is_named_with_what_to_do() {
    let place = Place::with_run();
    place.write("checkpoints/run/latest.ckpt.tmp/file", "");
    place.run("train --resume run --steps 22").fails(74, &["run/latest.ckpt.tmp", "remove it"]);
}

#[test]
fn what_a_resumed_run_was_asked_for_outlives_a_kill() {
    let place = Place::with_run();
    let metrics = place.path("checkpoints/run/metrics.jsonl");
    let before = metrics.metadata().unwrap().len();
    let command =
        place.command("train --resume run --steps 1000000000 --lr 0.5 --save-every 0 --eval-every 0 -q").spawn();
    let running = Running(command.unwrap());
    wait_until("more records", || metrics.metadata().is_ok_and(|file| file.len() > before));
    assert_eq!(running.end_by("KILL"), None);
    let (_, said) = place.run("train --resume run --stop-at 30").succeeds();
    assert!(said.contains("Going on from step 20 of 1000000000"), "{said}");
    assert_eq!(place.fact("run", "step"), 30);
}
