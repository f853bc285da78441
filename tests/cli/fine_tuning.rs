//! Fine-tuning as a user does it: `charlstm train new.txt --init-from RUN`.

use crate::harness::{TestDir, display, prose};

const NEW: &str = "αβγδεζηθικλμνξοπρστυ";
/// Training that does not say what the model is made of.
const TRAIN: &str = "train --batch 4 --seq-len 8 --threads 1 --log-every 5";

/// English with a Greek letter in the place of every tenth character.
fn greek(chars: usize) -> String {
    let letters: Vec<char> = NEW.chars().collect();
    let text = prose(chars).chars().rev().enumerate().collect::<Vec<_>>().into_iter();
    text.map(|(i, c)| if i % 10 == 3 { letters[i / 10 % letters.len()] } else { c }).collect()
}

/// A folder with a run named `run` on `text.txt`, and `new.txt`, which has 20 characters that it does not know.
fn with_run() -> TestDir {
    let dir = TestDir::with_text();
    dir.run(&format!("{TRAIN} text.txt --name run --steps 60 --cell gru --hidden 16 --embed 5")).succeeds();
    dir.write("new.txt", greek(1200));
    dir
}

/// The two numbers `A -> B nats` of a line.
fn before_and_after(stderr: &str, text: &str) -> (f64, f64) {
    let line = stderr.lines().find(|line| line.contains(text) && line.contains(" -> "));
    let line = line.unwrap_or_else(|| panic!("no line of {text} in {stderr}"));
    let (before, after) = line.split_once(" nats").unwrap().0.split_once(" -> ").unwrap();
    (before.rsplit(' ').next().unwrap().parse().unwrap(), after.parse().unwrap())
}

#[test]
fn fine_tuning_reports_old_and_new_loss() {
    let dir = with_run();
    let (out, stderr) = dir.run(&format!("{TRAIN} new.txt --init-from run --steps 120 --eval-every 40")).succeeds();
    assert_eq!(out, "");
    assert!(
        stderr.contains("New characters: 20: 'α' (U+03B1), 'β' (U+03B2)") && !stderr.contains(" more\n"),
        "{stderr}"
    );
    let run = dir.path("checkpoints/run");
    assert!(stderr.contains(&format!("Begins with the weights of {}", display(&run))), "{stderr}");
    let head = stderr.split("Run: ").next().unwrap();
    assert!(head.contains("before the first step") && head.matches(" nats, ").count() == 2, "{head}");
    assert!(stderr.contains("with best.ckpt"), "{stderr}");
    let (old, new) = (before_and_after(&stderr, "old text: "), before_and_after(&stderr, "new text: "));
    assert!(head.contains(&format!("old text: {:.4} nats", old.0)) && old.0 > 0.0, "{head}");
    assert!(head.contains(&format!("new text: {:.4} nats", new.0)) && new.1 < new.0, "{stderr}");
    let best = dir.info("new", "best")["loss"].as_f64().unwrap();
    assert!((best - new.1).abs() < 1e-4, "{best}: {stderr}");
    let facts = dir.json("info new");
    assert_eq!((&facts["init_from"], &facts["cell"]), (&display(&run).into(), &"gru".into()));
    assert_eq!((&facts["layers"], &facts["hidden"], &facts["embed"]), (&2.into(), &16.into(), &5.into()));
    assert!(facts["replay"].is_null() && dir.json("info run")["init_from"].is_null());
    assert!(dir.stdout("sample new --length 40 --seed 1").chars().count() >= 40);
    dir.run("eval new").succeeds();
}

#[test]
fn long_list_of_new_characters_is_shortened() {
    let dir = with_run();
    let many: String = (0..60).filter_map(|i| char::from_u32(0x4e00 + i)).collect();
    dir.write("many.txt", format!("{}{many}", prose(900)));
    let (_, stderr) = dir.run(&format!("{TRAIN} many.txt --init-from run --steps 2 --eval-every 0")).succeeds();
    assert!(stderr.contains("New characters: 60: ") && stderr.contains("(U+4E27), and 20 more\n"), "{stderr}");
    assert!(!stderr.contains("U+4E28") && stderr.contains("with latest.ckpt"), "{stderr}");
    // Nothing new, nothing listed.
    let (_, stderr) = dir.run(&format!("{TRAIN} text.txt --name same --init-from run --steps 2")).succeeds();
    assert!(!stderr.contains("New characters"), "{stderr}");
}

