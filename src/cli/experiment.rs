//! `charlstm experiment`: what the papers claim, run again.

use std::process::ExitCode;

use charlstm::checkpoint::run;
use charlstm::error::Result;
use charlstm::experiments::{self, EXPERIMENTS, Experiment, Setup, Trial, Variant};
use serde_json::json;

use super::args::ExperimentArgs;
use super::terminal::Terminal;

pub fn run(args: &ExperimentArgs, terminal: &Terminal) -> Result<ExitCode> {
    if args.name == "list" {
        return list(args, terminal).map(|()| ExitCode::SUCCESS);
    }
    let experiment = experiments::find(&args.name)?;
    let variant = Variant { q: args.q, noise: args.noise, size: args.size };
    // What is wrong with the variant is said before anything is made of it.
    (experiment.task)(&variant)?;
    let setup = chosen((experiment.setup)(&variant), args);
    if let Some(path) = &args.write {
        let (text, _) = experiments::training(experiment, &variant, &setup, args.seed)?;
        run::replace(path, text.as_bytes())?;
        terminal.say(&format!("{} characters written to {}", text.chars().count(), path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    terminal.say(&format!(
        "{}: {} x {} {}, windows of {} x {}, {} steps at most",
        experiment.name, setup.layers, setup.hidden, setup.cell, setup.batch, setup.seq_len, setup.steps
    ));
    let mut trials = Vec::new();
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        let trial = experiments::trial(experiment, &variant, &setup, seed, &mut |report| {
            let line = format!("seed {seed}  step {}  loss {:.4}  {}", report.step, report.loss, report.measured);
            terminal.say(&line);
        })?;
        trials.push(trial);
    }
    report(experiment, &setup, &trials, args.json, terminal)?;
    let passed = trials.iter().all(|trial| trial.passed);
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The setup of the experiment with the choices made.
fn chosen(setup: Setup, args: &ExperimentArgs) -> Setup {
    Setup {
        cell: args.cell.clone().unwrap_or(setup.cell),
        hidden: args.hidden.unwrap_or(setup.hidden),
        steps: args.steps.unwrap_or(setup.steps),
        lr: args.lr.unwrap_or(setup.lr),
        weight_decay: args.weight_decay.unwrap_or(setup.weight_decay),
        scheme: args.init.unwrap_or(setup.scheme),
        forget_bias: args.forget_bias.unwrap_or(setup.forget_bias),
        ..setup
    }
}

fn list(args: &ExperimentArgs, terminal: &Terminal) -> Result<()> {
    if args.json {
        let facts = EXPERIMENTS
            .iter()
            .map(|e| json!({"name": e.name, "summary": e.summary, "criterion": e.criterion, "published": e.published}));
        return terminal.json(&facts.collect());
    }
    let line = |e: &Experiment| format!("{:16} {}\n{:16} passes: {}\n", e.name, e.summary, "", e.criterion);
    terminal.out(EXPERIMENTS.iter().map(line).collect::<String>().as_bytes())
}

fn report(experiment: &Experiment, setup: &Setup, trials: &[Trial], as_json: bool, terminal: &Terminal) -> Result<()> {
    let solved = trials.iter().filter(|trial| trial.passed).count();
    if as_json {
        let facts = json!({
            "experiment": experiment.name, "criterion": experiment.criterion, "published": experiment.published,
            "cell": setup.cell, "layers": setup.layers, "hidden": setup.hidden, "batch": setup.batch, "seq_len": setup.seq_len,
            "lr": setup.lr, "forget_bias": setup.forget_bias, "solved": solved, "trials": trials,
        });
        return terminal.json(&facts);
    }
    let mut text = format!(
        "passes when  {}\npublished    {}\n\n{:>6}  {:7} {:>8} {:>9} {:>8}  measured\n",
        experiment.criterion, experiment.published, "seed", "passed", "steps", "strings", "seconds"
    );
    for trial in trials {
        let passed = if trial.passed { "yes" } else { "no" };
        text += &format!(
            "{:>6}  {passed:7} {:>8} {:>9} {:>8.1}  {}\n",
            trial.seed, trial.steps, trial.strings, trial.seconds, trial.measured
        );
    }
    text += &format!("\n{solved} of {} solved with {} x {} {}\n", trials.len(), setup.layers, setup.hidden, setup.cell);
    terminal.out(text.as_bytes())
}
