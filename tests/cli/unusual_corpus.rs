//! Texts that are not what texts mostly are: they work, or one line says why not.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::harness::{Place, Ran, TINY, prose};

fn train(place: &Place, text: &str) -> Ran {
    place.run(&format!("train {text} {TINY} --steps 3 --eval-every 3 --name run -q"))
}

/// Training on `text` ends with 65, at once and without a run.
fn is_refused(place: &Place, text: &str, parts: &[&str]) {
    train(place, text).fails(65, &[&[text], parts].concat());
    assert!(!place.has("checkpoints/run/latest.ckpt"));
}

#[test]
fn a_pipe_is_not_waited_for() {
    let place = Place::empty();
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    is_refused(&place, "pipe", &["not a regular file", "copy it to a file"]);
}

#[test]
fn standard_input_is_read_where_it_is_a_file() {
    let place = Place::with_text();
    is_refused(&place, "/dev/stdin", &["not a regular file", "copy it to a file"]);
    let mut command = place.command(&format!("train /dev/stdin {TINY} --steps 3 --name run -q"));
    command.stdin(File::open(place.path("text.txt")).unwrap()).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(place.fact("run", "step"), 3);
}

#[test]
fn what_has_no_end_or_no_length_is_refused() {
    let place = Place::empty();
    for device in ["/dev/zero", "/dev/null"] {
        is_refused(&place, device, &["not a regular file"]);
    }
    if cfg!(target_os = "linux") {
        is_refused(&place, "/proc/self/status", &["its length is not known", "copy it to a file"]);
    }
}

#[test]
fn links_that_lead_back_are_not_followed_for_ever() {
    let place = Place::empty();
    symlink("loop", place.path("loop")).unwrap();
    train(&place, "loop").fails(66, &["loop: it cannot be read", "symbolic links"]);
    place.write("folder/a.txt", prose(500));
    symlink("../folder", place.path("folder/again")).unwrap();
    train(&place, "folder").succeeds();
    assert_eq!(place.json("eval run")["chars"], 49, "a tenth of 500 characters is held out: each text is read once");
}

#[test]
fn what_lies_beyond_4_gib_is_read() {
    let place = Place::empty();
    let (begin, end) = (1u64 << 32, prose(1000));
    let mut file = File::create(place.path("long.bin")).unwrap();
    if file.seek(SeekFrom::Start(begin)).and_then(|_| file.write_all(end.as_bytes())).is_err() {
        eprintln!("SKIPPED: there are no sparse files here");
        return;
    }
    drop(file);
    // Nearly all of it is a hole, which costs no room; what is held out are its last 200 characters.
    let frac = 199.5 / (begin + 1000) as f64;
    train(&place, &format!("long.bin --bytes --val-frac {frac}")).succeeds();
    place.write("end.txt", &end[800..]);
    let record = place.metrics("run").into_iter().find(|record| record["kind"] == "eval").unwrap();
    let alone = place.json("eval run --text end.txt");
    assert_eq!((&record["loss"], &alone["chars"]), (&alone["loss"], &199.into()), "{record}");
}

#[test]
fn every_character_there_is_can_be_learned_and_written() {
    let place = Place::empty();
    let all: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    assert_eq!(all.chars().count(), 1_112_064);
    place.write("all.txt", &all);
    let args =
        "--layers 1 --hidden 2 --embed 1 --batch 1 --seq-len 2 --threads 1 --steps 1 --eval-every 0 --name run -q";
    place.run(&format!("train all.txt {args}")).succeeds();
    assert_eq!(place.fact("run", "vocab"), 1_112_064);
    let written = place.out("sample run --length 50 --seed 1");
    assert!(written.chars().count() >= 50 && !written.is_ascii(), "{written:?}");
}

#[test]
fn a_line_of_100_mb_is_a_text_like_any_other() {
    let place = Place::empty();
    place.write("line.txt", "one line without an end ".repeat(100_000_000 / 24));
    train(&place, "line.txt --val-frac 0.00001").succeeds();
    place.run("eval run").succeeds();
}

#[test]
fn nul_is_a_character() {
    let place = Place::empty();
    place.write("nul.txt", "ab\0c\0\0d\n".repeat(60));
    train(&place, "nul.txt").succeeds();
    assert!(place.run("sample run --length 300 --seed 1").out.contains(&0));
}

#[test]
fn surrogates_are_no_characters() {
    let place = Place::empty();
    for lone in [&b"\xed\xa0\x80"[..], b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"] {
        place.write("wtf8.txt", [prose(300).as_bytes(), lone, prose(300).as_bytes()].concat());
        is_refused(&place, "wtf8.txt", &["not UTF-8 at byte 300", "--bytes"]);
    }
    train(&place, "wtf8.txt --bytes").succeeds();
}

#[test]
fn a_name_that_is_not_utf8_is_refused_by_name() {
    let place = Place::with_text();
    let name = std::ffi::OsString::from_vec(b"na\xffme.txt".to_vec());
    if std::fs::copy(place.path("text.txt"), place.path("").join(&name)).is_err() {
        eprintln!("SKIPPED: such a name cannot be given here");
        return;
    }
    let mut command = place.command(&format!("train {TINY} --steps 3 -q"));
    command.arg(&name);
    Ran::of(command).fails(2, &["na\u{fffd}me.txt: the name is not UTF-8", "rename it"]);
    // In a folder it is read like others: what is kept is the folder's name.
    train(&place, ".").succeeds();
    assert_eq!(place.json("eval run")["chars"], 399, "a tenth of twice 2000 characters is held out");
}
