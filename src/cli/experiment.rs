//! `charlstm experiment`: tests the claims of the papers.

use std::path::{Path, PathBuf};
use std::{ops::Range, process::ExitCode};

use charlstm::cells;
use charlstm::data::DatasetConfig;
use charlstm::error::{Error, Result};
use charlstm::experiments::{
    self, Chart, EXPERIMENTS, Experiment, Kind, RunStudy, Setup, Study, StudyResult, TableEntry, Task, TaskOptions,
    Trial,
};
use charlstm::model::{Init, Scheme};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value, json};

use super::experiment_list::{self, flag};
use super::terminal::Terminal;
use super::values::{cell_names, name_in};
use super::{files, load, plot};

/// Reproduce an experiment from a paper, or list the experiments
#[derive(Debug, clap::Args)]
pub struct ExperimentArgs {
    /// Name of the experiment, or `list`
    #[arg(value_parser = experiment_names())]
    pub name: String,
    /// Text files or folders, for experiments on a text [default: the built-in fables]
    #[arg(value_name = "TEXT")]
    pub texts: Vec<PathBuf>,
    /// Recurrent cell [default: depends on the experiment; all cells for odyssey and gradient-flow]
    #[arg(long, value_parser = cell_names().try_map(|name| charlstm::cells::find(&name).map(|cell| cell.spec.name.to_owned())))]
    pub cell: Option<String>,
    /// Units per layer [default: depends on the experiment]
    #[arg(long, value_name = "N")]
    pub hidden: Option<usize>,
    /// Maximum number of training steps, or of guesses for guess [default: depends on the experiment]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Number of parameters of each model in odyssey [default: 200000]
    #[arg(long, value_name = "N")]
    pub parameters: Option<u64>,
    /// Peak learning rate [default: depends on the experiment]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub lr: Option<f64>,
    /// Initialization of the recurrent layers [default: depends on the experiment]
    #[arg(long, value_parser = name_in::<Scheme>(&Scheme::NAMES))]
    pub init: Option<Scheme>,
    /// Initial bias of the forget gate [default: depends on the experiment]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub forget_bias: Option<f64>,
    /// Decoupled weight decay of the weight matrices [default: depends on the experiment]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Random seed of the text, the initial weights and the test
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Number of consecutive seeds to run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Number of distractors in lag [default: 100]
    #[arg(long, value_name = "N")]
    pub q: Option<usize>,
    /// Use the noisy variant of lag: the symbols to remember also occur among the distractors
    #[arg(long)]
    pub noise: bool,
    /// Number of digits in arithmetic [default: 3] or of bits in parity [default: 16]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Only write the training text to a file, for use with charlstm train
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "json", "svg", "hidden", "lr", "init", "forget_bias", "weight_decay"])]
    pub write: Option<PathBuf>,
    /// File for the chart, for experiments that draw one [default: NAME.svg]
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn experiment_names() -> PossibleValuesParser {
    let list = PossibleValue::new("list").help("List the experiments");
    let value = |experiment: &Experiment| PossibleValue::new(experiment.name).help(experiment.summary);
    PossibleValuesParser::new(EXPERIMENTS.iter().map(value).chain([list]))
}