#[test]
fn replay_is_reported_saved_and_resumed() {
    let dir = with_run();
    let replay = "--replay text.txt --replay-frac 0.25";
    let tune = format!("{TRAIN} new.txt --init-from run {replay} --dropout 0.2 --steps 70 --eval-every 20");
    let (_, stderr) = dir.run(&format!("{tune} --name whole")).succeeds();
    // 1080 of the new text, and a third as many.
    assert!(stderr.contains("Text: 1440 characters to train on, 120 held out"), "{stderr}");
    assert!(
        stderr.contains("Replay: 360 of these") && stderr.contains("1080 from the new text: a share of 0.2500\n"),
        "{stderr}"
    );
    before_and_after(&stderr, "old text: ");
    let facts = dir.json("info whole");
    assert_eq!((&facts["replay"]["chars"], &facts["replay"]["fraction"]), (&360.into(), &0.25.into()));
    assert_eq!(facts["replay"]["file"], display(&dir.path("text.txt")));
    dir.run(&format!("{tune} --name parts --stop-at 17")).succeeds();
    // The run that it began with is needed no more.
    std::fs::rename(dir.path("checkpoints/run"), dir.path("gone")).unwrap();
    dir.run("train --resume parts --stop-at 51").succeeds();
    let (_, rest) = dir.run("train --resume parts").succeeds();
    assert_eq!(dir.info("parts", "state_hash"), dir.info("whole", "state_hash"));
    assert_eq!(before_and_after(&rest, "old text: "), before_and_after(&stderr, "old text: "));
    assert_eq!(before_and_after(&rest, "new text: "), before_and_after(&stderr, "new text: "));
    dir.run("eval parts").succeeds();
    std::fs::rename(dir.path("gone"), dir.path("checkpoints/run")).unwrap();
    dir.run("train --config checkpoints/whole/config.toml --name again").succeeds();
    assert_eq!(dir.info("again", "state_hash"), dir.info("whole", "state_hash"));
    assert_eq!(dir.read("checkpoints/again/config.toml"), dir.read("checkpoints/whole/config.toml"));
    // A fine-tuned run can be tuned again: its own texts are found with what they replay.
    let (_, stderr) = dir.run(&format!("{TRAIN} text.txt --init-from whole --name third --steps 3")).succeeds();
    assert!(stderr.contains("old text: ") && !stderr.contains("left out"), "{stderr}");
}

#[test]
fn short_replay_text_is_used_in_full() {
    let dir = with_run();
    dir.write("short.txt", prose(200));
    let (_, stderr) =
        dir.run(&format!("{TRAIN} new.txt --init-from run --replay short.txt --replay-frac 0.5 --steps 5")).succeeds();
    assert!(
        stderr.contains("Replay: 180 of these") && stderr.contains("a share of 0.1429, in place of 0.5"),
        "{stderr}"
    );
    dir.write("tiny.txt", "a");
    dir.run(&format!("{TRAIN} new.txt --init-from run --name t --replay tiny.txt")).fails(65, &["tiny.txt", "short"]);
}

#[test]
fn rejects_changed_replay_text() {
    let dir = with_run();
    dir.write("old.txt", prose(2000));
    dir.run(&format!("{TRAIN} new.txt --init-from run --replay old.txt --steps 20 --stop-at 9")).succeeds();
    let mut text = dir.bytes("old.txt");
    text[1999] ^= 1;
    dir.write("old.txt", text);
    dir.run("train --resume new").fails(65, &[&display(&dir.path("old.txt")), "replays", "--allow-corpus-change"]);
    dir.run("eval new").fails(65, &[&display(&dir.path("old.txt"))]);
    let (_, stderr) = dir.run("train --resume new --allow-corpus-change").succeeds();
    assert!(stderr.contains("begins anew"), "{stderr}");
    std::fs::remove_file(dir.path("old.txt")).unwrap();
    dir.run("train --resume new --steps 30").fails(66, &[&display(&dir.path("old.txt"))]);
}

