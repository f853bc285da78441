//! Fine-tuning as a user does it: `charlstm train new.txt --init-from RUN`.

use crate::harness::{Place, prose, shown};

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
fn with_run() -> Place {
    let place = Place::with_text();
    place.run(&format!("{TRAIN} text.txt --name run --steps 60 --cell gru --hidden 16 --embed 5")).succeeds();
    place.write("new.txt", greek(1200));
    place
}

/// The two numbers `A -> B nats` of a line.
fn before_and_after(said: &str, text: &str) -> (f64, f64) {
    let line = said.lines().find(|line| line.contains(text) && line.contains(" -> "));
    let line = line.unwrap_or_else(|| panic!("no line of {text} in {said}"));
    let (before, after) = line.split_once(" nats").unwrap().0.split_once(" -> ").unwrap();
    (before.rsplit(' ').next().unwrap().parse().unwrap(), after.parse().unwrap())
}

#[test]
fn a_run_goes_on_with_another_text_and_both_losses_are_told() {
    let place = with_run();
    let (out, said) = place.run(&format!("{TRAIN} new.txt --init-from run --steps 120 --eval-every 40")).succeeds();
    assert_eq!(out, "");
    assert!(said.contains("New characters: 20: 'α' (U+03B1), 'β' (U+03B2)") && !said.contains(" more\n"), "{said}");
    let run = place.path("checkpoints/run");
    assert!(said.contains(&format!("Begins with the weights of {}", shown(&run))), "{said}");
    let head = said.split("Run: ").next().unwrap();
    assert!(head.contains("before the first step") && head.matches(" nats, ").count() == 2, "{head}");
    assert!(said.contains("with best.ckpt"), "{said}");
    let (old, new) = (before_and_after(&said, "old text: "), before_and_after(&said, "new text: "));
    assert!(head.contains(&format!("old text: {:.4} nats", old.0)) && old.0 > 0.0, "{head}");
    assert!(head.contains(&format!("new text: {:.4} nats", new.0)) && new.1 < new.0, "{said}");
    let best = place.fact("new", "best")["loss"].as_f64().unwrap();
    assert!((best - new.1).abs() < 1e-4, "{best}: {said}");
    let facts = place.json("info new");
    assert_eq!((&facts["init_from"], &facts["cell"]), (&shown(&run).into(), &"gru".into()));
    assert_eq!((&facts["layers"], &facts["hidden"], &facts["embed"]), (&2.into(), &16.into(), &5.into()));
    assert!(facts["replay"].is_null() && place.json("info run")["init_from"].is_null());
    assert!(place.out("sample new --length 40 --seed 1").chars().count() >= 40);
    place.run("eval new").succeeds();
}

#[test]
fn many_new_characters_are_listed_in_part() {
    let place = with_run();
    let many: String = (0..60).filter_map(|i| char::from_u32(0x4e00 + i)).collect();
    place.write("many.txt", format!("{}{many}", prose(900)));
    let (_, said) = place.run(&format!("{TRAIN} many.txt --init-from run --steps 2 --eval-every 0")).succeeds();
    assert!(said.contains("New characters: 60: ") && said.contains("(U+4E27), and 20 more\n"), "{said}");
    assert!(!said.contains("U+4E28") && said.contains("with latest.ckpt"), "{said}");
    // Nothing new, nothing listed.
    let (_, said) = place.run(&format!("{TRAIN} text.txt --name same --init-from run --steps 2")).succeeds();
    assert!(!said.contains("New characters"), "{said}");
}

#[test]
fn old_text_is_replayed_and_what_is_needed_is_kept() {
    let place = with_run();
    let replay = "--replay text.txt --replay-frac 0.25";
    let tune = format!("{TRAIN} new.txt --init-from run {replay} --dropout 0.2 --steps 70 --eval-every 20");
    let (_, said) = place.run(&format!("{tune} --name whole")).succeeds();
    // 1080 of the new text, and a third as many.
    assert!(said.contains("Text: 1440 characters to train on, 120 held out"), "{said}");
    assert!(
        said.contains("Replay: 360 of these") && said.contains("1080 from the new text: a share of 0.2500\n"),
        "{said}"
    );
    before_and_after(&said, "old text: ");
    let facts = place.json("info whole");
    assert_eq!((&facts["replay"]["chars"], &facts["replay"]["fraction"]), (&360.into(), &0.25.into()));
    assert_eq!(facts["replay"]["file"], shown(&place.path("text.txt")));
    place.run(&format!("{tune} --name parts --stop-at 17")).succeeds();
    // The run that it began with is needed no more.
    std::fs::rename(place.path("checkpoints/run"), place.path("gone")).unwrap();
    place.run("train --resume parts --stop-at 51").succeeds();
    let (_, rest) = place.run("train --resume parts").succeeds();
    assert_eq!(place.fact("parts", "state_hash"), place.fact("whole", "state_hash"));
    assert_eq!(before_and_after(&rest, "old text: "), before_and_after(&said, "old text: "));
    assert_eq!(before_and_after(&rest, "new text: "), before_and_after(&said, "new text: "));
    place.run("eval parts").succeeds();
    std::fs::rename(place.path("gone"), place.path("checkpoints/run")).unwrap();
    place.run("train --config checkpoints/whole/config.toml --name again").succeeds();
    assert_eq!(place.fact("again", "state_hash"), place.fact("whole", "state_hash"));
    assert_eq!(place.read("checkpoints/again/config.toml"), place.read("checkpoints/whole/config.toml"));
    // A fine-tuned run can be tuned again: its own texts are found with what they replay.
    let (_, said) = place.run(&format!("{TRAIN} text.txt --init-from whole --name third --steps 3")).succeeds();
    assert!(said.contains("old text: ") && !said.contains("left out"), "{said}");
}

