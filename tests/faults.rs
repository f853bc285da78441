//! I/O errors in the middle of a save: every write, sync and rename of a real process fails in turn.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli;

use std::process::{Command, Stdio};

use charlstm::checkpoint::{Frame, model};
use cli::{Place, Ran, shown};

/// The program, in which the `n`th call of that name that goes to one of `paths` fails with an I/O error.
fn with_fault(place: &Place, call: &str, n: usize, paths: &[String], args: &str) -> Command {
    let program = place.command(args);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:error=EIO:when={n}")]);
    for path in paths {
        // A file that is open is known by its whole path, one that is renamed by the path that was given.
        command.args(["-P", path, "-P", &shown(&place.path(path))]);
    }
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(place.path("")).stdin(Stdio::null());
    command
}

#[test]
fn whatever_call_fails_nothing_is_said_to_be_saved_and_the_run_is_whole() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: strace, which makes calls fail, is not installed");
        return;
    }
    let args = "train --resume run --steps 24 --save-every 2 --eval-every 3";
    let whole = Place::with_run();
    whole.run(args).succeeds();
    let state = whole.fact("run", "state_hash");
    let files = [
        "",
        "/latest.ckpt.tmp",
        "/best.ckpt.tmp",
        "/config.toml.tmp",
        "/metrics.jsonl.tmp",
        "/metrics.jsonl",
        "/.lock",
    ];
    let files = files.map(|name| format!("checkpoints/run{name}"));
    for call in ["write", "fsync", "?rename,?renameat,?renameat2"] {
        let (mut faults, mut ended) = (0, false);
        for n in 1..120 {
            let place = Place::with_run();
            let ran = Ran::of(with_fault(&place, call, n, &files, args));
            let at = format!("{call} {n}: {}", ran.err);
            let step = |name: &str| {
                let frame = Frame::read(&place.path(name)).expect(&at);
                frame.verify().expect(&at);
                model::read(&frame).expect(&at);
                charlstm::train::Progress::read(&frame).unwrap().step
            };
            let latest = step("checkpoints/run/latest.ckpt");
            step("checkpoints/run/best.ckpt");
            for left in files.iter().filter(|name| name.ends_with(".tmp")) {
                assert!(!place.has(left), "{at}");
            }
            match ran.code {
                Some(74) => {
                    faults += 1;
                    assert!(!ran.err.contains("Saved") && !ran.err.contains("Done"), "{at}");
                    assert!(ran.err.contains("Input/output error"), "{at}");
                }
                // A plot is not worth an end.
                Some(0) if ran.err.contains("not drawn") => assert_eq!(latest, 24, "{at}"),
                Some(0) => {
                    assert_eq!(latest, 24, "{at}");
                    ended = true;
                    break;
                }
                _ => panic!("{at}"),
            }
            // However little was left to do.
            place.run(args).succeeds();
            assert_eq!(place.fact("run", "state_hash"), state, "{at}: it does not go on to the same bits");
        }
        println!("{call}: {faults} faults");
        assert!(ended && faults >= 3, "{call}: {faults} faults");
    }
}
