//! Errors: exit codes, and messages that name the file, the flag or the value.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{ENDLESS, Finished, TINY, TestDir, display, prose};

#[test]
fn rejects_corpora_that_cannot_be_trained_on() {
    let dir = TestDir::empty();
    // A tenth is held out, which leaves 16 of 18 characters; 2 streams of 8 need 17.
    let short = prose(18).into_bytes();
    for (text, parts) in
        [(&b""[..], &["empty"][..]), (&[b'z'; 400], &["'z'"]), (&short, &["16", "17", "--batch", "--seq-len"])]
    {
        dir.write("bad.txt", text);
        dir.run(&format!("train bad.txt {TINY} --steps 5"))
            .fails(65, &[&[display(&dir.path("bad.txt")).as_str()], parts].concat());
    }
    dir.write("folder/program.bin", [0u8, 1, 2, 3].repeat(100));
    dir.write("folder/.hidden.txt", prose(500));
    dir.run(&format!("train folder {TINY}")).fails(65, &[&display(&dir.path("folder")), "--bytes"]);
    assert!(!dir.exists("checkpoints/bad/latest.ckpt"));
    dir.write("enough.txt", prose(19));
    dir.train("enough.txt --steps 5");
}

#[test]
fn reports_missing_and_unreadable_files() {
    let dir = TestDir::with_text();
    for (args, file) in [
        ("absent.txt", "absent.txt"),
        ("text.txt --val-file gone.txt", "gone.txt"),
        ("text.txt --config lost.toml", "lost.toml"),
        ("text.txt/below.txt", "text.txt/below.txt"),
    ] {
        dir.run(&format!("train {args}")).fails(66, &[file]);
    }
    assert!(!dir.exists("checkpoints/text/latest.ckpt"));
    std::fs::set_permissions(dir.path("text.txt"), std::fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(dir.path("text.txt")).is_ok() {
        eprintln!("SKIPPED: root can read every file");
        return;
    }
    dir.run("train text.txt").fails(66, &[&display(&dir.path("text.txt"))]);
}

#[test]
fn reports_run_directory_that_cannot_be_created() {
    let dir = TestDir::with_text();
    for out in ["text.txt/run", "text.txt"] {
        dir.run(&format!("train text.txt --out {out} {TINY}")).fails(73, &[out]);
    }
    dir.write("checkpoints", "a file instead of a directory");
    dir.run(&format!("train text.txt {TINY}")).fails(73, &["checkpoints/text"]);
    assert_eq!(dir.read("text.txt"), prose(2000));
}

#[test]
fn existing_run_is_not_overwritten() {
    let dir = TestDir::with_run();
    let files = ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl", "loss.svg"];
    let contents = || files.map(|file| dir.bytes(&format!("checkpoints/run/{file}")));
    let before = contents();
    for target in ["--name run", "--out checkpoints/run"] {
        let again = format!("train text.txt {target} {TINY} --seed 5 --steps 7");
        dir.run(&again).fails(73, &["checkpoints/run", "--resume", "--overwrite"]);
    }
    // The run is also kept if its replacement cannot start.
    dir.write("empty.txt", "");
    dir.run(&format!("train empty.txt --name run --overwrite {TINY}")).fails(65, &["empty.txt"]);
    assert!(before == contents(), "the run was changed");
}

#[test]
fn resumes_from_latest_checkpoint_only() {
    let dir = TestDir::with_run();
    std::fs::copy(dir.path("checkpoints/run/latest.ckpt"), dir.path("copy.ckpt")).unwrap();
    for file in ["copy.ckpt", "checkpoints/run/best.ckpt", "text.txt"] {
        dir.run(&format!("train --resume {file} --steps 30")).fails(2, &[file, "latest.ckpt"]);
    }
    dir.run("train --resume checkpoints/run/latest.ckpt --steps 30").succeeds();
    assert_eq!(dir.info("run", "step"), 30);
}

#[test]
fn reports_missing_runs() {
    let dir = TestDir::with_text();
    dir.run("train --resume one --name other").fails(2, &["--resume", "checkpoints/other"]);
    dir.run("train --resume --name absent").fails(66, &["checkpoints/absent"]);
    for command in ["train --resume", "sample", "eval", "info"] {
        dir.run(command).fails(66, &["checkpoints", "charlstm train"]);
        dir.run(&format!("{command} absent")).fails(66, &["absent"]);
    }
}

#[test]
fn every_command_rejects_a_damaged_checkpoint() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 9 --eval-every 0");
    let latest = "checkpoints/run/latest.ckpt";
    let whole = dir.bytes(latest);
    // In the section table, a name of 16 bytes precedes each offset.
    let flipped = |section: &[u8]| {
        let entry = whole.windows(section.len()).position(|name| name == section).unwrap();
        let at = u64::from_le_bytes(*whole[entry + 16..].first_chunk().unwrap());
        let mut flipped = whole.clone();
        flipped[at as usize + 1000] ^= 1;
        flipped
    };
    let [resume, info] = ["train --resume run --steps 12", "info run"];
    let all = [resume, "sample run", "eval run", info];
    for (bytes, problem, commands) in [
        (whole[..whole.len() / 2].to_vec(), "truncated", &all[..]),
        (whole[..whole.len() - 1].to_vec(), "truncated", &all),
        (flipped(b"weights\0"), "\"weights\"", &all),
        // Sampling does not read this section.
        (flipped(b"moments.1\0"), "\"moments.1\"", &[resume, info]),
    ] {
        dir.write(latest, &bytes);
        for command in commands {
            dir.run(command).fails(65, &[latest, problem]);
        }
        assert!(dir.bytes(latest) == bytes, "the checkpoint was changed");
    }
    dir.run("sample run --length 5").succeeds();
    dir.write(latest, &whole);
    dir.resume_to("run", 12);
}

