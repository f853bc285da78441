//! Fine-tuning: `charlstm train new.txt --init-from RUN`.

use crate::harness::{TestDir, assert_contains_all, display, numbers_in, prose};

const NEW: &str = "αβγδεζηθικλμνξοπρστυ";
/// Training settings without the model shape, which is that of the original run.
const TRAIN: &str = "train --batch 4 --seq-len 8 --threads 1 --log-every 5";

/// English in which every tenth character is a Greek letter.
fn greek(chars: usize) -> String {
    let letters: Vec<char> = NEW.chars().collect();
    let text = prose(chars).chars().rev().enumerate().collect::<Vec<_>>().into_iter();
    text.map(|(i, c)| if i % 10 == 3 { letters[i / 10 % letters.len()] } else { c }).collect()
}

/// A directory with a run `run` on `text.txt`, and `new.txt` with 20 characters that are not in the run's vocabulary.
fn with_run() -> TestDir {
    let dir = TestDir::with_text();
    dir.run(&format!("{TRAIN} text.txt --name run --steps 60 --cell gru --hidden 16 --embed 5")).succeeds();
    dir.write("new.txt", greek(1200));
    dir
}

/// Fine-tunes `run`; returns stderr.
fn tune(dir: &TestDir, args: &str) -> String {
    dir.run(&format!("{TRAIN} --init-from run {args}")).succeeds().1
}

/// The numbers A and B in the line `TEXT: A -> B nats`.
fn losses(stderr: &str, text: &str) -> (f64, f64) {
    let line = stderr.lines().find(|line| line.contains(text) && line.contains(" -> "));
    let line = line.unwrap_or_else(|| panic!("no line for {text} in {stderr}"));
    let (before, after) = line.split_once(" nats").unwrap().0.split_once(" -> ").unwrap();
    (before.rsplit(' ').next().unwrap().parse().unwrap(), after.parse().unwrap())
}

#[test]
fn fine_tuning_reports_old_and_new_loss() {
    let dir = with_run();
    let stderr = tune(&dir, "new.txt --steps 120 --eval-every 40");
    assert_contains_all(&stderr, &["20", "'α' (U+03B1)", "'υ' (U+03C5)", &display(&dir.path("checkpoints/run"))]);
    let (old, new) = (losses(&stderr, "old text"), losses(&stderr, "new text"));
    assert!(old.0 > 0.0 && new.1 < new.0, "{stderr}");
    let before_training = stderr.split("step 5/").next().unwrap();
    assert_contains_all(before_training, &[&format!("{:.4}", old.0), &format!("{:.4}", new.0)]);
    let best = dir.info("new", "best")["loss"].as_f64().unwrap();
    assert!((best - new.1).abs() < 1e-4, "{best}: {stderr}");
    let facts = dir.json("info new");
    assert_eq!((&facts["init_from"], &facts["cell"]), (&display(&dir.path("checkpoints/run")).into(), &"gru".into()));
    assert_eq!((&facts["layers"], &facts["hidden"], &facts["embed"]), (&2.into(), &16.into(), &5.into()));
    assert!(facts["replay"].is_null() && dir.json("info run")["init_from"].is_null());
    dir.stdout("sample new --length 40 --seed 1");
    dir.run("eval new").succeeds();
}

#[test]
fn long_list_of_new_characters_is_shortened() {
    let dir = with_run();
    let many: String = (0..60).filter_map(|i| char::from_u32(0x4e00 + i)).collect();
    dir.write("many.txt", format!("{}{many}", prose(900)));
    let stderr = tune(&dir, "many.txt --steps 2 --eval-every 0");
    assert!(stderr.contains("U+4E27") && !stderr.contains("U+4E28"), "{stderr}");
}

#[test]
fn replay_is_reported_saved_and_resumed() {
    let dir = with_run();
    let args = "new.txt --replay text.txt --replay-frac 0.25 --dropout 0.2 --steps 70 --eval-every 20";
    let stderr = tune(&dir, &format!("{args} --name whole"));
    // 1080 characters of the new text, and a third as many of the old one.
    assert!(stderr.contains("Replay: 360 ") && stderr.contains("and 1080 from the new text"), "{stderr}");
    let facts = dir.json("info whole");
    assert_eq!((&facts["replay"]["chars"], &facts["replay"]["fraction"]), (&360.into(), &0.25.into()));
    assert_eq!(facts["replay"]["file"], display(&dir.path("text.txt")));
    tune(&dir, &format!("{args} --name parts --stop-at 17"));
    // The original run is no longer needed.
    std::fs::rename(dir.path("checkpoints/run"), dir.path("gone")).unwrap();
    dir.run("train --resume parts --stop-at 51").succeeds();
    let (_, rest) = dir.run("train --resume parts").succeeds();
    dir.assert_same_run("parts", "whole");
    for text in ["old text", "new text"] {
        assert_eq!(losses(&rest, text), losses(&stderr, text));
    }
    dir.run("eval parts").succeeds();
    std::fs::rename(dir.path("gone"), dir.path("checkpoints/run")).unwrap();
    dir.run("train --config checkpoints/whole/config.toml --name again").succeeds();
    dir.assert_same_run("again", "whole");
    // A fine-tuned run can be fine-tuned.
    let (_, stderr) = dir.run(&format!("{TRAIN} text.txt --init-from whole --name third --steps 3")).succeeds();
    losses(&stderr, "old text");
}

