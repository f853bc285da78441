//! A run's folder: nothing of anybody else's is touched in it, and what is in it belongs to one run.

// Without this feature there is no program to run.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli;

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use charlstm::checkpoint::{Frame, RunFolder, model};
use charlstm::train::Saved;
use cli::{Place, Ran, Running, TINY, prose, shown, traced, wait_until};

fn make_fifo(place: &Place, name: &str) {
    let _ = std::fs::remove_file(place.path(name));
    assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
}

/// Makes `dl`, a folder with a checkpoint that was copied there and a file of somebody's own.
fn copied_beside(place: &Place, name: &str, text: &str) {
    place.write(&format!("dl/{name}"), text);
    std::fs::copy(place.path("checkpoints/run/latest.ckpt"), place.path("dl/latest.ckpt")).unwrap();
}

#[test]
fn links_in_a_run_from_elsewhere_are_not_written_through() {
    let place = Place::with_run();
    for name in [".lock", "latest.ckpt.tmp", "best.ckpt.tmp", "config.toml.tmp", "metrics.jsonl.tmp", "loss.svg.tmp"] {
        let link = place.path(&format!("checkpoints/run/{name}"));
        place.write("victim.txt", "");
        let _ = std::fs::remove_file(&link);
        symlink("../../victim.txt", &link).unwrap();
        let ran = place.run("train --resume run --steps 22");
        if name == ".lock" {
            ran.fails(73, &["checkpoints/run/.lock", "not the lock of a run"]);
            std::fs::remove_file(link).unwrap();
        } else {
            ran.succeeds();
            assert!(!link.is_symlink(), "{name}: it stays");
        }
        assert_eq!(place.read("victim.txt"), "", "{name}");
    }
}

#[test]
fn a_lock_that_is_nobodys_run_is_left_alone() {
    let place = Place::with_text();
    let (lock, config) = ("my own, in 300 KB\n".repeat(17_000), "by = 'hand'");
    place.write("mine/.lock", &lock);
    place.run(&format!("train text.txt --out mine {TINY}")).fails(73, &["mine/.lock", "not the lock of a run"]);
    place.write("mine/config.toml", config);
    place.run(&format!("train text.txt --out mine {TINY}")).fails(73, &["mine/config.toml"]);
    place.write("folder/.lock/file", "");
    place.run(&format!("train text.txt --out folder {TINY}")).fails(73, &["folder/.lock", "not the lock of a run"]);
    assert!(place.read("mine/.lock") == lock && place.read("mine/config.toml") == config);
}

#[test]
fn a_run_that_is_killed_while_it_is_replaced_is_the_old_or_the_new_one() {
    // What a file of the run belongs to.
    let seed = |path: &Path| {
        let frame = Frame::read(path).unwrap();
        frame.verify().unwrap();
        model::read(&frame).unwrap();
        Saved::read(&frame).unwrap().train.seed
    };
    let args = format!("train text.txt --name run {TINY} --seed 2 --steps 3 --eval-every 0 --overwrite");
    let (mut kills, mut found) = (0, [0, 0]);
    for call in ["?unlink,?unlinkat", "?rename,?renameat,?renameat2", "fsync", "ftruncate"] {
        for n in 1..60 {
            let place = Place::with_run();
            let inject = format!("inject={call}:signal=KILL:when={n}");
            let trace = format!("trace={call}");
            let strace = ["-o", "/dev/null", "-e", trace.as_str(), "-e", inject.as_str()];
            let Some(mut command) = traced(&place, &strace, &args) else { return };
            if command.stderr(Stdio::null()).status().unwrap().success() {
                break;
            }
            kills += 1;
            let run = RunFolder::new(place.path("checkpoints/run"));
            let (latest, at) = (seed(&run.latest()), format!("{call} {n}"));
            assert_eq!(seed(&run.model()), latest, "{at}: what is sampled from belongs to another run");
            found[latest as usize - 1] += 1;
            place.run("train --resume run --steps 22 --eval-every 0").succeeds();
            assert_eq!((seed(&run.latest()), seed(&run.model())), (latest, latest), "{at}: resumed");
            assert!(place.read("checkpoints/run/config.toml").contains(&format!("seed = {latest}\n")), "{at}");
        }
    }
    println!("{kills} kills: {found:?}");
    assert!(found[0] > 3 && found[1] > 3, "{kills} kills: {found:?}");
}