#[test]
fn rejects_invalid_arguments() {
    let dir = TestDir::with_text();
    for (args, part) in [
        ("frobnicate", "'frobnicate'"),
        ("train text.txt --frobnicate", "'--frobnicate'"),
        ("train text.txt --cell nope", "lstm"),
        ("train text.txt --optimizer nope", "adamw"),
        ("train text.txt --steps many", "'many'"),
        ("train text.txt --steps 5 --epochs 5", "--epochs"),
        ("train text.txt --name a --out b", "--out"),
        ("train text.txt --resume --overwrite", "--overwrite"),
        ("train text.txt --allow-corpus-change", "--resume"),
        ("train text.txt --bytes=false", "--bytes"),
        ("sample --length x", "'x'"),
        ("sample --precision int4", "int8"),
        ("completions nosuchshell", "'nosuchshell'"),
    ] {
        dir.run(args).fails_with_usage(2, &[part]);
    }
    let mut command = dir.command("train text.txt");
    command.env("CHARLSTM_SIMD", "nonsense");
    Finished::run(command).fails(2, &["CHARLSTM_SIMD", "nonsense", "portable"]);
    assert!(!dir.exists("checkpoints"), "a run was created");
}

#[test]
fn out_of_range_numbers_are_rejected_with_the_range() {
    let dir = TestDir::with_text();
    for (flag, value, range) in [
        ("batch", "0", "1 to"),
        ("seq-len", "0", "1 to"),
        ("hidden", "0", "1 to"),
        ("layers", "0", "1 to"),
        ("threads", "0", "1 to 1024"),
        ("threads", "10000", "1 to 1024"),
        ("lr", "0", "above 0"),
        ("lr", "nan", "above 0"),
        ("lr", "inf", "above 0"),
        ("lr", "-1", "above 0"),
        ("clip", "-1", "0"),
        ("dropout", "1", "1"),
        ("val-frac", "1", "below 1"),
        ("steps", "0", "1 to"),
        ("steps", "18446744073709551615", "1 to"),
        ("patience", "0", "1 to"),
        ("seq-len", "1800", "1 to 1799"),
        ("seq-len", "1048577", "1 to 1048576"),
        ("name", "a/b", "a/b"),
    ] {
        dir.run(&format!("train text.txt --{flag}={value}")).fails(2, &[flag, range]);
    }
    dir.train("text.txt --name run --steps 5");
    for (command, flag, value, range) in [
        ("sample", "temp", "nan", "0"),
        ("sample", "temp", "-1", "0"),
        ("sample", "temp", "inf", "0"),
        ("sample", "top-k", "0", "1"),
        ("sample", "top-p", "0", "0"),
        ("sample", "min-p", "2", "1"),
        ("eval", "window", "0", "1"),
    ] {
        dir.run(&format!("{command} --{flag}={value}")).fails(2, &[flag, range]);
    }
}

