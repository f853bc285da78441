//! `charlstm inspect`: the activations of a unit as a table, colored text or an HTML page.

use std::fs::File;

use serde_json::Value;

use crate::harness::{Finished, TINY, TestDir, assert_contains_all, prose};

/// The characters and the values of a table.
fn parsed(table: &str) -> (String, Vec<f64>) {
    let pair = |line: &str| {
        let (c, value) = line.rsplit_once('\t').unwrap();
        (c.replace("\\n", "\n"), value.parse::<f64>().unwrap())
    };
    table.lines().map(pair).unzip()
}

#[test]
fn unit_table_covers_the_held_out_set() {
    let dir = TestDir::with_run();
    let (text, values) = parsed(&dir.stdout("inspect run --unit 3 -q"));
    assert_eq!(text, prose(2000)[1800..]);
    assert!(values.iter().any(|x| *x != values[0]), "{values:?}");
    let (_, same) = parsed(&dir.stdout("inspect run --layer 1 --unit 3 --color never -q"));
    assert_eq!(same, values);
    let (_, other) = parsed(&dir.stdout("inspect run --unit 4 -q"));
    assert_ne!(other, values);
    let (start, few) = parsed(&dir.stdout("inspect run --unit 3 --chars 50 -q"));
    assert_eq!((start.as_str(), few.as_slice()), (&text[..50], &values[..50]));
    dir.write("part.txt", &text);
    assert_eq!(parsed(&dir.stdout("inspect run --unit 3 --text part.txt -q")).1, values);
    let mut piped = dir.command("inspect run --unit 3 --text - -q");
    let output = piped.stdin(File::open(dir.path("part.txt")).unwrap()).output().unwrap();
    assert_eq!(parsed(&String::from_utf8(output.stdout).unwrap()).1, values);
}

#[test]
fn colored_text_is_unchanged() {
    let dir = TestDir::with_run();
    for (terminal, background) in [("", "48;5;"), ("truecolor", "48;2;")] {
        let mut command = dir.command("inspect run --unit 3 --color always");
        command.env("COLORTERM", terminal);
        let (out, stderr) = Finished::run(command).succeeds();
        assert!(out.contains(background), "{out:?}");
        let plain: String =
            out.split("\u{1b}[").map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect();
        assert_eq!(plain.trim_end(), prose(2000)[1800..].trim_end());
        assert_contains_all(&stderr, &["layer 1", "unit 3", "200 characters"]);
    }
}

#[test]
fn gates_are_selected_by_name() {
    let dir = TestDir::with_run();
    for gate in ["i", "f", "o"] {
        let (_, values) = parsed(&dir.stdout(&format!("inspect run --unit 1 --gate {gate} -q")));
        assert!(values.iter().all(|x| (0.0..=1.0).contains(x)), "{gate}: {values:?}");
    }
    let state = dir.stdout("inspect run --unit 1 -q");
    assert_eq!(dir.stdout("inspect run --unit 1 --gate c -q"), state);
    dir.run("inspect run --unit 1 --gate z").fails(2, &["\"z\"", "c, i, f, g, o"]);
    dir.run(&format!("train text.txt {TINY} --cell gru --steps 4 --name gru")).succeeds();
    dir.run("inspect gru --unit 1 --gate z").succeeds();
    dir.run("inspect gru --gate c").fails(2, &["gru", "h, n, r, z, m"]);
    dir.run(&format!("train text.txt {TINY} --cell rnn --steps 4 --name rnn")).succeeds();
    dir.run("inspect rnn --unit 1").succeeds();
    dir.run("inspect rnn --unit 1 --gate i").fails(2, &["\"i\"", "h"]);
}

