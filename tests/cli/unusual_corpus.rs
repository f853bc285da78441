//! Unusual corpora are either read or rejected with a one-line error.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use crate::harness::{Finished, TINY, TestDir, prose};

fn train(dir: &TestDir, text: &str) -> Finished {
    dir.run(&format!("train {text} {TINY} --steps 3 --eval-every 3 --name run -q"))
}

fn assert_rejected(dir: &TestDir, text: &str, parts: &[&str]) {
    train(dir, text).fails(65, &[&[text], parts].concat());
    assert!(!dir.exists("checkpoints/run/latest.ckpt"));
}

#[test]
fn rejects_pipes_and_devices() {
    let dir = TestDir::empty();
    dir.make_fifo("pipe");
    for device in ["pipe", "/dev/stdin", "/dev/zero", "/dev/null"] {
        assert_rejected(&dir, device, &["regular file"]);
    }
    if cfg!(target_os = "linux") {
        assert_rejected(&dir, "/proc/self/status", &["length"]);
    }
}

#[test]
fn reads_stdin_when_it_is_a_file() {
    let dir = TestDir::with_text();
    let mut command = dir.command(&format!("train /dev/stdin {TINY} --steps 3 --name run -q"));
    command.stdin(File::open(dir.path("text.txt")).unwrap()).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(dir.info("run", "step"), 3);
}

#[test]
fn rejects_symbolic_link_loops() {
    let dir = TestDir::empty();
    symlink("loop", dir.path("loop")).unwrap();
    train(&dir, "loop").fails(66, &["loop: "]);
    dir.write("folder/a.txt", prose(500));
    symlink("../folder", dir.path("folder/again")).unwrap();
    train(&dir, "folder").succeeds();
    assert_eq!(dir.json("eval run")["chars"], 50, "each file is read once");
}

#[test]
fn reads_beyond_4_gib() {
    let dir = TestDir::empty();
    let (start, end) = (1u64 << 32, prose(1000));
    let mut file = File::create(dir.path("long.bin")).unwrap();
    if file.seek(SeekFrom::Start(start)).and_then(|_| file.write_all(end.as_bytes())).is_err() {
        eprintln!("SKIPPED: the file system has no sparse files");
        return;
    }
    drop(file);
    // Nearly the whole file is a hole. The last 200 characters are held out.
    let frac = 199.5 / (start + 1000) as f64;
    train(&dir, &format!("long.bin --bytes --val-frac {frac}")).succeeds();
    dir.write("end.txt", &end[800..]);
    let record = dir.metrics("run").into_iter().find(|record| record["kind"] == "eval").unwrap();
    let alone = dir.json("eval run --text end.txt --context-start none");
    assert_eq!((&record["loss"], &alone["chars"]), (&alone["loss"], &199.into()), "{record}");
}

#[test]
fn supports_every_unicode_character() {
    let dir = TestDir::empty();
    let all: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    dir.write("all.txt", &all);
    let args =
        "--layers 1 --hidden 2 --embed 1 --batch 1 --seq-len 2 --threads 1 --steps 1 --eval-every 0 --name run -q";
    dir.run(&format!("train all.txt {args}")).succeeds();
    assert_eq!(dir.info("run", "vocab"), 1_112_064);
    let text = dir.stdout("sample run --length 50 --seed 1");
    assert!(text.chars().count() >= 50 && !text.is_ascii(), "{text:?}");
}

#[test]
fn supports_a_line_of_100_mb() {
    let dir = TestDir::empty();
    dir.write("line.txt", "one line without an end ".repeat(100_000_000 / 24));
    train(&dir, "line.txt --val-frac 0.00001").succeeds();
    dir.run("eval run").succeeds();
}

#[test]
fn invalid_utf8_is_rejected_with_its_offset_and_trains_as_bytes() {
    let dir = TestDir::empty();
    // A stray byte, surrogates and a pair of surrogates.
    for invalid in [&b"\xff"[..], b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"] {
        dir.write("bad.txt", [prose(300).as_bytes(), invalid, prose(300).as_bytes()].concat());
        assert_rejected(&dir, "bad.txt", &["UTF-8", "byte 300", "--bytes"]);
    }
    train(&dir, "bad.txt --bytes").succeeds();
    assert_eq!(dir.info("run", "characters"), "bytes");
}

#[test]
fn rejects_file_name_that_is_not_utf8() {
    let dir = TestDir::with_text();
    let name = std::ffi::OsString::from_vec(b"na\xffme.txt".to_vec());
    if std::fs::copy(dir.path("text.txt"), dir.path("").join(&name)).is_err() {
        eprintln!("SKIPPED: the file system does not allow such names");
        return;
    }
    let mut command = dir.command(&format!("train {TINY} --steps 3 -q"));
    command.arg(&name);
    Finished::run(command).fails(2, &["na\u{fffd}me.txt: ", "UTF-8"]);
    // A file in a directory is read, since only the directory's name is saved.
    train(&dir, ".").succeeds();
    assert_eq!(dir.json("eval run")["chars"], 401, "a line end is added between the files");
}
