//! The promise that memory does not grow with the corpus: it is mapped, never copied.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Bytes of the large text. It is sparse: a hole reads as NUL characters and takes no room on disk.
const LARGE: u64 = 1 << 30;
const SMALL: u64 = 1 << 20;

/// What a trainer allocates at its largest, in KiB, while it opens a text of that size and takes a few steps.
fn peak(folder: &Path, bytes: u64) -> u64 {
    let text = folder.join(format!("{bytes}.txt"));
    let mut file = File::create(&text).unwrap();
    file.set_len(bytes).unwrap();
    for at in [0, bytes / 2, bytes - 8] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all("ab\ncd\u{e9}.".as_bytes()).unwrap();
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_charlstm"))
        .arg("train")
        .arg(&text)
        .args(["--layers", "1", "--hidden", "16", "--batch", "4", "--seq-len", "16", "--steps", "20", "-q"])
        .args(["--eval-every", "0", "--threads", "2", "--out"])
        .arg(folder.join(format!("run-{bytes}")))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // Pages of the mapped file are the system's to take back; what counts is what the program holds for itself.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0 kB");
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap());
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn memory_does_not_grow_with_the_corpus() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: memory is read from /proc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (peak(folder.path(), SMALL), peak(folder.path(), LARGE));
    println!("{small} KiB for a megabyte, {large} KiB for a gigabyte");
    assert!(small > 0, "nothing was measured");
    assert!(large < small + 16 * 1024, "{large} KiB instead of {small} KiB");
}
