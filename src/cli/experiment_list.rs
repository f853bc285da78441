//! `charlstm experiment list`: what experiments there are, as a table that fits a terminal.

use charlstm::error::Result;
use charlstm::experiments::{EXPERIMENTS, Experiment, Kind, OF_ALL, OF_TASKS, Variant};
use serde_json::json;

use super::terminal::Terminal;

/// Columns of the whole table, and of what stands to the left of its text.
const WIDTH: usize = 100;
const NAMES: usize = 17;
const LABELS: usize = 11;

/// Every experiment with what it takes.
pub fn list(as_json: bool, terminal: &Terminal) -> Result<()> {
    if as_json {
        let facts = EXPERIMENTS.iter().map(|e| {
            json!({
                "name": e.name, "summary": e.summary, "criterion": e.criterion, "published": e.published,
                "net": net(e), "takes": e.choices(),
            })
        });
        return terminal.json(&facts.collect());
    }
    terminal.out(table().as_bytes())
}

fn table() -> String {
    let is_task = |e: &&Experiment| matches!(e.kind, Kind::Task { .. });
    let (tasks, studies): (Vec<_>, Vec<_>) = EXPERIMENTS.iter().partition(is_task);
    let mut text = wrapped(&format!("All take {}, --json.", OF_ALL.join(", ")), "", 0);
    text += "\nA net learns from strings and is judged by fresh ones.\n";
    text += &wrapped(&format!("All of these take {} as well.", OF_TASKS.join(", ")), "", 0);
    tasks.iter().for_each(|e| text += &entry(e));
    text += "\nNets are compared in one table.\n";
    studies.iter().for_each(|e| text += &entry(e));
    text
}

/// The net that learns by default; none where many are compared.
fn net(experiment: &Experiment) -> Option<String> {
    let Kind::Task { setup, .. } = experiment.kind else { return None };
    let setup = setup(&experiment.settled(&Variant::default()));
    Some(format!("{} x {} {}, {} steps at most", setup.layers, setup.hidden, setup.cell, setup.steps))
}

fn entry(experiment: &Experiment) -> String {
    let also = Some(experiment.also.join(", ")).filter(|also| !also.is_empty());
    let lines = [
        ("passes", Some(experiment.criterion.into())),
        ("published", Some(experiment.published.into())),
        ("net", net(experiment)),
        ("takes", also),
    ];
    let line = |(label, text): (&str, Option<String>)| {
        text.map(|text| wrapped(&text, &format!("{:NAMES$}{label:LABELS$}", ""), NAMES + LABELS))
    };
    let details: String = lines.into_iter().filter_map(line).collect();
    format!("\n{}{details}", wrapped(experiment.summary, &format!("{:NAMES$}", experiment.name), NAMES))
}

/// The words of a text behind `first`, in lines of the table's width; those after the first begin with so many spaces.
fn wrapped(text: &str, first: &str, indent: usize) -> String {
    let mut lines = first.to_owned();
    let mut at = first.len();
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 && at + 1 + word.len() > WIDTH {
            lines += &format!("\n{:indent$}", "");
            at = indent;
        } else if i > 0 {
            lines.push(' ');
            at += 1;
        }
        lines += word;
        at += word.len();
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_table_and_no_line_is_wider() {
        let table = table();
        assert!(table.lines().all(|line| line.len() <= WIDTH && line == line.trim_end()), "{table}");
        let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
        for e in EXPERIMENTS {
            let choices = e.choices().into_iter();
            for part in [e.name, e.summary, e.criterion, e.published].into_iter().chain(choices) {
                assert!(words.contains(part), "{part} is not in {table}");
            }
        }
    }
}
