//! How texts are read: line ends, byte order marks, encodings, rare characters.

use crate::harness::{Finished, TestDir, assert_contains_all, prose};

const TINY: &str = "--layers 1 --hidden 16 --steps 5 --batch 2 --seq-len 8 --threads 1 --name run";

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn byte_order_marks_are_dropped_in_every_command() {
    let dir = TestDir::with_run();
    dir.write("plain.txt", "the fox\n");
    dir.write("marked.txt", "\u{feff}the fox\n");
    for command in ["eval run --text", "score run --summary --jsonl", "novelty --summary --jsonl"] {
        let output = |file: &str| {
            let command = if command.starts_with("eval") {
                format!("{command} {file} --json")
            } else {
                format!("{command} {file}")
            };
            dir.run(&command).succeeds().0
        };
        assert_eq!(output("marked.txt"), output("plain.txt"), "{command}");
    }
    let sample = |file: &str| dir.stdout(&format!("sample run --seed 1 --length 20 --prompt-file {file}"));
    assert_eq!(sample("marked.txt"), sample("plain.txt"));
    let stdin = Finished::run_with_stdin(dir.command("score run - --summary"), "\u{feff}the fox\n");
    let (out, _) = stdin.succeeds();
    assert!(out.starts_with("8 characters") && out.contains(" 0 unknown"), "{out}");
    dir.write("marked-text.txt", format!("\u{feff}{}", prose(900)));
    dir.train("marked-text.txt --name marked --steps 3");
    dir.write("unmarked-text.txt", prose(900));
    dir.train("unmarked-text.txt --name unmarked --steps 3");
    dir.assert_same_run("marked", "unmarked");
}

#[test]
fn texts_to_score_come_from_standard_input() {
    let dir = TestDir::with_run();
    dir.write("other.txt", "the fox\nmet a crow\n");
    for command in ["eval run --json --text", "compare run run --block 3 --orders 0 --text", "score run --summary"] {
        let piped = Finished::run_with_stdin(dir.command(&format!("{command} -")), "the fox\nmet a crow\n");
        assert_eq!(piped.succeeds().0, dir.stdout(&format!("{command} other.txt")), "{command}");
    }
    dir.run("train text.txt --val-file - --overwrite").fails(66, &["standard input", "save it to a file"]);
}

#[test]
fn utf_16_and_binary_data_are_recognized() {
    let dir = TestDir::with_run();
    dir.write("wide.txt", utf16("some text\n"));
    dir.write("zeros.bin", [0; 100]);
    for command in ["train", "eval run --text", "score run", "sample run --prompt-file"] {
        dir.run(&format!("{command} wide.txt")).fails(65, &["wide.txt", "UTF-16LE", "iconv"]);
    }
    dir.run("train zeros.bin").fails(65, &["zeros.bin", "NUL", "--bytes"]);
    dir.write("folder/text.txt", prose(900));
    dir.write("folder/wide.txt", utf16("\u{43b}\u{438}\u{441}\u{430} "));
    let (_, stderr) = dir.run(&format!("train folder {TINY} --overwrite")).succeeds();
    assert_contains_all(&stderr, &["skipped", "wide.txt", "UTF-16LE", "iconv"]);
}

#[test]
fn crlf_line_ends_can_be_read_as_line_feeds() {
    let dir = TestDir::empty();
    let text = prose(1200);
    dir.write("unix.txt", &text);
    dir.write("dos.txt", text.replace('\n', "\r\n"));
    dir.run(&format!("train unix.txt {TINY}")).succeeds();
    dir.run(&format!("train dos.txt --newline lf --out dos {}", TINY.replace("--name run", ""))).succeeds();
    assert_eq!(dir.info("run", "weights_hash"), dir.info("dos", "weights_hash"));
    assert_eq!(["run", "dos"].map(|run| dir.info(run, "newline")), ["keep", "lf"]);
    let score = |run: &str, options: &str| dir.run(&format!("score {run} dos.txt --summary {options}")).succeeds();
    let (kept, note) = score("run", "");
    assert!(note.contains("CRLF") && note.contains("--newline lf") && !kept.contains(" 0 unknown"), "{note}");
    let (converted, note) = score("run", "--newline lf");
    assert!(converted.contains(" 0 unknown") && note.is_empty(), "{note}");
    assert_eq!(score("dos", "").0, converted, "a run converts line ends as in training");
    dir.run("eval run --text dos.txt").fails(65, &["U+000D", "CRLF"]);
    assert_eq!(dir.json("eval dos --text dos.txt")["loss"], dir.json("eval run --text unix.txt")["loss"]);
    dir.run(&format!("train dos.txt --out kept {}", TINY.replace("--name run", ""))).succeeds();
    let (_, note) = dir.run("score kept unix.txt --summary").succeeds();
    assert!(note.contains("trained on CRLF"), "{note}");
    let (_, note) = dir.run("eval kept --text unix.txt").succeeds();
    assert!(note.contains("trained on CRLF"), "{note}");
    let (_, note) = dir.run("compare run kept --text unix.txt --orders 0 --block 100").succeeds();
    assert!(note.contains("kept was trained on CRLF"), "{note}");
    let (_, note) = dir.run("compare kept run --text dos.txt --orders 0 --block 100").succeeds();
    assert!(note.contains("run was trained on line feeds"), "{note}");
    assert!(!dir.run("compare dos run --text dos.txt --orders 0 --block 100").succeeds().1.contains("trained on"));
    let unknown =
        |options: &str| dir.stdout(&format!("score dos dos.txt --summary -q {options}")).contains(" 0 unknown");
    assert!(unknown("") && unknown("--newline lf") && !unknown("--newline keep"));
    // A copied paragraph is found whatever its line ends are.
    dir.write("copy.txt", &text[..300]);
    dir.write("dos-copy.txt", text[..300].replace('\n', "\r\n"));
    for file in ["copy.txt", "dos-copy.txt"] {
        let out = dir.stdout(&format!("novelty {file} --run dos --paragraphs --summary --jsonl"));
        let copied: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(copied["longest"] == copied["chars"] && copied["chars"].as_u64() > Some(290), "{file} {copied}");
    }
    dir.train("dos.txt --bytes --name bytes --steps 2");
    dir.run("score bytes dos.txt --newline lf").fails(2, &["--newline", "bytes"]);
    dir.run("train --resume dos --newline keep --steps 9").fails(2, &["newline", "lf", "keep"]);
}

