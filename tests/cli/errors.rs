//! What the program says, and with which exit code it ends, when something is wrong.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{ENDLESS, TINY, TestDir, display, prose};

/// Training on `text` fails with 65 and names the file.
fn corpus_is_refused(text: &[u8], parts: &[&str]) {
    let dir = TestDir::empty();
    dir.write("bad.txt", text);
    let path = display(&dir.path("bad.txt"));
    dir.run(&format!("train bad.txt {TINY} --steps 5")).fails(65, &[&[path.as_str()], parts].concat());
    assert!(!dir.exists("checkpoints/bad/latest.ckpt"));
}

#[test]
fn rejects_empty_corpus() {
    corpus_is_refused(b"", &["empty"]);
}

#[test]
fn rejects_corpus_with_one_distinct_character() {
    corpus_is_refused(&[b'z'; 400], &["'z'", "only character"]);
}

#[test]
fn rejects_corpus_shorter_than_a_batch() {
    // A tenth is held out: 16 of 18 characters are left, and 2 streams of 8 need one more.
    corpus_is_refused(&prose(18).into_bytes(), &["16 characters", "2 streams of 8", "at least 17", "--batch"]);
    let dir = TestDir::empty();
    dir.write("enough.txt", prose(19));
    dir.train("enough.txt --steps 5");
}

#[test]
fn invalid_utf8_is_rejected_with_its_offset_and_trains_as_bytes() {
    let mut text = prose(300).into_bytes();
    text[123] = 0xff;
    corpus_is_refused(&text, &["byte 123", "--bytes"]);
    let dir = TestDir::empty();
    dir.write("bad.txt", &text);
    dir.train("bad.txt --steps 5 --bytes");
    assert_eq!(dir.info("bad", "characters"), "bytes");
}

#[test]
fn rejects_directory_without_text() {
    let dir = TestDir::empty();
    dir.write("folder/program.bin", [0u8, 1, 2, 3].repeat(100));
    dir.write("folder/.hidden.txt", prose(500));
    dir.run(&format!("train folder {TINY}")).fails(65, &[&display(&dir.path("folder")), "no text file", "--bytes"]);
}

#[test]
fn reports_missing_files() {
    let dir = TestDir::with_text();
    dir.run("train absent.txt").fails(66, &[&display(&dir.path("absent.txt")), "no such file", "check the name"]);
    dir.run("train text.txt --val-file gone.txt").fails(66, &[&display(&dir.path("gone.txt"))]);
    dir.run("train text.txt --config lost.toml").fails(66, &["lost.toml", "no such file", "check the name"]);
    assert!(!dir.exists("checkpoints/text/latest.ckpt"));
}

#[test]
fn reports_unreadable_files() {
    let dir = TestDir::with_text();
    let path = dir.path("text.txt");
    dir.run("train text.txt/below.txt").fails(66, &[&display(&path.join("below.txt")), "Not a directory"]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        eprintln!("SKIPPED: running as root, who may read everything");
        return;
    }
    dir.run("train text.txt").fails(66, &[&display(&path), "ermission denied"]);
}

