//! `charlstm novelty`: how much of a text is copied from a corpus.

use serde_json::Value;

use crate::harness::{Finished, TINY, TestDir, display, prose};

const CORPUS: &str = "The fox met a crow in the old tree.\nThe crow had cheese.\n\nWhy? said the fox.\n";

fn with_corpus() -> TestDir {
    let dir = TestDir::empty();
    dir.write("corpus.txt", CORPUS);
    dir
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn reports_each_line_and_a_total() {
    let dir = with_corpus();
    dir.write("out.txt", "A fox met a crow in the old house.\n\nzzz\nThe crow had cheese.\n");
    let expected = "line\tchars\tlongest\tcopied\tcorpus\tcorpus_line\n\
                  1\t34\t27\t0.7941\tcorpus.txt\t1\n\
                  3\t3\t0\t0.0000\t-\t-\n\
                  4\t20\t20\t0.0000\tcorpus.txt\t2\n\
                  all\t57\t27\t0.4737\tcorpus.txt\t1\n";
    let novelty = |args: &str| dir.stdout(&format!("novelty out.txt --against corpus.txt {args}"));
    assert_eq!(novelty(""), expected);
    assert_eq!(novelty("--summary"), expected.lines().last().unwrap().to_owned() + "\n");
    let shorter = novelty("--span 19");
    assert!(shorter.contains("\n4\t20\t20\t1.0000\t"), "{shorter}");
    assert!(shorter.ends_with("all\t57\t27\t0.8246\tcorpus.txt\t1\n"), "{shorter}");
}

#[test]
fn paragraphs_are_separated_by_blank_lines() {
    let dir = with_corpus();
    dir.write("out.txt", "\nold tree.\nThe crow had no cheese.\n\nWhy?\n");
    let found = records(&dir.stdout("novelty out.txt --against corpus.txt --paragraphs --jsonl"));
    let [first, second, all] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&first["kind"], &first["line"], &first["longest"]), (&"paragraph".into(), &2.into(), &23.into()));
    assert_eq!((&first["text"], &first["corpus_line"]), (&"old tree.\nThe crow had ".into(), &1.into()));
    assert_eq!((&second["line"], &second["text"], &second["corpus_line"]), (&5.into(), &"Why?".into(), &4.into()));
    assert_eq!((&all["kind"], &all["chars"], &all["longest"]), (&"all".into(), &37.into(), &23.into()));
    assert!((all["copied"].as_f64().unwrap() - 23.0 / 37.0).abs() < 1e-9, "{all}");
}

#[test]
fn reads_stdin_and_counts_characters() {
    let dir = TestDir::empty();
    dir.write("corpus/a.txt", "one\n");
    dir.write("corpus/b.txt", "two\n\u{e9}\u{20ac}\u{1f600}");
    let text = "x\u{e9}\u{20ac}\u{1f603}";
    let piped = |args: &str| {
        let command = dir.command(&format!("novelty - --against corpus --span 1 {args}"));
        Finished::run_with_stdin(command, text).succeeds().0
    };
    assert!(piped("").contains("\n1\t4\t2\t0.5000\tcorpus/b.txt\t2\n"));
    // The two emoji differ in their last byte.
    assert!(piped("--bytes").contains("\n1\t10\t8\t0.8000\t"));
}

#[test]
fn corpus_defaults_to_the_training_text() {
    let dir = TestDir::with_run();
    let text = prose(2000);
    // The last tenth is held out.
    let (learned, held_out) = (text[900..1100].trim_end(), text[1800..].trim_end());
    dir.write("learned.txt", learned);
    dir.write("held-out.txt", held_out);
    let all = |args: &str| records(&dir.stdout(&format!("novelty --paragraphs --summary --jsonl {args}"))).remove(0);
    for args in ["learned.txt", "learned.txt --run run", "learned.txt --run checkpoints/run/latest.ckpt"] {
        let all = all(args);
        assert_eq!((&all["longest"], &all["copied"]), (&learned.len().into(), &1.0.into()));
        assert_eq!(all["corpus"], display(&dir.path("text.txt")));
    }
    let all = all("held-out.txt");
    assert!(all["chars"] == held_out.len() && all["longest"].as_u64().unwrap() < 100, "{all}");
    dir.write("text.txt", text + "and more");
    dir.run("novelty learned.txt").fails(65, &["text.txt", "--against"]);
}

#[test]
fn byte_models_are_compared_by_bytes() {
    let dir = TestDir::empty();
    let data: Vec<u8> = (0..2000u32).map(|i| 100 + (i * i / 7 % 150) as u8).collect();
    dir.write("data.bin", &data);
    dir.run(&format!("train data.bin --bytes {TINY} --steps 2")).succeeds();
    dir.write("out.bin", [&[255], &data[500..540]].concat());
    let expected = format!("all\t41\t40\t0.9756\t{}\t1\n", display(&dir.path("data.bin")));
    assert_eq!(dir.stdout("novelty out.bin --summary"), expected);
    dir.run("novelty out.bin --against data.bin").fails(65, &["data.bin", "UTF-8", "--bytes"]);
}

#[test]
fn rejects_texts_that_cannot_be_compared() {
    let dir = with_corpus();
    dir.write("blank.txt", " \n\n");
    dir.write("broken.txt", [b'a', 0xff]);
    dir.write("empty.txt", "");
    for (args, code, parts) in [
        ("blank.txt --against corpus.txt", 65, ["blank.txt", ""]),
        ("- --against corpus.txt", 65, ["standard input", ""]),
        ("broken.txt --against corpus.txt", 65, ["broken.txt", "byte 1"]),
        ("corpus.txt --against empty.txt", 65, ["empty.txt", ""]),
        ("gone.txt --against corpus.txt", 66, ["gone.txt", ""]),
        ("corpus.txt --against gone.txt", 66, ["gone.txt", ""]),
        ("corpus.txt", 66, ["checkpoints", "charlstm train"]),
    ] {
        dir.run(&format!("novelty {args}")).fails(code, &parts);
    }
    dir.run("novelty corpus.txt --bytes").fails_with_usage(2, &["--against"]);
    dir.run("novelty corpus.txt --run a --against corpus.txt").fails_with_usage(2, &["--run", "--against"]);
}