#[test]
fn missing_old_text_is_skipped_with_a_message() {
    let dir = with_run();
    std::fs::remove_file(dir.path("text.txt")).unwrap();
    let (_, stderr) = dir.run(&format!("{TRAIN} new.txt --init-from run --steps 5")).succeeds();
    let gone = format!(
        "old text: left out: {}: the text that this run was trained on no longer exists",
        display(&dir.path("text.txt"))
    );
    assert_eq!(stderr.matches(&gone).count(), 2, "{stderr}");
    before_and_after(&stderr, "new text: ");
    dir.write("text.txt", prose(1999));
    let (_, stderr) = dir.run(&format!("{TRAIN} new.txt --init-from run --name other --steps 5")).succeeds();
    assert!(
        stderr.contains("old text: left out: ") && stderr.contains("differs from the one that this run was trained on"),
        "{stderr}"
    );
}

#[test]
fn fine_tuning_rejects_settings_that_contradict_the_run() {
    let dir = with_run();
    for (flag, run, wanted) in
        [("--cell", "gru", "lstm"), ("--layers", "2", "3"), ("--hidden", "16", "32"), ("--embed", "5", "0")]
    {
        let (has, becomes) = (format!("is {run} "), format!("changed to {wanted}"));
        let parts = ["checkpoints/run", &has, &becomes];
        dir.run(&format!("{TRAIN} new.txt --init-from run {flag} {wanted}")).fails(2, &parts);
    }
    for flag in ["--init xavier", "--forget-bias 1", "--resume run"] {
        dir.run(&format!("{TRAIN} new.txt --init-from run {flag}")).fails_with_usage(2, &["--init-from"]);
    }
    let tune = format!("{TRAIN} new.txt --init-from run");
    dir.run(&format!("{tune} --bytes")).fails(2, &["checkpoints/run", "UTF-8", "--bytes"]);
    dir.run(&format!("{tune} --replay-frac 0.2")).fails(2, &["--replay-frac", "--replay FILE"]);
    for share in ["0", "1", "-0.5", "nan"] {
        let range = ["--replay-frac", "above 0 and below 1"];
        dir.run(&format!("{tune} --replay text.txt --replay-frac {share}")).fails(2, &range);
    }
    dir.run(&format!("{TRAIN} new.txt --replay text.txt")).fails(2, &["--replay", "--init-from"]);
    dir.run(&format!("{tune} --replay absent.txt")).fails(66, &["absent.txt"]);
    dir.run(&format!("{TRAIN} new.txt --init-from absent")).fails(66, &["no run absent"]);
    dir.run(&format!("{TRAIN} new.txt --init-from text.txt")).fails(65, &["text.txt", "not a charlstm checkpoint"]);
    assert!(!dir.exists("checkpoints/new"), "nothing was begun");
    let before = dir.bytes("checkpoints/run/best.ckpt");
    dir.run(&format!("{tune} --name run --overwrite")).fails(73, &["checkpoints/run", "--init-from", "--name"]);
    assert!(before == dir.bytes("checkpoints/run/best.ckpt"));
    // As it is, what the run has may be said again.
    dir.run(&format!("{tune} --hidden 16 --cell gru --steps 2")).succeeds();
    dir.run("train --resume new --steps 9 --replay-frac 0.3").fails(2, &["--replay-frac 0.1", "0.3"]);
}

#[test]
fn fine_tuning_a_byte_model_requires_bytes() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 10 --bytes");
    dir.write("new.txt", greek(800));
    dir.run(&format!("{TRAIN} new.txt --init-from run")).fails(2, &["reads bytes", "--bytes"]);
    let (_, stderr) = dir.run(&format!("{TRAIN} new.txt --init-from run --bytes --steps 5")).succeeds();
    assert!(stderr.contains("byte 0xCE"), "{stderr}");
    let file = "checkpoints/run/latest.ckpt";
    dir.run(&format!("{TRAIN} new.txt --init-from {file} --name file --bytes --steps 2")).succeeds();
    assert_eq!(dir.info("file", "init_from"), display(&dir.path(file)));
}