#[test]
fn configuration_errors_name_the_line() {
    let dir = TestDir::with_text();
    for (text, parts) in [
        (&b"layers = 1\n\nhiden = 5\n"[..], &["line 3", "hiden"][..]),
        (b"layers = 1\nlr = \"fast\"\n", &["line 2", "fast"]),
        (b"layers = \n", &["line 1"]),
        (b"# caf\xe9\nlayers = 1\n", &["UTF-8"]),
    ] {
        dir.write("wrong.toml", text);
        dir.run("train text.txt --config wrong.toml").fails(2, &[&["wrong.toml"], parts].concat());
    }
    assert!(!dir.exists("checkpoints"), "a run was created");
}

#[test]
fn resume_rejects_changed_settings_with_both_values() {
    let dir = TestDir::with_run();
    let before = dir.bytes("checkpoints/run/latest.ckpt");
    let config = dir.read("checkpoints/run/config.toml");
    for (flag, saved, given) in [
        ("--hidden", "16", "17"),
        ("--layers", "1", "3"),
        ("--embed", "16", "5"),
        ("--batch", "2", "4"),
        ("--seq-len", "8", "9"),
        ("--seed", "1", "77"),
        ("--optimizer", "adamw", "sgd"),
        ("--val-frac", "0.1", "0.25"),
    ] {
        let parts = ["checkpoints/run/latest.ckpt", flag, saved, given];
        dir.run(&format!("train --resume run {flag} {given} --steps 40")).fails(2, &parts);
    }
    assert!(before == dir.bytes("checkpoints/run/latest.ckpt"));
    assert_eq!(config, dir.read("checkpoints/run/config.toml"));
}

#[test]
fn resuming_on_a_modified_corpus_requires_the_flag() {
    let dir = TestDir::with_run();
    dir.write("text.txt", prose(2001));
    let path = display(&dir.path("text.txt"));
    dir.run("train --resume run --steps 30").fails(65, &[&path, "2000", "2001", "hash", "--allow-corpus-change"]);
    assert_eq!(dir.info("run", "step"), 20);
    let (_, stderr) = dir.run("train --resume run --steps 30 --allow-corpus-change").succeeds();
    assert!(stderr.contains("warning:"), "{stderr}");
    dir.resume_to("run", 31);
}

#[test]
fn rejects_prompt_with_unknown_character() {
    let dir = TestDir::with_run();
    dir.run("sample run --prompt the\u{e9}").fails(2, &["'\u{e9}'", "U+00E9", "character 4"]);
    dir.write("prompt.txt", "fox\u{1f600}");
    dir.run("sample run --prompt-file prompt.txt").fails(65, &["prompt.txt", "U+1F600", "character 4"]);
    dir.run("sample run --prompt-file absent.txt").fails(66, &["absent.txt"]);
}

#[test]
fn second_trainer_of_a_run_exits_with_75() {
    let dir = TestDir::with_text();
    let running = dir.start_training("held", ENDLESS);
    for second in ["text.txt --name held", &format!("text.txt --name held --overwrite {TINY}"), "--resume held"] {
        dir.run(&format!("train {second} -q")).fails(75, &["checkpoints/held"]);
    }
    dir.train("text.txt --name other --steps 5");
    assert_eq!(running.stop_with("KILL"), None);
    // The lock is released when the process ends.
    dir.run("train --resume held --stop-at 5").succeeds();
    dir.train("text.txt --name held --steps 5 --overwrite");
}

#[cfg(target_os = "linux")]
#[test]
fn unwritable_stdout_is_an_io_error() {
    let dir = TestDir::with_run();
    let mut command = dir.command("sample run --length 5");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{err}");
    assert!(err.starts_with("error: standard output:") && err.lines().count() == 1, "{err}");
}
