//! `charlstm experiment`: what the papers claim, run again.

use std::ops::Range;
use std::process::ExitCode;

use charlstm::cells;
use charlstm::data::TextConfig;
use charlstm::error::{Error, Result};
use charlstm::experiments::{
    self, Compare, EXPERIMENTS, Experiment, Figure, Finding, Kind, Setup, Study, Task, Trial, Variant,
};
use charlstm::model::Init;
use serde_json::json;

use super::args::ExperimentArgs;
use super::terminal::Terminal;
use super::{files, plot};

pub fn run(args: &ExperimentArgs, terminal: &Terminal) -> Result<ExitCode> {
    if args.name == "list" {
        return list(args, terminal).map(|()| ExitCode::SUCCESS);
    }
    let experiment = experiments::find(&args.name)?;
    must_mean_something(experiment, args)?;
    let passed = match experiment.kind {
        Kind::Task { setup, task } => {
            let variant = Variant { cell: args.cell.clone(), q: args.q, noise: args.noise, size: args.size };
            learn(experiment, task(&variant)?.as_ref(), &chosen(setup(&variant), args)?, args, terminal)?
        }
        Kind::Study(study) => compare(experiment, study, args, terminal)?.unwrap_or(true),
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Refuses a choice that the experiment does not take.
fn must_mean_something(experiment: &Experiment, args: &ExperimentArgs) -> Result<()> {
    let given = [
        ("TEXT", !args.texts.is_empty()),
        ("--seeds", args.seeds != 1),
        ("--hidden", args.hidden.is_some()),
        ("--parameters", args.parameters.is_some()),
        ("--lr", args.lr.is_some()),
        ("--init", args.init.is_some()),
        ("--forget-bias", args.forget_bias.is_some()),
        ("--weight-decay", args.weight_decay.is_some()),
        ("--q", args.q.is_some()),
        ("--noise", args.noise),
        ("--size", args.size.is_some()),
        ("--write", args.write.is_some()),
        ("--svg", args.svg.is_some()),
    ];
    match given.iter().find(|(choice, given)| *given && !experiment.takes(choice)) {
        Some((choice, _)) => Err(Error::Usage(format!("{} takes no {choice}; leave it out", experiment.name))),
        None => Ok(()),
    }
}

/// Trains on the task with every seed, or only writes its text.
fn learn(
    experiment: &Experiment,
    task: &dyn Task,
    setup: &Setup,
    args: &ExperimentArgs,
    terminal: &Terminal,
) -> Result<bool> {
    let seeds = seeds(args)?;
    setup.validate()?;
    if let Some(path) = &args.write {
        let (text, _) = experiments::training(experiment.name, task, setup, args.seed);
        files::write(path, text.as_bytes())?;
        terminal.say(&format!("{} characters written to {}", text.chars().count(), path.display()));
        return Ok(true);
    }
    terminal.say(&format!(
        "{}: {} x {} {}, windows of {} x {}, {} steps at most",
        experiment.name, setup.layers, setup.hidden, setup.cell, setup.batch, setup.seq_len, setup.steps
    ));
    let mut trials = Vec::new();
    for seed in seeds {
        let trial = experiments::trial(experiment.name, task, setup, seed, &mut |report| {
            let line = format!("seed {seed}  step {}  loss {:.4}  {}", report.step, report.loss, report.measured);
            terminal.say(&line);
        })?;
        trials.push(trial);
    }
    report(experiment, setup, &trials, args.json, terminal)?;
    Ok(trials.iter().all(|trial| trial.passed))
}

fn seeds(args: &ExperimentArgs) -> Result<Range<u64>> {
    let end = args.seed.checked_add(args.seeds);
    let end =
        end.ok_or_else(|| Error::Usage(format!("--seed {} and --seeds {} go beyond all seeds", args.seed, args.seeds)));
    Ok(args.seed..end?)
}

/// Compares nets, prints the table and draws the chart.
fn compare(
    experiment: &Experiment,
    study: Compare,
    args: &ExperimentArgs,
    terminal: &Terminal,
) -> Result<Option<bool>> {
    let asked = Study {
        text: TextConfig { texts: args.texts.clone(), ..TextConfig::default() },
        cell: args.cell.clone(),
        hidden: args.hidden,
        steps: args.steps,
        lr: args.lr,
        scheme: args.init,
        parameters: args.parameters,
        seeds: seeds(args)?,
    };
    let finding = study(&asked, &mut |line| terminal.say(line))?;
    if args.json {
        let row = |row: &Vec<Figure>| {
            let named = finding.columns.iter().zip(row).map(|(column, figure)| ((*column).to_owned(), json!(figure)));
            named.collect::<serde_json::Map<_, _>>()
        };
        terminal.json(&json!({
            "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
            "passed": finding.passed, "measured": finding.measured,
            "table": finding.rows.iter().map(row).collect::<Vec<_>>(),
        }))?;
    } else {
        let head = format!("passes when  {}\npublished    {}\n\n", experiment.criterion, experiment.published);
        let passed = match finding.passed {
            Some(true) => "passed",
            Some(false) => "not passed",
            None => "not judged",
        };
        let text = format!("{head}{}\n{passed}: {}\n", table(&finding), finding.measured);
        terminal.out(text.as_bytes())?;
    }
    // A program that reads JSON gets no file that it has not asked for.
    let own_name = || Some(format!("{}.svg", experiment.name).into()).filter(|_| !args.json);
    if let (Some(chart), Some(path)) = (&finding.chart, args.svg.clone().or_else(own_name)) {
        files::write(&path, plot::draw(chart)?.as_bytes())?;
        terminal.say(&format!("drawn in {}", path.display()));
    }
    Ok(finding.passed)
}

/// The columns under their names, the first to the left, numbers to the right.
fn table(finding: &Finding) -> String {
    let cells = |row: &Vec<Figure>| row.iter().map(Figure::to_string).collect::<Vec<_>>();
    let names = finding.columns.iter().map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(names).chain(finding.rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let line = |line: &Vec<String>| {
        let rest = (1..line.len()).map(|column| format!("  {:>1$}", line[column], width(column))).collect::<String>();
        format!("{:1$}{rest}\n", line[0], width(0))
    };
    lines.iter().map(line).collect()
}

/// The setup of the experiment with the choices made.
fn chosen(setup: Setup, args: &ExperimentArgs) -> Result<Setup> {
    let cell = args.cell.clone().unwrap_or(setup.cell);
    // The experiment's own bias is for the cells that have a place for it; one that is asked for must have it.
    let init = Init { scheme: args.init.unwrap_or(setup.scheme), forget_bias: args.forget_bias };
    init.validate(cells::find(&cell)?)?;
    Ok(Setup {
        cell,
        hidden: args.hidden.unwrap_or(setup.hidden),
        steps: args.steps.unwrap_or(setup.steps),
        lr: args.lr.unwrap_or(setup.lr),
        weight_decay: args.weight_decay.unwrap_or(setup.weight_decay),
        scheme: init.scheme,
        forget_bias: init.forget_bias.unwrap_or(setup.forget_bias),
        ..setup
    })
}

fn list(args: &ExperimentArgs, terminal: &Terminal) -> Result<()> {
    if args.json {
        let facts = EXPERIMENTS
            .iter()
            .map(|e| json!({"name": e.name, "summary": e.summary, "criterion": e.criterion, "published": e.published, "also": e.also}));
        return terminal.json(&facts.collect());
    }
    let line = |e: &Experiment| {
        let also = if e.also.is_empty() { String::new() } else { format!("{:16} takes {}\n", "", e.also.join(", ")) };
        format!("{:16} {}\n{:16} passes: {}\n{also}", e.name, e.summary, "", e.criterion)
    };
    terminal.out(EXPERIMENTS.iter().map(line).collect::<String>().as_bytes())
}

fn report(experiment: &Experiment, setup: &Setup, trials: &[Trial], as_json: bool, terminal: &Terminal) -> Result<()> {
    let solved = trials.iter().filter(|trial| trial.passed).count();
    if as_json {
        let facts = json!({
            "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
            "setup": setup, "solved": solved, "trials": trials,
        });
        return terminal.json(&facts);
    }
    let mut text = format!(
        "passes when  {}\npublished    {}\n\n{:>6}  {:7} {:>8} {:>9} {:>6} {:>8}  measured\n",
        experiment.criterion, experiment.published, "seed", "passed", "steps", "strings", "tests", "seconds"
    );
    for trial in trials {
        let passed = if trial.passed { "yes" } else { "no" };
        text += &format!(
            "{:>6}  {passed:7} {:>8} {:>9} {:>6} {:>8.1}  {}\n",
            trial.seed, trial.steps, trial.strings, trial.tests, trial.seconds, trial.measured
        );
    }
    text += &format!("\n{solved} of {} solved with {} x {} {}\n", trials.len(), setup.layers, setup.hidden, setup.cell);
    terminal.out(text.as_bytes())
}
