//! `charlstm experiment list`: all experiments and their options.

use charlstm::error::Result;
use charlstm::experiments::{COMMON_OPTIONS, EXPERIMENTS, Experiment, Kind, TASK_OPTIONS, TaskOptions};
use serde_json::json;

use super::terminal::Terminal;

const WIDTH: usize = 100;
const NAME_WIDTH: usize = 17;
const LABEL_WIDTH: usize = 11;

pub fn list(as_json: bool, terminal: &Terminal) -> Result<()> {
    if as_json {
        let experiments = EXPERIMENTS.iter().map(|e| {
            json!({
                "name": e.name, "summary": e.summary, "criterion": e.criterion, "published": e.published,
                "model": model(e), "options": e.options().into_iter().map(flag).collect::<Vec<_>>(),
            })
        });
        return terminal.json(&experiments.collect());
    }
    terminal.out(table().as_bytes())
}

/// The flag or argument that sets an option of experiments.
pub fn flag(option: &str) -> String {
    if option == "text" { "TEXT".into() } else { format!("--{option}") }
}

fn flags(options: &[&str]) -> String {
    options.iter().map(|option| flag(option)).collect::<Vec<_>>().join(", ")
}

fn table() -> String {
    let is_task = |e: &&Experiment| matches!(e.kind, Kind::Task { .. });
    let (tasks, studies): (Vec<_>, Vec<_>) = EXPERIMENTS.iter().partition(is_task);
    let mut text = wrap(&format!("Options of all experiments: {}, --json.", flags(&COMMON_OPTIONS)), "", 0);
    text += "\nTasks: a model is trained on strings and tested on new ones.\n";
    text += &wrap(&format!("Options of all tasks: {}.", flags(&TASK_OPTIONS)), "", 0);
    tasks.iter().for_each(|e| text += &entry(e));
    text += "\nStudies: several models are compared in a table.\n";
    studies.iter().for_each(|e| text += &entry(e));
    text
}

fn model(experiment: &Experiment) -> Option<String> {
    let Kind::Task { setup, .. } = experiment.kind else { return None };
    let setup = setup(&TaskOptions::default());
    Some(format!("{} x {} {}, at most {} steps", setup.layers, setup.hidden, setup.cell, setup.steps))
}

fn entry(experiment: &Experiment) -> String {
    let lines = [
        ("criterion", Some(experiment.criterion.into())),
        ("published", Some(experiment.published.into())),
        ("model", model(experiment)),
        ("options", Some(flags(experiment.extra_options)).filter(|flags| !flags.is_empty())),
    ];
    let line = |(label, text): (&str, Option<String>)| {
        text.map(|text| wrap(&text, &format!("{:NAME_WIDTH$}{label:LABEL_WIDTH$}", ""), NAME_WIDTH + LABEL_WIDTH))
    };
    let details: String = lines.into_iter().filter_map(line).collect();
    format!("\n{}{details}", wrap(experiment.summary, &format!("{:NAME_WIDTH$}", experiment.name), NAME_WIDTH))
}

/// Wraps a text to the table's width. The first line starts with `prefix`, the others with `indent` spaces.
fn wrap(text: &str, prefix: &str, indent: usize) -> String {
    let mut lines = prefix.to_owned();
    let mut column = prefix.len();
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 && column + 1 + word.len() > WIDTH {
            lines += &format!("\n{:indent$}", "");
            column = indent;
        } else if i > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += word.len();
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_fits_its_width() {
        let table = table();
        assert!(table.lines().all(|line| line.len() <= WIDTH && line == line.trim_end()), "{table}");
        let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
        for e in EXPERIMENTS {
            assert!(e.options().into_iter().all(|option| words.contains(&flag(option))), "{table}");
            for part in [e.name, e.summary, e.criterion, e.published] {
                assert!(words.contains(part), "{part} is not in {table}");
            }
        }
    }
}