#[test]
fn reports_run_directory_that_cannot_be_created() {
    let dir = TestDir::with_text();
    dir.run(&format!("train text.txt --out text.txt/run {TINY}")).fails(73, &["text.txt/run", "Not a directory"]);
    dir.run(&format!("train text.txt --out text.txt {TINY}")).fails(73, &["text.txt", "exists"]);
    dir.write("checkpoints", "a file where the folder of the runs should be");
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
    assert!(before == contents(), "the run was touched");
    // Nor is it lost when what should replace it cannot begin.
    dir.write("empty.txt", "");
    dir.run(&format!("train empty.txt --name run --overwrite {TINY}")).fails(65, &["empty.txt"]);
    assert!(before == contents(), "the run was touched");
    // Nor when the first checkpoint of the new one cannot be written.
    dir.write("checkpoints/run/latest.ckpt.tmp/in-the-way", "");
    dir.run(&format!("train text.txt --name run --overwrite {TINY}")).fails(74, &["latest.ckpt.tmp"]);
    assert!(before == contents(), "the run was touched");
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
fn rejects_patience_without_evaluations() {
    let dir = TestDir::with_text();
    for without in ["--eval-every 0", "--val-frac 0"] {
        dir.run(&format!("train text.txt {TINY} --patience 2 {without}")).fails(2, &["--patience", "evaluated"]);
    }
}

#[test]
fn reports_missing_runs() {
    let dir = TestDir::with_text();
    dir.run("train --resume").fails(66, &["checkpoints", "charlstm train"]);
    dir.run("train --resume absent").fails(66, &["absent", "checkpoints"]);
    dir.run("train --resume --name absent").fails(66, &["checkpoints/absent", "no run to go on with"]);
    dir.run("train --resume one --name other").fails(2, &["--resume", "checkpoints/other"]);
    for command in ["sample", "eval", "info"] {
        dir.run(command).fails(66, &["checkpoints", "charlstm train"]);
        dir.run(&format!("{command} absent")).fails(66, &["no run absent"]);
    }
}

#[test]
fn rejects_files_that_are_not_checkpoints() {
    let dir = TestDir::empty();
    let long = prose(5000);
    for (name, bytes, looks) in [
        ("empty.ckpt", &b""[..], "empty"),
        ("model.pt", b"PK\x03\x04\x00\x00\x08\x08 archive/data.pkl", "zip"),
        ("letter.txt", long.as_bytes(), "something else"),
    ] {
        dir.write(name, bytes);
        for command in ["sample", "eval", "info"] {
            dir.run(&format!("{command} {name}")).fails(65, &[name, "not a charlstm checkpoint", looks]);
        }
    }
}

#[test]
fn every_command_rejects_a_damaged_checkpoint() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 9 --eval-every 0");
    let whole = dir.bytes("checkpoints/run/latest.ckpt");
    let refused = |bytes: &[u8], problem: &str| {
        dir.write("checkpoints/run/latest.ckpt", bytes);
        for command in ["train --resume run --steps 12", "sample run", "eval run", "info run"] {
            dir.run(command).fails(65, &["checkpoints/run/latest.ckpt", problem]);
        }
        assert!(dir.bytes("checkpoints/run/latest.ckpt") == bytes, "it was written to");
    };
    refused(&whole[..whole.len() / 2], "truncated");
    refused(&whole[..whole.len() - 1], "truncated");
    // In the table of sections, a name of 16 bytes comes before the place.
    let flipped = |section: &[u8]| {
        let entry = whole.windows(section.len()).position(|name| name == section).unwrap();
        let at = u64::from_le_bytes(*whole[entry + 16..].first_chunk().unwrap());
        let mut flipped = whole.clone();
        flipped[at as usize + 1000] ^= 1;
        flipped
    };
    refused(&flipped(b"weights\0"), "section \"weights\" is damaged");
    // What sampling does not need, it does not read.
    dir.write("checkpoints/run/latest.ckpt", flipped(b"moments.1\0"));
    for command in ["train --resume run --steps 12", "info run"] {
        dir.run(command).fails(65, &["checkpoints/run/latest.ckpt", "section \"moments.1\" is damaged"]);
    }
    dir.run("sample run --length 5").succeeds();
    dir.write("checkpoints/run/latest.ckpt", &whole);
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
        ("sample --length x", "'x'"),
        ("completions nosuchshell", "'nosuchshell'"),
    ] {
        dir.run(args).fails_with_usage(2, &[part]);
    }
    assert!(!dir.exists("checkpoints"), "nothing was begun");
}