pub fn run(args: &ExperimentArgs, terminal: &Terminal) -> Result<ExitCode> {
    if args.name == "list" {
        check_options(&args.name, &[], args, terminal)?;
        return experiment_list::list(args.json, terminal).map(|()| ExitCode::SUCCESS);
    }
    let experiment = experiments::find(&args.name)?;
    check_options(experiment.name, &experiment.options(), args, terminal)?;
    // With --json, the chart is saved only if --svg is given.
    let draws_chart = experiment.options().contains(&"svg") && !args.json;
    let chart_path = args.svg.clone().or_else(|| draws_chart.then(|| format!("{}.svg", experiment.name).into()));
    [&args.write, &chart_path].into_iter().flatten().try_for_each(|path| files::check_writable(path))?;
    load::start_worker_threads(None)?;
    let passed = match experiment.kind {
        Kind::Task { setup, task } => {
            let options = TaskOptions { cell: args.cell.clone(), q: args.q, noise: args.noise, size: args.size };
            let setup = customize(setup(&options), args)?;
            run_task(experiment, task(&options)?.as_ref(), &setup, args, terminal)?
        }
        Kind::Study(study) => run_study(experiment, study, chart_path.as_deref(), args, terminal)?.unwrap_or(true),
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn check_options(name: &str, accepted: &[&str], args: &ExperimentArgs, terminal: &Terminal) -> Result<()> {
    let given = [
        ("text", !args.texts.is_empty()),
        ("cell", args.cell.is_some()),
        ("steps", args.steps.is_some()),
        ("seed", args.seed != 1),
        ("seeds", args.seeds != 1),
        ("hidden", args.hidden.is_some()),
        ("parameters", args.parameters.is_some()),
        ("lr", args.lr.is_some()),
        ("init", args.init.is_some()),
        ("forget-bias", args.forget_bias.is_some()),
        ("weight-decay", args.weight_decay.is_some()),
        ("q", args.q.is_some()),
        ("noise", args.noise),
        ("size", args.size.is_some()),
        ("write", args.write.is_some()),
        ("svg", args.svg.is_some()),
    ];
    let rejected = given.into_iter().find(|(option, is_given)| *is_given && !accepted.contains(option));
    let Some((option, _)) = rejected else { return Ok(()) };
    // `-q 5` is --quiet and a text named 5.
    let number = args.texts.first().and_then(|text| text.to_str()?.parse::<usize>().ok());
    let hint = match number.filter(|_| option == "text" && accepted.contains(&"q") && terminal.is_quiet()) {
        Some(q) => format!(" (-q is --quiet; for {q} distractors, use --q {q})"),
        None => String::new(),
    };
    Err(Error::Usage(format!("{name} does not accept {}; omit it{hint}", flag(option))))
}

/// Runs a trial for each seed, or only writes the training text. Returns whether all trials passed.
fn run_task(
    experiment: &Experiment,
    task: &dyn Task,
    setup: &Setup,
    args: &ExperimentArgs,
    terminal: &Terminal,
) -> Result<bool> {
    let seeds = seeds(args)?;
    setup.validate()?;
    if let Some(path) = &args.write {
        let (text, _) = experiments::training_text(experiment.name, task, setup, args.seed);
        files::write(path, text.as_bytes())?;
        terminal.say(&format!("{} characters written to {}", text.chars().count(), path.display()));
        return Ok(true);
    }
    terminal.say(&format!(
        "{}: {} x {} {}, windows of {} x {}, at most {} steps",
        experiment.name, setup.layers, setup.hidden, setup.cell, setup.batch, setup.seq_len, setup.steps
    ));
    let mut trials = Vec::new();
    for seed in seeds {
        trials.push(experiments::run_trial(experiment.name, task, setup, seed, &mut |line| terminal.say(line))?);
    }
    if args.json {
        terminal.json(&trials_as_json(experiment, task, setup, &trials)?)?;
    } else {
        print_trials(experiment, setup, &trials, terminal)?;
    }
    Ok(trials.iter().all(|trial| trial.passed))
}

fn seeds(args: &ExperimentArgs) -> Result<Range<u64>> {
    let max = u64::MAX - args.seeds;
    if args.seed > max {
        let runs = if args.seeds > 1 { format!(" with --seeds {}", args.seeds) } else { String::new() };
        return Err(Error::Usage(format!("--seed must be at most {max}{runs}, not {}", args.seed)));
    }
    Ok(args.seed..args.seed + args.seeds)
}

/// Runs a study, prints its table and saves its chart. Returns whether it passed; `None` if it is undecided.
fn run_study(
    experiment: &Experiment,
    run: RunStudy,
    chart_path: Option<&Path>,
    args: &ExperimentArgs,
    terminal: &Terminal,
) -> Result<Option<bool>> {
    let study = Study {
        dataset: DatasetConfig { paths: args.texts.clone(), ..DatasetConfig::default() },
        cell: args.cell.clone(),
        hidden: args.hidden,
        steps: args.steps,
        lr: args.lr,
        scheme: args.init,
        parameters: args.parameters,
        seeds: seeds(args)?,
        used_settings: Default::default(),
    };
    let result = run(&study, &mut |line| terminal.say(line))?;
    if args.json {
        terminal.json(&study_as_json(experiment, &study, &result))?;
    } else {
        let passed = result.passed.map_or("undecided", |passed| if passed { "passed" } else { "not passed" });
        let text = format!("{}{}\n{passed}: {}\n", heading(experiment), table(&result), result.measured);
        terminal.out(text.as_bytes())?;
    }
    if let (Some(chart), Some(path)) = (&result.chart, chart_path) {
        files::write(path, plot::draw(chart)?.as_bytes())?;
        terminal.say(&format!("chart saved to {}", path.display()));
    }
    Ok(result.passed)
}

fn heading(experiment: &Experiment) -> String {
    format!("criterion  {}\npublished  {}\n\n", experiment.criterion, experiment.published)
}

fn study_as_json(experiment: &Experiment, study: &Study, result: &StudyResult) -> Value {
    let entry = |(column, entry): (&&str, &TableEntry)| ((*column).to_owned(), json!(entry));
    let row = |row: &Vec<TableEntry>| result.columns.iter().zip(row).map(entry).collect::<Map<_, _>>();
    let curves = |chart: &Chart| {
        let curve = |(name, points): &(String, Vec<(f64, f64)>)| {
            let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
            json!({"curve": name, &chart.x: x, &chart.y: y})
        };
        chart.curves.iter().map(curve).collect::<Vec<_>>()
    };
    json!({
        "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
        "setup": study.used_settings, "passed": result.passed, "measured": result.measured,
        "table": result.rows.iter().map(row).collect::<Vec<_>>(), "curves": result.chart.as_ref().map(curves),
    })
}

fn trials_as_json(experiment: &Experiment, task: &dyn Task, setup: &Setup, trials: &[Trial]) -> Result<Value> {
    let solved = trials.iter().filter(|trial| trial.passed).count();
    let mut settings = json!(setup);
    if cells::find(&setup.cell)?.spec.forget_gate.is_none() {
        settings["forget_bias"] = Value::Null;
    }
    for (name, value) in task.parameters() {
        settings[name] = value;
    }
    Ok(json!({
        "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
        "setup": settings, "passed": solved == trials.len(), "solved": solved, "trials": trials,
    }))
}

/// The table of a study as text, the first column aligned left, the others right.
fn table(result: &StudyResult) -> String {
    let entries = |row: &Vec<TableEntry>| row.iter().map(TableEntry::to_string).collect::<Vec<_>>();
    let headings = result.columns.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(headings).chain(result.rows.iter().map(entries)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let rest = (1..row.len()).map(|column| format!("  {:>1$}", row[column], width(column))).collect::<String>();
        format!("{:1$}{rest}\n", row[0], width(0))
    };
    rows.iter().map(line).collect()
}

fn customize(setup: Setup, args: &ExperimentArgs) -> Result<Setup> {
    let cell = args.cell.clone().unwrap_or(setup.cell);
    // The experiment's default bias is ignored for a cell without a forget gate; one on the command line is rejected.
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

fn print_trials(experiment: &Experiment, setup: &Setup, trials: &[Trial], terminal: &Terminal) -> Result<()> {
    let solved = trials.iter().filter(|trial| trial.passed).count();
    let mut text = heading(experiment);
    text += "  seed  passed     steps   strings  tests  seconds  measured\n";
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
