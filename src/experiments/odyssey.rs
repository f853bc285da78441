//! Compares all cells on one text (Greff et al. 2015, "LSTM: a search space odyssey").

use super::experiment::{Experiment, Kind};
use super::study::{STEP_CHARS, Study, StudyResult, StudyRun, TableEntry, mean_and_std};
use crate::cells::{CELLS, RegisteredCell};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::Scheme;

pub const ODYSSEY: Experiment = Experiment {
    name: "odyssey",
    summary: "all cells on one text with the same number of parameters, over several seeds and initializations",
    criterion: "no cell is better than lstm by more than twice the standard deviation; of vanilla's ablations, nfg and peephole (noaf) \
                are worse than all others by more than that",
    published: "Greff et al. 2015: no variant is clearly better; forget gate and output activation matter most",
    extra_options: &["text", "seeds", "lr", "init", "parameters"],
    kind: Kind::Study(run),
};

const DEFAULT_PARAMETERS: u64 = 200_000;
const SCHEMES: [Scheme; 2] = [Scheme::Orthogonal, Scheme::Uniform];
/// The vanilla LSTM with one part removed or changed.
const ABLATIONS: [&str; 8] = ["nig", "nfg", "nog", "niaf", "peephole", "lstm", "fgr", "cifg"];
const MAX_UNITS: usize = 4096;

struct CellRuns {
    cell: &'static str,
    hidden: usize,
    parameters: u64,
    runs: Vec<StudyRun>,
    diverged: usize,
}

impl CellRuns {
    fn losses(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.held_out).collect()
    }

    fn mean_loss(&self) -> f64 {
        if self.diverged > 0 { f64::INFINITY } else { mean_and_std(&self.losses()).0 }
    }

    fn table_row(&self) -> Vec<TableEntry> {
        let mean = |of: fn(&StudyRun) -> f64| mean_and_std(&self.runs.iter().map(of).collect::<Vec<_>>()).0;
        let best = self.losses().into_iter().fold(f64::NAN, f64::min);
        let decimal =
            |x: f64, decimals| if x.is_nan() { TableEntry::Missing } else { TableEntry::Decimal(x, decimals) };
        let std = if self.runs.len() > 1 { mean_and_std(&self.losses()).1 } else { f64::NAN };
        vec![
            TableEntry::Text(self.cell.into()),
            TableEntry::Count(self.hidden as u64),
            TableEntry::Count(self.parameters),
            decimal(mean(|run| run.held_out), 4),
            decimal(std, 4),
            decimal(best, 4),
            decimal(mean(|run| run.held_out - run.training), 4),
            decimal(mean(|run| run.seconds), 1),
            TableEntry::Count(self.diverged as u64),
        ]
    }
}

fn run(study: &Study, report: &mut dyn FnMut(&str)) -> Result<StudyResult> {
    let dataset = study.open_dataset(STEP_CHARS)?;
    // All sizes are chosen first, so that an impossible one is reported before any training.
    let rows = study.cells()?.into_iter().map(|cell| choose_size(study, cell, &dataset));
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    rows.iter_mut().try_for_each(|row| train(study, row, report))?;
    rows.sort_by(|a, b| a.mean_loss().total_cmp(&b.mean_loss()));
    let (passed, measured) = check_criterion(&rows).unzip();
    let measured = measured.unwrap_or_else(|| "the criterion needs all cells with at least two runs each".into());
    let columns = vec!["cell", "units", "parameters", "held-out", "std", "best", "gap", "seconds", "diverged"];
    Ok(StudyResult { passed, measured, columns, rows: rows.iter().map(CellRuns::table_row).collect(), chart: None })
}

/// Chooses the number of units whose parameter count is nearest to the budget.
fn choose_size(study: &Study, cell: &'static RegisteredCell, dataset: &Dataset) -> Result<CellRuns> {
    let budget = study.parameters.unwrap_or(DEFAULT_PARAMETERS);
    let count = |hidden: usize| study.model_config(cell.spec.name, hidden, dataset).trainable();
    let (name, min, max) = (cell.spec.name, count(1)?, count(MAX_UNITS)?);
    if !(min..=max).contains(&budget) {
        return Err(Error::out_of_range("parameters", budget, format!("{min} to {max} for {name}")));
    }
    let units = (1..=MAX_UNITS).map(|hidden| Ok((count(hidden)?, hidden))).collect::<Result<Vec<_>>>()?;
    let nearest = units.into_iter().min_by_key(|(parameters, _)| parameters.abs_diff(budget));
    let (parameters, hidden) = nearest.unwrap_or_default();
    Ok(CellRuns { cell: name, hidden, parameters, runs: Vec::new(), diverged: 0 })
}