#[test]
fn short_replay_text_is_used_in_full() {
    let dir = with_run();
    dir.write("short.txt", prose(200));
    let stderr = tune(&dir, "new.txt --replay short.txt --replay-frac 0.5 --steps 5");
    let replay = stderr.lines().find(|line| line.starts_with("Replay: ")).unwrap();
    assert!(numbers_in(replay)[0] == 180 && replay.contains("0.1429"), "{stderr}");
    dir.write("tiny.txt", "a");
    dir.run(&format!("{TRAIN} new.txt --init-from run --name t --replay tiny.txt")).fails(65, &["tiny.txt"]);
}

#[test]
fn rejects_changed_replay_text() {
    let dir = with_run();
    dir.write("old.txt", prose(2000));
    tune(&dir, "new.txt --replay old.txt --steps 20 --stop-at 9");
    let mut text = dir.bytes("old.txt");
    text[1999] ^= 1;
    dir.write("old.txt", text);
    let old = display(&dir.path("old.txt"));
    dir.run("train --resume new").fails(65, &[&old, "--allow-corpus-change"]);
    dir.run("eval new").fails(65, &[&old]);
    dir.run("train --resume new --allow-corpus-change").succeeds();
    std::fs::remove_file(dir.path("old.txt")).unwrap();
    dir.run("train --resume new --steps 30").fails(66, &[&old]);
}

#[test]
fn missing_or_changed_old_text_is_skipped_with_a_message() {
    let dir = with_run();
    for change in ["deleted", "changed"] {
        std::fs::remove_file(dir.path("text.txt")).ok();
        if change == "changed" {
            dir.write("text.txt", prose(1999));
        }
        let stderr = tune(&dir, &format!("new.txt --name {change} --steps 5"));
        assert!(stderr.contains(&display(&dir.path("text.txt"))), "{change}: {stderr}");
        losses(&stderr, "new text");
    }
}

#[test]
fn fine_tuning_rejects_settings_that_contradict_the_run() {
    let dir = with_run();
    let args = format!("{TRAIN} new.txt --init-from run");
    for (flag, saved, given) in
        [("--cell", "gru", "lstm"), ("--layers", "2", "3"), ("--hidden", "16", "32"), ("--embed", "5", "0")]
    {
        dir.run(&format!("{args} {flag} {given}")).fails(2, &["checkpoints/run", flag, saved, given]);
    }
    for flag in ["--init xavier", "--forget-bias 1", "--resume run"] {
        dir.run(&format!("{args} {flag}")).fails_with_usage(2, &["--init-from"]);
    }
    dir.run(&format!("{args} --bytes")).fails(2, &["checkpoints/run", "UTF-8", "--bytes"]);
    dir.run(&format!("{args} --replay-frac 0.2")).fails(2, &["--replay-frac", "--replay"]);
    for share in ["0", "1", "-0.5", "NaN"] {
        dir.run(&format!("{args} --replay text.txt --replay-frac {share}")).fails(2, &["replay", share]);
    }
    dir.run(&format!("{TRAIN} new.txt --replay text.txt")).fails(2, &["--replay", "--init-from"]);
    dir.run(&format!("{args} --replay absent.txt")).fails(66, &["absent.txt"]);
    dir.run(&format!("{TRAIN} new.txt --init-from absent")).fails(66, &["absent"]);
    dir.run(&format!("{TRAIN} new.txt --init-from text.txt")).fails(65, &["text.txt"]);
    assert!(!dir.exists("checkpoints/new"), "a run was created");
    let before = dir.bytes("checkpoints/run/best.ckpt");
    dir.run(&format!("{args} --name run --overwrite")).fails(73, &["checkpoints/run", "--init-from"]);
    assert!(before == dir.bytes("checkpoints/run/best.ckpt"));
    // Repeating the settings of the run is allowed.
    dir.run(&format!("{args} --hidden 16 --cell gru --steps 2")).succeeds();
    dir.run("train --resume new --steps 9 --replay-frac 0.3").fails(2, &["replay", "0.1", "0.3"]);
}

#[test]
fn fine_tuning_a_byte_model_requires_bytes() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 10 --bytes");
    dir.write("new.txt", greek(800));
    dir.run(&format!("{TRAIN} new.txt --init-from run")).fails(2, &["--bytes"]);
    assert!(tune(&dir, "new.txt --bytes --steps 5").contains("byte 0xCE"));
    let file = "checkpoints/run/latest.ckpt";
    dir.run(&format!("{TRAIN} new.txt --init-from {file} --name file --bytes --steps 2")).succeeds();
    assert_eq!(dir.info("file", "init_from"), display(&dir.path(file)));
}