#[test]
fn notes_mixed_normal_forms() {
    let dir = TestDir::empty();
    let train = |text: &str| {
        dir.write("text.txt", text.repeat(60));
        dir.run(&format!("train text.txt {TINY} --overwrite")).succeeds().1
    };
    assert!(train("caf\u{e9} and cafe\u{301}\n").contains("NFC and NFD"));
    assert!(!train("caf\u{e9} k\u{25b}\u{303}\n").contains("NFC"));
}

#[test]
fn short_texts_get_windows_that_fit() {
    let dir = TestDir::empty();
    dir.write("short.txt", prose(600));
    let (_, stderr) = dir.run("train short.txt --layers 1 --hidden 8 --epochs 2").succeeds();
    assert_contains_all(&stderr, &["--batch 1 --seq-len 64", "steps of 1 x 64"]);
    dir.run("train short.txt --overwrite --val-frac 0.95 --batch 8 --seq-len 8")
        .fails(65, &["570 are held out", "--val-frac"]);
    dir.run("train -").fails(2, &["standard input", "save it to a file"]);
}

#[test]
fn folders_are_reported() {
    let dir = TestDir::empty();
    dir.write("folder/a.txt", prose(500));
    dir.write("folder/b.txt", prose(300));
    dir.write("folder/more/c.txt", prose(300));
    let (_, stderr) = dir.run(&format!("train folder {TINY}")).succeeds();
    assert_contains_all(&stderr, &["a.txt and 1 more file)", "1 subfolder is not searched"]);
}

#[test]
fn rare_characters_are_unknown() {
    let dir = TestDir::empty();
    dir.write("text.txt", format!("{}{}", "abc abd\n".repeat(100), "xyz".repeat(2)));
    dir.run(&format!("train text.txt --min-count 3 {TINY}")).succeeds();
    assert_eq!(dir.info("run", "min_count"), 3);
    assert_eq!(dir.info("run", "vocab"), 7, "a, b, c, d, space, line end and unknown");
    let out = dir.stdout("sample run --seed 1 --temp 2 --length 3000");
    assert!(out.chars().count() >= 3000 && out.chars().all(|c| "abcd \n".contains(c)), "{out}");
    assert_eq!(dir.stdout("sample run --lines 20 --seed 1").lines().count(), 20);
    dir.write("other.txt", "abq\n");
    let (score, _) = dir.run("score run other.txt --summary").succeeds();
    assert_contains_all(&score, &["4 characters", "1 unknown", "without them"]);
    let eval = dir.json("eval run --text other.txt");
    assert_eq!((eval["chars"].as_f64(), eval["unknown"].as_f64()), (Some(4.0), Some(1.0)));
    let scored: serde_json::Value = serde_json::from_str(&dir.stdout("score run other.txt --summary --jsonl")).unwrap();
    let differ = |a: &serde_json::Value, b: &serde_json::Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
    assert!(differ(&eval["known_bpc"], &scored["known_bits_per_char"]) < 1e-5, "{eval} {scored}");
    assert!(differ(&eval["known_bpc"], &eval["bpc"]) > 1e-3);
    assert!(dir.stdout("eval run --text other.txt").contains("without the 1 unknown"));
    // A baseline pays for the choice of an unknown character, as the model does.
    let compared: serde_json::Value =
        serde_json::from_str(&dir.stdout("compare run run --text other.txt --orders 1 --block 1 --json")).unwrap();
    let bits = |model: usize| compared["models"][model]["bits_per_char"].as_f64().unwrap();
    assert!(bits(0) > 20.0 / 3.0 && bits(2) > 20.0 / 3.0 && compared["models"][2]["unknown"] == 1, "{compared}");
    dir.run("train --resume run --min-count 5 --steps 9").fails(2, &["min", "3", "5"]);
}

#[test]
fn dead_ends_have_a_way_out() {
    let dir = TestDir::with_run();
    dir.write("text.txt", prose(2000).replace('f', "\u{3b1}"));
    dir.run("train --resume run").fails(65, &["U+03B1", "--init-from"]);
    dir.write("new.txt", "\u{3b1}bc\n");
    dir.run("eval run --text new.txt").fails(65, &["U+03B1", "charlstm score"]);
    dir.run("sample run --prompt \u{3b1}").fails(2, &["U+03B1", "--skip-unknown"]);
    std::fs::rename(dir.path("text.txt"), dir.path("moved.txt")).unwrap();
    dir.run("train --resume run").fails(66, &["text.txt", "--resume RUN"]);
}