#[test]
fn units_are_listed_by_correlation() {
    let dir = TestDir::with_run();
    let (out, stderr) = dir.run("inspect run").succeeds();
    for property in ["inside quotes", "place in line", "line end", "newline", "space", "capital", "vowel", "digit"] {
        assert_eq!(out.lines().filter(|line| line.starts_with(property)).count(), 1, "{property}: {out}");
    }
    assert_contains_all(&stderr, &["Pearson", "charlstm inspect"]);
    let line = |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("digit").ends_with('-'), "the text has no digit: {out}");
    // Pearson's r of the first unit listed for spaces, computed from its values.
    let words: Vec<String> = line("space").split_whitespace().map(str::to_owned).collect();
    let unit = words[1].strip_prefix("1.").unwrap();
    let (text, values) = parsed(&dir.stdout(&format!("inspect run --unit {unit} -q")));
    let spaces: Vec<f64> = text.chars().map(|c| f64::from(u8::from(c == ' '))).collect();
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (mx, my) = (mean(&values), mean(&spaces));
    let sum = |f: &dyn Fn(f64, f64) -> f64| values.iter().zip(&spaces).map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    let r = sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    assert_eq!(words[2], format!("{r:+.2}"));
}

#[test]
fn inspect_rejects_out_of_range_options() {
    let dir = TestDir::with_run();
    for (args, part) in [
        ("--layer 0", "1 to 1"),
        ("--layer 2", "1 to 1"),
        ("--unit 17", "1 to 16"),
        ("--unit 0", "1 to 16"),
        ("--chars 0", "1 to"),
        ("--chars 18446744073709551615", "1 to"),
    ] {
        dir.run(&format!("inspect run {args}")).fails(2, &[part]);
        dir.run(&format!("inspect run {args} --html page.html")).fails(2, &[part]);
    }
    dir.train("text.txt --name whole --steps 4 --val-frac 0");
    dir.run("inspect whole").fails(2, &["--text"]);
    dir.run("inspect absent").fails(66, &["absent"]);
    dir.run("inspect run --text absent.txt").fails(66, &["absent.txt"]);
    dir.write("empty.txt", "");
    dir.run("inspect run --text empty.txt").fails(65, &["empty.txt"]);
}

#[test]
fn unknown_characters_are_reported_or_skipped() {
    let dir = TestDir::with_run();
    dir.write("other.txt", "fo\u{e9}x\u{e9}");
    let parts = ["other.txt", "'\u{e9}' (U+00E9)", "character 3", "--skip-unknown"];
    dir.run("inspect run --unit 1 --text other.txt").fails(65, &parts);
    let (out, stderr) = dir.run("inspect run --unit 1 --text other.txt --skip-unknown").succeeds();
    assert_eq!(parsed(&out).0, "fox");
    assert!(stderr.contains("2 characters"), "{stderr}");
    dir.write("none.txt", "\u{e9}");
    dir.run("inspect run --text none.txt --skip-unknown").fails(65, &["none.txt"]);
    // Characters that are not read may be unknown.
    dir.run("inspect run --unit 1 --text other.txt --chars 2").succeeds();
}

#[test]
fn page_is_self_contained() {
    let dir = TestDir::with_run();
    dir.write("page.html", "old");
    let ran = dir.run("inspect run --html page.html");
    let (out, stderr) = ran.succeeds();
    assert!(out.is_empty() && stderr.contains("page.html"), "{out} {stderr}");
    let page = dir.read("page.html");
    for outside in ["http:", "https:", "//cdn", "@import", "src=", "href="] {
        assert!(!page.contains(outside), "{outside}");
    }
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["text"], prose(2000)[1800..]);
    assert_eq!((&data["cell"], &data["layers"], &data["hidden"]), (&"lstm".into(), &1.into(), &16.into()));
    assert_eq!(data["values"].as_array().unwrap().len(), 5);
    assert_eq!(data["values"][4][0]["bytes"].as_str().unwrap().len(), (16_usize * 200).div_ceil(3) * 4);
    dir.run("inspect run --html absent/page.html").fails(73, &["absent/page.html"]);
    dir.train("text.txt --name bytes --bytes --steps 4");
    dir.run("inspect bytes --html page.html").succeeds();
}