fn train(study: &Study, row: &mut CellRuns, report: &mut dyn FnMut(&str)) -> Result<()> {
    let hidden = row.hidden;
    let schemes = study.scheme.map_or(SCHEMES.to_vec(), |scheme| vec![scheme]);
    for (scheme, seed) in schemes.into_iter().flat_map(|scheme| study.seeds.clone().map(move |seed| (scheme, seed))) {
        let run = study.run(row.cell, hidden, scheme, study.train_config(1000, 1e-2, seed))?;
        let outcome =
            run.as_ref().map_or("diverged".into(), |run| format!("held-out {:.4}  {:.1} s", run.held_out, run.seconds));
        report(&format!("{}  {hidden} units  {scheme:?}  seed {seed}  {outcome}", row.cell));
        row.diverged += usize::from(run.is_none());
        row.runs.extend(run);
    }
    Ok(())
}

/// Checks the criterion on rows sorted by loss; `None` if cells or runs are missing.
fn check_criterion(rows: &[CellRuns]) -> Option<(bool, String)> {
    let lstm = rows.iter().find(|row| row.cell == "lstm")?;
    let ablations: Vec<_> = rows.iter().filter(|row| ABLATIONS.contains(&row.cell)).collect();
    let [.., third, next, last] = ablations[..] else { return None };
    if rows.len() < CELLS.len() || rows.iter().any(|row| row.runs.len() + row.diverged < 2) {
        return None;
    }
    let best = rows.first()?;
    let (lead, std_of_lead) = (lstm.mean_loss() - best.mean_loss(), max_std(lstm, best));
    let (gap, std_of_gap) = (next.mean_loss() - third.mean_loss(), max_std(next, third));
    let [third_cell, next_cell, last_cell] = [third, next, last].map(|row| row.cell);
    let expected = [next_cell, last_cell].iter().all(|cell| ["nfg", "peephole"].contains(cell));
    let measured = format!(
        "the best cell, {}, is {lead:.4} nats better than lstm (standard deviation {std_of_lead:.4}); the worst of vanilla's ablations \
         are {next_cell} and {last_cell}, {next_cell} {gap:.4} nats worse than {third_cell} (standard deviation {std_of_gap:.4})",
        best.cell
    );
    Some((lead <= 2.0 * std_of_lead && expected && gap > 2.0 * std_of_gap, measured))
}

fn max_std(a: &CellRuns, b: &CellRuns) -> f64 {
    mean_and_std(&a.losses()).1.max(mean_and_std(&b.losses()).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(losses: &[(&'static str, f64, f64)]) -> Vec<CellRuns> {
        let row = |cell: &'static RegisteredCell| {
            let name = cell.spec.name;
            let (mean, off) = losses.iter().find(|row| row.0 == name).map_or((1.6, 0.01), |row| (row.1, row.2));
            let run = |held_out| StudyRun { held_out, training: 1.0, seconds: 1.0 };
            let runs = if mean.is_finite() { vec![run(mean - off), run(mean + off)] } else { Vec::new() };
            let diverged = if mean.is_finite() { 0 } else { 2 };
            CellRuns { cell: name, hidden: 1, parameters: 1, runs, diverged }
        };
        let mut rows: Vec<_> = CELLS.iter().map(row).collect();
        rows.sort_by(|a, b| a.mean_loss().total_cmp(&b.mean_loss()));
        rows
    }

    #[test]
    fn the_criterion_accounts_for_the_standard_deviation() {
        let passes = |losses: &[_]| check_criterion(&rows(losses)).unwrap().0;
        let worst = [("nfg", 2.0, 0.01), ("peephole", f64::INFINITY, 0.0)];
        assert!(passes(&worst));
        assert!(passes(&[worst[0], worst[1], ("gru", 1.58, 0.01)]), "a lead within two standard deviations");
        assert!(!passes(&[worst[0], worst[1], ("gru", 1.5, 0.01)]), "a clear lead");
        assert!(!passes(&[("nfg", 2.0, 0.3), worst[1]]), "a gap within two standard deviations");
        assert!(!passes(&[worst[1], ("fgr", 3.0, 0.01)]), "another ablation is worse");
        assert!(check_criterion(&rows(&worst)[1..]).is_none(), "not all cells");
    }
}
