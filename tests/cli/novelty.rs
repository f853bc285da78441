//! What a text copies from a corpus, as a user asks for it.

use crate::harness::{Place, TINY, prose, shown};
use serde_json::Value;

const CORPUS: &str = "The fox met a crow in the old tree.\nThe crow had cheese.\n\nWhy? said the fox.\n";

fn with_corpus() -> Place {
    let place = Place::empty();
    place.write("corpus.txt", CORPUS);
    place
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_line_is_told_and_at_the_end_all() {
    let place = with_corpus();
    place.write("out.txt", "A fox met a crow in the old house.\n\nzzz\nThe crow had cheese.\n");
    let wanted = "line\tchars\tlongest\tcopied\tcorpus\tcorpus_line\n\
                  1\t34\t27\t0.7941\tcorpus.txt\t1\n\
                  3\t3\t0\t0.0000\t-\t-\n\
                  4\t20\t20\t0.0000\tcorpus.txt\t2\n\
                  all\t57\t27\t0.4737\tcorpus.txt\t1\n";
    assert_eq!(place.out("novelty out.txt --against corpus.txt"), wanted);
    assert_eq!(
        place.out("novelty out.txt --against corpus.txt --summary"),
        wanted.lines().last().unwrap().to_owned() + "\n"
    );
    let shorter = place.out("novelty out.txt --against corpus.txt --span 19");
    assert!(
        shorter.contains("\n4\t20\t20\t1.0000\t") && shorter.ends_with("all\t57\t27\t0.8246\tcorpus.txt\t1\n"),
        "{shorter}"
    );
}

#[test]
fn paragraphs_are_blocks_between_blank_lines() {
    let place = with_corpus();
    place.write("out.txt", "\nold tree.\nThe crow had no cheese.\n\nWhy?\n");
    let told = records(&place.out("novelty out.txt --against corpus.txt --paragraphs --jsonl"));
    let [first, second, all] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&first["kind"], &first["line"], &first["longest"]), (&"paragraph".into(), &2.into(), &23.into()));
    assert_eq!((&first["text"], &first["corpus_line"]), (&"old tree.\nThe crow had ".into(), &1.into()));
    assert_eq!((&second["line"], &second["text"], &second["corpus_line"]), (&5.into(), &"Why?".into(), &4.into()));
    assert_eq!((&all["kind"], &all["chars"], &all["longest"]), (&"all".into(), &37.into(), &23.into()));
    assert!((all["copied"].as_f64().unwrap() - 23.0 / 37.0).abs() < 1e-9, "{all}");
    assert_eq!(place.out("novelty out.txt --against corpus.txt --paragraphs --jsonl --summary"), format!("{all}\n"));
}

#[test]
fn a_pipe_is_read_and_characters_are_counted_whole() {
    let place = Place::empty();
    place.write("corpus/a.txt", "one\n");
    place.write("corpus/b.txt", "two\n\u{e9}\u{20ac}\u{1f600}");
    let text = "x\u{e9}\u{20ac}\u{1f603}";
    place.write("out.txt", text);
    let command = place.command("novelty - --against corpus --span 1");
    let piped = assert_cmd::Command::from_std(command).write_stdin(text).output().unwrap();
    let out = String::from_utf8(piped.stdout).unwrap();
    assert!(out.contains("\n1\t4\t2\t0.5000\tcorpus/b.txt\t2\n"), "{out}");
    // The two faces differ in their last byte.
    let bytes = place.out("novelty out.txt --against corpus --span 1 --bytes");
    assert!(bytes.contains("\n1\t10\t8\t0.8000\t"), "{bytes}");
}

#[test]
fn without_a_corpus_it_is_what_a_run_was_trained_on() {
    let place = Place::with_run();
    let text = prose(2000);
    // A tenth, from its end, is held out.
    let (learned, held_out) = (text[900..1100].trim_end(), text[1800..].trim_end());
    place.write("learned.txt", learned);
    place.write("held-out.txt", held_out);
    let all = |args: &str| records(&place.out(&format!("novelty --paragraphs --summary --jsonl {args}"))).remove(0);
    for args in ["learned.txt", "learned.txt --run run", "learned.txt --run checkpoints/run/latest.ckpt"] {
        let all = all(args);
        assert_eq!((&all["longest"], &all["copied"]), (&learned.len().into(), &1.0.into()));
        assert_eq!(all["corpus"], shown(&place.path("text.txt")));
    }
    let all = all("held-out.txt");
    assert_eq!(all["chars"], held_out.len());
    assert!(all["longest"].as_u64().unwrap() < 100, "{all}");
    place.write("text.txt", text + "and more");
    place.run("novelty learned.txt").fails(65, &["text.txt", "not the one this run was trained on", "--against"]);
}

#[test]
fn a_run_on_bytes_is_compared_by_bytes() {
    let place = Place::empty();
    let data: Vec<u8> = (0..2000u32).map(|i| 100 + (i * i / 7 % 150) as u8).collect();
    place.write("data.bin", &data);
    place.run(&format!("train data.bin --bytes {TINY} --steps 2")).succeeds();
    place.write("out.bin", [&[255], &data[500..540]].concat());
    let wanted = format!("all\t41\t40\t0.9756\t{}\t1\n", shown(&place.path("data.bin")));
    assert_eq!(place.out("novelty out.bin --summary"), wanted);
    place.run("novelty out.bin --against data.bin").fails(65, &["data.bin", "not UTF-8", "--bytes"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let place = with_corpus();
    place.write("blank.txt", " \n\n");
    place.write("broken.txt", [b'a', 0xff]);
    place.write("empty.txt", "");
    place.run("novelty blank.txt --against corpus.txt").fails(65, &["blank.txt", "nothing but blanks"]);
    place.run("novelty - --against corpus.txt").fails(65, &["standard input", "nothing but blanks"]);
    place.run("novelty broken.txt --against corpus.txt").fails(65, &["broken.txt", "byte 1", "--bytes"]);
    place.run("novelty corpus.txt --against empty.txt").fails(65, &["empty.txt", "empty"]);
    place.run("novelty gone.txt --against corpus.txt").fails(66, &["gone.txt", "no such file"]);
    place.run("novelty corpus.txt --against gone.txt").fails(66, &["gone.txt", "no such file"]);
    place.run("novelty corpus.txt").fails(66, &["no run", "charlstm train"]);
    place.run("novelty corpus.txt --bytes").fails_at_length(2, &["--against"]);
    place.run("novelty corpus.txt --run a --against corpus.txt").fails_at_length(2, &["--run", "--against"]);
}
