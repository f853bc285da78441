//! Surroundings that are not as usual: no environment, closed outputs, wrong clocks, folders that cannot be written.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::harness::{Place, Ran, TINY};

/// The program with these arguments as a shell starts it, with something of a shell's behind them.
fn by_shell(place: &Place, args: &str, behind: &str) -> Ran {
    let program = place.command("").get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" {args} {behind}")).arg(program).current_dir(place.path(""));
    shell.env_remove("RUST_BACKTRACE");
    Ran::of(shell)
}

#[test]
fn the_environment_does_not_matter() {
    let place = Place::with_text();
    let settings = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name");
    type Change = fn(&mut Command) -> &mut Command;
    let all: [(&str, Change); 8] = [
        ("usual", |command| command),
        ("empty", |command| command.env_clear()),
        ("no-home", |command| command.env_remove("HOME")),
        ("no-term", |command| command.env_remove("TERM")),
        ("dumb", |command| command.env("TERM", "dumb")),
        ("locale", |command| command.env("LC_ALL", "C")),
        ("west", |command| command.env("TZ", "America/Los_Angeles")),
        ("nowhere", |command| command.env("TZ", "No/Such/Zone")),
    ];
    let hash = |(name, change): &(&str, Change)| {
        let there = |args: &str| {
            let mut command = place.command(args);
            change(&mut command);
            Ran::of(command).succeeds()
        };
        there(&format!("{settings} {name}"));
        let (out, err) = there(&format!("sample {name} --seed 1 --length 50"));
        assert_eq!((out.len() >= 50, err.as_str()), (true, ""), "{name}");
        (place.fact(name, "state_hash"), out)
    };
    let usual = hash(&all[0]);
    for other in &all[1..] {
        assert_eq!(hash(other), usual, "{}", other.0);
    }
}

#[test]
fn names_that_are_not_ascii_are_shown_in_any_locale() {
    let place = Place::with_text();
    std::fs::rename(place.path("text.txt"), place.path("m\u{e4}rchen.txt")).unwrap();
    let mut command = place.command(&format!("train m\u{e4}rchen.txt {TINY} --steps 3"));
    command.env("LC_ALL", "C");
    let (_, err) = Ran::of(command).succeeds();
    assert!(err.contains("checkpoints/m\u{e4}rchen"), "{err}");
}

#[test]
fn a_run_goes_on_whatever_the_clock_says() {
    let place = Place::with_text();
    place.train("text.txt --name whole --steps 20 --stop-at 14");
    place.train("text.txt --name run --steps 20 --stop-at 8");
    let far = Duration::from_secs(20 * 365 * 86400);
    // As if the clock had been set back since, and as if it had not been set at all.
    for (time, stop) in [(SystemTime::now() + far, 11), (SystemTime::UNIX_EPOCH, 14)] {
        for name in
            ["text.txt", "checkpoints/run/latest.ckpt", "checkpoints/run/metrics.jsonl", "checkpoints/run/.lock"]
        {
            let file = File::options().write(true).open(place.path(name)).unwrap();
            file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
        }
        place.run(&format!("train --resume run --stop-at {stop}")).succeeds();
    }
    assert_eq!(place.fact("run", "state_hash"), place.fact("whole", "state_hash"));
    let clock: Vec<f64> = place.metrics("run").iter().map(|record| record["elapsed_s"].as_f64().unwrap()).collect();
    assert!(clock[0] > 0.0 && clock.is_sorted(), "{clock:?}");
}

#[test]
fn closed_outputs_stop_nothing() {
    let place = Place::with_text();
    place.train("text.txt --name whole --steps 12 --eval-every 5");
    for (name, behind) in [("out", ">&-"), ("err", "2>&-"), ("both", ">&- 2>&-"), ("all", "<&- >&- 2>&-")] {
        let args = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name {name}");
        assert_eq!(by_shell(&place, &args, behind).code, Some(0), "{behind}");
        assert_eq!(place.fact(name, "state_hash"), place.fact("whole", "state_hash"), "{behind}");
        // Nothing that the program opens may come to stand where an output was: what it says would be written into it.
        for file in ["latest.ckpt", "best.ckpt"] {
            place.json(&format!("eval checkpoints/{name}/{file}"));
        }
        assert_eq!(by_shell(&place, "sample whole --length 20", behind).code, Some(0), "{behind}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn messages_that_cannot_be_written_stop_nothing() {
    let place = Place::with_text();
    let args = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name full");
    assert_eq!(by_shell(&place, &args, "2>/dev/full").code, Some(0));
    assert_eq!(place.fact("full", "step"), 12);
    assert_eq!(by_shell(&place, "train absent.txt", "2>/dev/full").code, Some(66));
}

#[cfg(target_os = "linux")]
#[test]
fn a_current_folder_that_cannot_be_written_is_enough() {
    let place = Place::with_text();
    // Not even root can write there.
    let folder = Path::new("/proc");
    let out = place.path("elsewhere/run");
    let there = |args: &str| {
        let mut command = place.command(args);
        command.current_dir(folder).stdin(Stdio::null());
        Ran::of(command)
    };
    let text = crate::harness::shown(&place.path("text.txt"));
    let settings = format!("train {text} {TINY} --steps 12 --eval-every 5");
    there(&format!("{settings} --out {}", out.display())).succeeds();
    there(&format!("train --resume {} --steps 15", out.display())).succeeds();
    assert!(there(&format!("sample {} --length 20", out.display())).succeeds().0.len() >= 20);
    there(&settings).fails_at_length(73, &["checkpoints/text", "choose another folder"]);
}