#[test]
fn out_of_range_numbers_are_rejected_with_the_range() {
    let dir = TestDir::with_text();
    for (args, parts) in [
        ("--batch 0", ["--batch", "1 to"]),
        ("--seq-len 0", ["--seq-len", "1 to"]),
        ("--hidden 0", ["hidden", "1 to"]),
        ("--layers 0", ["layers", "1 to"]),
        ("--threads 0", ["--threads", "1 to 1024"]),
        ("--threads 10000", ["--threads", "not 10000"]),
        ("--lr 0", ["--lr", "above 0"]),
        ("--lr nan", ["--lr", "above 0"]),
        ("--lr inf", ["--lr", "above 0"]),
        ("--clip=-1", ["--clip", "or more"]),
        ("--dropout 1", ["--dropout", "not 1"]),
        ("--val-frac 1", ["--val-frac", "below 1"]),
        ("--steps 0", ["--steps", "1 to"]),
        ("--steps 18446744073709551615", ["--steps", "18446744073709551615"]),
        ("--patience 0", ["--patience", "1 to"]),
        ("--name a/b", ["--name", "--out"]),
        ("--lr=-1", ["--lr", "above 0"]),
        ("--seq-len 1800", ["--seq-len", "1 to 1799"]),
        ("--seq-len 1048577", ["--seq-len", "1 to 1048576"]),
    ] {
        dir.run(&format!("train text.txt {args}")).fails(2, &parts);
    }
    dir.train("text.txt --name run --steps 5");
    for (args, parts) in [
        ("sample --temp nan", ["--temp", "0 or more"]),
        ("sample --temp -1", ["--temp", "0 or more"]),
        ("sample --temp inf", ["--temp", "0 or more"]),
        ("sample --top-k 0", ["--top-k", "at least 1"]),
        ("sample --top-p 0", ["--top-p", "above 0"]),
        ("sample --min-p 2", ["--min-p", "0 to 1"]),
        ("eval --window 0", ["--window", "at least 1"]),
    ] {
        dir.run(args).fails(2, &parts);
    }
    // As cold as can be is no mistake.
    assert_eq!(
        dir.stdout("sample --temp 1e-30 --length 20 --seed 1"),
        dir.stdout("sample --temp 0 --length 20 --seed 2")
    );
}

#[test]
fn configuration_errors_name_the_line() {
    let dir = TestDir::with_text();
    for (text, parts) in [
        ("layers = 1\n\nhiden = 5\n", ["line 3", "`hiden`"]),
        ("layers = 1\nlr = \"fast\"\n", ["line 2", "fast"]),
        ("layers = \n", ["line 1", "wrong.toml"]),
    ] {
        dir.write("wrong.toml", text);
        dir.run("train text.txt --config wrong.toml").fails(2, &[&["wrong.toml"][..], &parts].concat());
    }
    assert!(!dir.exists("checkpoints"), "nothing was begun");
}

#[test]
fn resume_rejects_changed_settings_with_both_values() {
    let dir = TestDir::with_run();
    let before = dir.bytes("checkpoints/run/latest.ckpt");
    let config = dir.read("checkpoints/run/config.toml");
    for (flag, run, wanted) in [
        ("--hidden", "16", "17"),
        ("--layers", "1", "3"),
        ("--embed", "16", "5"),
        ("--batch", "2", "4"),
        ("--seq-len", "8", "9"),
        ("--seed", "1", "77"),
        ("--optimizer", "adamw", "sgd"),
        ("--val-frac", "0.1", "0.25"),
    ] {
        let parts = ["checkpoints/run/latest.ckpt", flag, &format!("is {run} "), &format!("changed to {wanted}")];
        dir.run(&format!("train --resume run {flag} {wanted} --steps 40")).fails(2, &parts);
    }
    assert!(before == dir.bytes("checkpoints/run/latest.ckpt"));
    assert_eq!(config, dir.read("checkpoints/run/config.toml"));
}

#[test]
fn resuming_on_a_modified_corpus_requires_the_flag() {
    let dir = TestDir::with_run();
    dir.write("text.txt", prose(2001));
    let refused = dir.run("train --resume run --steps 30");
    assert_eq!(refused.err.matches("hash ").count(), 2, "{}", refused.err);
    let path = display(&dir.path("text.txt"));
    refused.fails(65, &[&path, "2000 bytes", "2001 bytes", "--allow-corpus-change"]);
    assert_eq!(dir.info("run", "step"), 20);
    let (_, stderr) = dir.run("train --resume run --steps 30 --allow-corpus-change").succeeds();
    assert!(stderr.contains("warning:") && stderr.contains("begins anew"), "{stderr}");
    assert_eq!(dir.info("run", "step"), 30);
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
    for second in ["--name held", "--name held --overwrite", "--out checkpoints/held"] {
        dir.run(&format!("train text.txt {second} {TINY}")).fails(75, &["checkpoints/held"]);
    }
    dir.train("text.txt --name other --steps 5");
    assert_eq!(running.stop_with("KILL"), None);
    dir.train("text.txt --name held --steps 5 --overwrite");
}

#[test]
fn rejects_unknown_instruction_set() {
    let dir = TestDir::with_text();
    let mut command = dir.command("train text.txt");
    command.env("CHARLSTM_SIMD", "nonsense");
    crate::harness::Finished::run(command).fails(2, &["CHARLSTM_SIMD", "nonsense", "portable"]);
    assert!(!dir.exists("checkpoints"));
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