#[test]
fn a_replayed_text_with_too_little_gives_what_it_has() {
    let place = with_run();
    place.write("short.txt", prose(200));
    let (_, said) = place
        .run(&format!("{TRAIN} new.txt --init-from run --replay short.txt --replay-frac 0.5 --steps 5"))
        .succeeds();
    assert!(said.contains("Replay: 180 of these") && said.contains("a share of 0.1429, in place of 0.5"), "{said}");
    place.write("tiny.txt", "a");
    place.run(&format!("{TRAIN} new.txt --init-from run --name t --replay tiny.txt")).fails(65, &["tiny.txt", "short"]);
}

#[test]
fn a_replayed_text_that_changed_is_refused() {
    let place = with_run();
    place.write("old.txt", prose(2000));
    place.run(&format!("{TRAIN} new.txt --init-from run --replay old.txt --steps 20 --stop-at 9")).succeeds();
    let mut text = place.bytes("old.txt");
    text[1999] ^= 1;
    place.write("old.txt", text);
    place.run("train --resume new").fails(65, &[&shown(&place.path("old.txt")), "replays", "--allow-corpus-change"]);
    place.run("eval new").fails(65, &[&shown(&place.path("old.txt"))]);
    let (_, said) = place.run("train --resume new --allow-corpus-change").succeeds();
    assert!(said.contains("begins anew"), "{said}");
    std::fs::remove_file(place.path("old.txt")).unwrap();
    place.run("train --resume new --steps 30").fails(66, &[&shown(&place.path("old.txt"))]);
}

#[test]
fn an_old_text_that_is_gone_is_left_out_and_that_is_said() {
    let place = with_run();
    std::fs::remove_file(place.path("text.txt")).unwrap();
    let (_, said) = place.run(&format!("{TRAIN} new.txt --init-from run --steps 5")).succeeds();
    let gone = format!("old text: left out: {}: the text is no longer there", shown(&place.path("text.txt")));
    assert_eq!(said.matches(&gone).count(), 2, "{said}");
    before_and_after(&said, "new text: ");
    place.write("text.txt", prose(1999));
    let (_, said) = place.run(&format!("{TRAIN} new.txt --init-from run --name other --steps 5")).succeeds();
    assert!(said.contains("old text: left out: ") && said.contains("is not the one this run was trained on"), "{said}");
}

#[test]
fn what_contradicts_the_run_is_refused() {
    let place = with_run();
    for (flag, run, wanted) in
        [("--cell", "gru", "lstm"), ("--layers", "2", "3"), ("--hidden", "16", "32"), ("--embed", "5", "0")]
    {
        let (has, becomes) = (format!("{flag} {run},"), format!("cannot become {wanted}"));
        let parts = ["checkpoints/run", &has, &becomes];
        place.run(&format!("{TRAIN} new.txt --init-from run {flag} {wanted}")).fails(2, &parts);
    }
    for flag in ["--init xavier", "--forget-bias 1", "--resume run"] {
        place.run(&format!("{TRAIN} new.txt --init-from run {flag}")).fails_at_length(2, &["--init-from"]);
    }
    let tune = format!("{TRAIN} new.txt --init-from run");
    place.run(&format!("{tune} --bytes")).fails(2, &["checkpoints/run", "UTF-8", "--bytes"]);
    place.run(&format!("{tune} --replay-frac 0.2")).fails(2, &["--replay-frac", "--replay FILE"]);
    for share in ["0", "1", "-0.5", "nan"] {
        let range = ["--replay-frac", "above 0 and below 1"];
        place.run(&format!("{tune} --replay text.txt --replay-frac {share}")).fails(2, &range);
    }
    place.run(&format!("{TRAIN} new.txt --replay text.txt")).fails(2, &["--replay", "--init-from"]);
    place.run(&format!("{tune} --replay absent.txt")).fails(66, &["absent.txt"]);
    place.run(&format!("{TRAIN} new.txt --init-from absent")).fails(66, &["no run absent"]);
    place.run(&format!("{TRAIN} new.txt --init-from text.txt")).fails(65, &["text.txt", "not a charlstm checkpoint"]);
    assert!(!place.has("checkpoints/new"), "nothing was begun");
    let before = place.bytes("checkpoints/run/best.ckpt");
    place.run(&format!("{tune} --name run --overwrite")).fails(73, &["checkpoints/run", "--init-from", "--name"]);
    assert!(before == place.bytes("checkpoints/run/best.ckpt"));
    // As it is, what the run has may be said again.
    place.run(&format!("{tune} --hidden 16 --cell gru --steps 2")).succeeds();
    place.run("train --resume new --steps 9 --replay-frac 0.3").fails(2, &["--replay-frac 0.1", "0.3"]);
}

#[test]
fn bytes_go_on_as_bytes() {
    let place = Place::with_text();
    place.train("text.txt --name run --steps 10 --bytes");
    place.write("new.txt", greek(800));
    place.run(&format!("{TRAIN} new.txt --init-from run")).fails(2, &["reads bytes", "give --bytes"]);
    let (_, said) = place.run(&format!("{TRAIN} new.txt --init-from run --bytes --steps 5")).succeeds();
    assert!(said.contains("byte 0xCE"), "{said}");
    let file = "checkpoints/run/latest.ckpt";
    place.run(&format!("{TRAIN} new.txt --init-from {file} --name file --bytes --steps 2")).succeeds();
    assert_eq!(place.fact("file", "init_from"), shown(&place.path(file)));
}
