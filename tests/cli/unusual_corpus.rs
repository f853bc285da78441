//! Texts that are not what texts mostly are: they work, or one line says why not.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::harness::{Finished, TINY, TestDir, prose};

fn train(dir: &TestDir, text: &str) -> Finished {
    dir.run(&format!("train {text} {TINY} --steps 3 --eval-every 3 --name run -q"))
}

/// Training on `text` ends with 65, at once and without a run.
fn is_refused(dir: &TestDir, text: &str, parts: &[&str]) {
    train(dir, text).fails(65, &[&[text], parts].concat());
    assert!(!dir.exists("checkpoints/run/latest.ckpt"));
}

#[test]
fn rejects_named_pipe() {
    let dir = TestDir::empty();
    assert!(Command::new("mkfifo").arg(dir.path("pipe")).status().unwrap().success());
    is_refused(&dir, "pipe", &["not a regular file", "copy it to a file"]);
}

#[test]
fn reads_stdin_when_it_is_a_file() {
    let dir = TestDir::with_text();
    is_refused(&dir, "/dev/stdin", &["not a regular file", "copy it to a file"]);
    let mut command = dir.command(&format!("train /dev/stdin {TINY} --steps 3 --name run -q"));
    command.stdin(File::open(dir.path("text.txt")).unwrap()).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(dir.info("run", "step"), 3);
}

#[test]
fn rejects_devices() {
    let dir = TestDir::empty();
    for device in ["/dev/zero", "/dev/null"] {
        is_refused(&dir, device, &["not a regular file"]);
    }
    if cfg!(target_os = "linux") {
        is_refused(&dir, "/proc/self/status", &["length is unknown", "copy it to a file"]);
    }
}

#[test]
fn rejects_symbolic_link_loops() {
    let dir = TestDir::empty();
    symlink("loop", dir.path("loop")).unwrap();
    train(&dir, "loop").fails(66, &["loop: cannot be read", "symbolic links"]);
    dir.write("folder/a.txt", prose(500));
    symlink("../folder", dir.path("folder/again")).unwrap();
    train(&dir, "folder").succeeds();
    assert_eq!(dir.json("eval run")["chars"], 49, "a tenth of 500 characters is held out: each text is read once");
}

#[test]
fn reads_beyond_4_gib() {
    let dir = TestDir::empty();
    let (begin, end) = (1u64 << 32, prose(1000));
    let mut file = File::create(dir.path("long.bin")).unwrap();
    if file.seek(SeekFrom::Start(begin)).and_then(|_| file.write_all(end.as_bytes())).is_err() {
        eprintln!("SKIPPED: there are no sparse files here");
        return;
    }
    drop(file);
    // Nearly all of it is a hole, which costs no room; what is held out are its last 200 characters.
    let frac = 199.5 / (begin + 1000) as f64;
    train(&dir, &format!("long.bin --bytes --val-frac {frac}")).succeeds();
    dir.write("end.txt", &end[800..]);
    let record = dir.metrics("run").into_iter().find(|record| record["kind"] == "eval").unwrap();
    let alone = dir.json("eval run --text end.txt");
    assert_eq!((&record["loss"], &alone["chars"]), (&alone["loss"], &199.into()), "{record}");
}

#[test]
fn supports_every_unicode_character() {
    let dir = TestDir::empty();
    let all: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    assert_eq!(all.chars().count(), 1_112_064);
    dir.write("all.txt", &all);
    let args =
        "--layers 1 --hidden 2 --embed 1 --batch 1 --seq-len 2 --threads 1 --steps 1 --eval-every 0 --name run -q";
    dir.run(&format!("train all.txt {args}")).succeeds();
    assert_eq!(dir.info("run", "vocab"), 1_112_064);
    let written = dir.stdout("sample run --length 50 --seed 1");
    assert!(written.chars().count() >= 50 && !written.is_ascii(), "{written:?}");
}

#[test]
fn supports_a_line_of_100_mb() {
    let dir = TestDir::empty();
    dir.write("line.txt", "one line without an end ".repeat(100_000_000 / 24));
    train(&dir, "line.txt --val-frac 0.00001").succeeds();
    dir.run("eval run").succeeds();
}

#[test]
fn supports_nul() {
    let dir = TestDir::empty();
    dir.write("nul.txt", "ab\0c\0\0d\n".repeat(60));
    train(&dir, "nul.txt").succeeds();
    assert!(dir.run("sample run --length 300 --seed 1").out.contains(&0));
}

#[test]
fn rejects_surrogates_in_utf8() {
    let dir = TestDir::empty();
    for lone in [&b"\xed\xa0\x80"[..], b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"] {
        dir.write("wtf8.txt", [prose(300).as_bytes(), lone, prose(300).as_bytes()].concat());
        is_refused(&dir, "wtf8.txt", &["UTF-8 at byte 300", "--bytes"]);
    }
    train(&dir, "wtf8.txt --bytes").succeeds();
}

#[test]
fn rejects_file_name_that_is_not_utf8() {
    let dir = TestDir::with_text();
    let name = std::ffi::OsString::from_vec(b"na\xffme.txt".to_vec());
    if std::fs::copy(dir.path("text.txt"), dir.path("").join(&name)).is_err() {
        eprintln!("SKIPPED: such a name cannot be given here");
        return;
    }
    let mut command = dir.command(&format!("train {TINY} --steps 3 -q"));
    command.arg(&name);
    Finished::run(command).fails(2, &["na\u{fffd}me.txt: the name is not UTF-8", "rename it"]);
    // In a folder it is read like others: what is kept is the folder's name.
    train(&dir, ".").succeeds();
    assert_eq!(dir.json("eval run")["chars"], 399, "a tenth of twice 2000 characters is held out");
}