#[test]
fn the_best_of_another_text_is_not_taken_for_the_runs() {
    let place = Place::with_run();
    place.write("text.txt", prose(2001));
    place.run("train --resume run --steps 22 --eval-every 0 --allow-corpus-change").succeeds();
    assert!(!place.has("checkpoints/run/best.ckpt"));
    // Nor is one that was put there.
    std::fs::copy(place.path("checkpoints/run/latest.ckpt"), place.path("checkpoints/run/best.ckpt")).unwrap();
    place.train_on("run", 23);
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
    let latest = place.bytes("checkpoints/run/latest.ckpt");
    make_fifo(&place, "checkpoints/run/latest.ckpt");
    for command in ["train --resume run --steps 22", "info run"] {
        place.run(command).fails(66, &["run/latest.ckpt", "not a regular file"]);
    }
    std::fs::remove_file(place.path("checkpoints/run/latest.ckpt")).unwrap();
    place.write("checkpoints/run/latest.ckpt", &latest[..latest.len() / 2]);
    make_fifo(&place, "checkpoints/run/best.ckpt");
    place.run("sample run").fails(66, &["run/best.ckpt", "not a regular file"]);
    // What to use in place of a damaged one is not looked for in a pipe either.
    place.run("info run").fails(65, &["run/latest.ckpt", "truncated"]);
}

#[test]
fn a_checkpoint_beside_somebodys_own_files_is_not_trained_on_there() {
    let place = Place::with_run();
    for (name, text) in [("config.toml", "[server]\nport = 80\n"), ("metrics.jsonl", "{\"mine\": 1}\n")] {
        copied_beside(&place, name, text);
        for command in ["train --resume dl/latest.ckpt --steps 30", "train text.txt --out dl --overwrite"] {
            place.run(command).fails(73, &[&format!("dl/{name}"), "a folder of its own"]);
        }
        assert_eq!(place.read(&format!("dl/{name}")), text);
        assert!(!place.has("dl/.lock"));
        std::fs::remove_dir_all(place.path("dl")).unwrap();
    }
    // What a run has written itself is in nobody's way.
    copied_beside(&place, "config.toml", &place.read("checkpoints/run/config.toml"));
    place.write("dl/metrics.jsonl", place.bytes("checkpoints/run/metrics.jsonl"));
    place.run("train --resume dl/latest.ckpt --steps 30").succeeds();
    assert_eq!(place.fact("dl", "step"), 30);
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
fn the_folders_of_a_new_run_are_made_durable() {
    let place = Place::with_text();
    let args = format!("train text.txt --out new/deep/run {TINY} --steps 3");
    let strace = ["-y", "-o", "trace.txt", "-e", "trace=fsync"];
    let Some(command) = traced(&place, &strace, &args) else { return };
    Ran::of(command).succeeds();
    let trace = place.read("trace.txt");
    for folder in ["", "new", "new/deep", "new/deep/run"] {
        let path = place.path(folder).canonicalize().unwrap();
        assert!(trace.contains(&format!("<{}>)", shown(&path))), "{folder:?} is not synced: {trace}");
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
fn files_beside_an_empty_lock_or_a_copied_checkpoint_are_somebodys_own() {
    let place = Place::with_run();
    place.write("mine/.lock", "");
    place.write("mine/config.toml", "port = 80");
    place.run(&format!("train text.txt --out mine {TINY}")).fails(73, &["mine/config.toml", "not a run's"]);
    place.write("half/best.ckpt.tmp", "mine");
    place.run(&format!("train text.txt --out half {TINY}")).fails(73, &["half/best.ckpt.tmp", "not a run's"]);
    assert_eq!(place.read("half/best.ckpt.tmp"), "mine");
    copied_beside(&place, "loss.svg", "<svg/>");
    place.run("train --resume dl/latest.ckpt --steps 22").fails(73, &["dl/loss.svg", "not a run's"]);
    assert_eq!((place.read("mine/config.toml"), place.read("dl/loss.svg")), ("port = 80".into(), "<svg/>".into()));
}

#[test]
fn what_may_not_be_looked_at_does_not_pass_for_nothing() {
    let place = Place::with_run();
    for name in ["latest.ckpt", "best.ckpt"] {
        let file = place.path(&format!("checkpoints/run/{name}"));
        std::fs::remove_file(&file).unwrap();
        symlink(name, &file).unwrap();
    }
    place
        .run(&format!("train text.txt --name run {TINY}"))
        .fails(66, &["checkpoints/run/latest.ckpt", "cannot be read"]);
    place.run("train --resume run").fails(66, &["checkpoints/run/latest.ckpt", "cannot be read"]);
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
