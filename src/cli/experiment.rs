//! `charlstm experiment`: what the papers claim, run again.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use charlstm::cells;
use charlstm::data::DatasetConfig;
use charlstm::error::{Error, Result};
use charlstm::experiments::{
    self, Chart, Compare, Experiment, Figure, Finding, Kind, Notes, Setup, Study, Task, Trial, Variant,
};
use charlstm::model::Init;
use serde_json::{Map, Value, json};

use super::args::ExperimentArgs;
use super::terminal::Terminal;
use super::{experiment_list, files, load, plot};

pub fn run(args: &ExperimentArgs, terminal: &Terminal) -> Result<ExitCode> {
    if args.name == "list" {
        must_mean_something(&args.name, &[], args, terminal)?;
        return experiment_list::list(args.json, terminal).map(|()| ExitCode::SUCCESS);
    }
    let experiment = experiments::find(&args.name)?;
    must_mean_something(experiment.name, &experiment.choices(), args, terminal)?;
    let chart = chart_path(experiment, args);
    [&args.write, &chart].into_iter().flatten().try_for_each(|path| files::check_writable(path))?;
    load::start_worker_threads(None)?;
    let passed = match experiment.kind {
        Kind::Task { setup, task } => {
            let asked = Variant { cell: args.cell.clone(), q: args.q, noise: args.noise, size: args.size };
            let variant = experiment.settled(&asked);
            let setup = chosen(setup(&variant), args)?;
            learn(experiment, &variant, task(&variant)?.as_ref(), &setup, args, terminal)?
        }
        Kind::Study(study) => compare(experiment, study, chart.as_deref(), args, terminal)?.unwrap_or(true),
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Refuses a choice that is none of those that are taken.
fn must_mean_something(name: &str, taken: &[&str], args: &ExperimentArgs, terminal: &Terminal) -> Result<()> {
    let given = [
        ("TEXT", !args.texts.is_empty()),
        ("--cell", args.cell.is_some()),
        ("--steps", args.steps.is_some()),
        ("--seed", args.seed != 1),
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
    let Some((choice, _)) = given.iter().find(|(choice, given)| *given && !taken.contains(choice)) else {
        return Ok(());
    };
    // `-q 5` is --quiet and a text of the name 5.
    let number = args.texts.first().and_then(|text| text.to_str()?.parse::<usize>().ok());
    let hint = match number.filter(|_| *choice == "TEXT" && taken.contains(&"--q") && terminal.is_quiet()) {
        Some(q) => format!("; -q is --quiet: if {q} distractors are meant, write --q {q}"),
        None => String::new(),
    };
    Err(Error::Usage(format!("{name} takes no {choice}; leave it out{hint}")))
}

/// Where the chart goes, of an experiment that draws one. A program that reads JSON gets no file that it has not asked for.
fn chart_path(experiment: &Experiment, args: &ExperimentArgs) -> Option<PathBuf> {
    let own = || (experiment.takes("--svg") && !args.json).then(|| format!("{}.svg", experiment.name).into());
    args.svg.clone().or_else(own)
}

/// Trains on the task with every seed, or only writes its text.
fn learn(
    experiment: &Experiment,
    variant: &Variant,
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
    if args.json {
        terminal.json(&facts_of_trials(experiment, variant, setup, &trials)?)?;
    } else {
        report(experiment, setup, &trials, terminal)?;
    }
    Ok(trials.iter().all(|trial| trial.passed))
}

fn seeds(args: &ExperimentArgs) -> Result<Range<u64>> {
    let most = u64::MAX - args.seeds;
    if args.seed > most {
        let runs = if args.seeds > 1 { format!(" with --seeds {}", args.seeds) } else { String::new() };
        return Err(Error::Usage(format!("--seed must be at most {most}{runs}, not {}", args.seed)));
    }
    Ok(args.seed..args.seed + args.seeds)
}

/// Compares nets, prints the table and draws the chart.
fn compare(
    experiment: &Experiment,
    study: Compare,
    chart: Option<&Path>,
    args: &ExperimentArgs,
    terminal: &Terminal,
) -> Result<Option<bool>> {
    let asked = Study {
        text: DatasetConfig { paths: args.texts.clone(), ..DatasetConfig::default() },
        cell: args.cell.clone(),
        hidden: args.hidden,
        steps: args.steps,
        lr: args.lr,
        scheme: args.init,
        parameters: args.parameters,
        seeds: seeds(args)?,
        notes: Notes::default(),
    };
    let finding = study(&asked, &mut |line| terminal.say(line))?;
    if args.json {
        terminal.json(&facts_of_study(experiment, &asked.notes, &finding))?;
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
    if let (Some(chart), Some(path)) = (&finding.chart, chart) {
        files::write(path, plot::draw(chart)?.as_bytes())?;
        terminal.say(&format!("drawn in {}", path.display()));
    }
    Ok(finding.passed)
}

/// What a study found, with every curve in full.
fn facts_of_study(experiment: &Experiment, notes: &Notes, finding: &Finding) -> Value {
    let row = |row: &Vec<Figure>| {
        let named = finding.columns.iter().zip(row).map(|(column, figure)| ((*column).to_owned(), json!(figure)));
        named.collect::<Map<_, _>>()
    };
    let curves = |chart: &Chart| {
        let curve = |(name, points): &(String, Vec<(f64, f64)>)| {
            let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
            json!({"curve": name, &chart.x: x, &chart.y: y})
        };
        chart.curves.iter().map(curve).collect::<Vec<_>>()
    };
    json!({
        "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
        "setup": notes, "passed": finding.passed, "measured": finding.measured,
        "table": finding.rows.iter().map(row).collect::<Vec<_>>(), "curves": finding.chart.as_ref().map(curves),
    })
}

/// What trials found; of the setup only what the cell has, and what else was chosen of the task.
fn facts_of_trials(experiment: &Experiment, variant: &Variant, setup: &Setup, trials: &[Trial]) -> Result<Value> {
    let solved = trials.iter().filter(|trial| trial.passed).count();
    let mut settings = json!(setup);
    if cells::find(&setup.cell)?.spec.forget_gate.is_none() {
        settings["forget_bias"] = Value::Null;
    }
    for (name, value) in [("q", json!(variant.q)), ("noise", json!(variant.noise)), ("size", json!(variant.size))] {
        if experiment.takes(&format!("--{name}")) {
            settings[name] = value;
        }
    }
    Ok(json!({
        "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
        "setup": settings, "passed": solved == trials.len(), "solved": solved, "trials": trials,
    }))
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

fn report(experiment: &Experiment, setup: &Setup, trials: &[Trial], terminal: &Terminal) -> Result<()> {
    let solved = trials.iter().filter(|trial| trial.passed).count();
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
