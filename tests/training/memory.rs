//! Memory does not grow with the corpus, which is mapped and never copied.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The largest anonymous memory in KiB of a trainer that runs a few steps on a sparse corpus of `bytes` bytes.
fn peak(dir: &Path, bytes: u64) -> u64 {
    let text = dir.join(format!("{bytes}.txt"));
    let mut file = File::create(&text).unwrap();
    file.set_len(bytes).unwrap();
    for at in [0, bytes / 2, bytes - 8] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all("ab\ncd\u{e9}.".as_bytes()).unwrap();
    }
    let args = "train --bytes --layers 1 --hidden 16 --batch 4 --seq-len 16 --steps 20 -q --eval-every 0 --threads 2";
    let mut command = Command::new(env!("CARGO_BIN_EXE_charlstm"));
    command.args(args.split(' ')).arg(&text).arg("--out").arg(dir.join(format!("run-{bytes}"))).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut peak = 0;
    loop {
        // The system can drop pages of the mapped file at any time, so only anonymous memory counts.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0 kB");
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
    let dir = tempfile::tempdir().unwrap();
    let (small, large) = (peak(dir.path(), 1 << 20), peak(dir.path(), 1 << 30));
    assert!(small > 0 && large < small + 16 * 1024, "{large} KiB for 1 GiB, {small} KiB for 1 MiB");
}
