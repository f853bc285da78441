//! Every cell on one text (Greff et al. 2015, "LSTM: a search space odyssey").

use super::study::{Run, spread};
use super::{Experiment, Figure, Finding, Kind, Study};
use crate::cells::{CELLS, RegisteredCell};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{Init, Scheme};

/// The same number of parameters for every cell.
pub const ODYSSEY: Experiment = Experiment {
    name: "odyssey",
    summary: "every cell on one text with the same number of parameters, several seeds and initialisations",
    criterion: "no cell is better than lstm, and of vanilla's ablations nfg and peephole (noaf) are worse than all others, by over twice the spread",
    published: "Greff et al. 2015: no variant is clearly better; forget gate and output activation matter most",
    also: &["TEXT", "--seeds", "--lr", "--init", "--parameters"],
    kind: Kind::Study(run),
};

const PARAMETERS: u64 = 200_000;
const SCHEMES: [Scheme; 2] = [Scheme::Orthogonal, Scheme::Uniform];
/// What vanilla is without one of its parts.
const ABLATIONS: [&str; 8] = ["nig", "nfg", "nog", "niaf", "peephole", "lstm", "fgr", "cifg"];
const MOST_UNITS: usize = 4096;

/// A cell and how its runs ended.
struct Row {
    cell: &'static str,
    hidden: usize,
    parameters: u64,
    runs: Vec<Run>,
    diverged: usize,
}

impl Row {
    fn losses(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.held_out).collect()
    }

    /// The mean held-out loss; a run that diverges is worse than any.
    fn mean(&self) -> f64 {
        if self.diverged > 0 { f64::INFINITY } else { spread(&self.losses()).0 }
    }

    fn figures(&self) -> Vec<Figure> {
        let mean = |of: fn(&Run) -> f64| spread(&self.runs.iter().map(of).collect::<Vec<_>>()).0;
        let best = self.losses().into_iter().fold(f64::NAN, f64::min);
        let real = |x: f64, decimals| if x.is_nan() { Figure::None } else { Figure::Real(x, decimals) };
        let spread = if self.runs.len() > 1 { spread(&self.losses()).1 } else { f64::NAN };
        vec![
            Figure::Word(self.cell.into()),
            Figure::Count(self.hidden as u64),
            Figure::Count(self.parameters),
            real(mean(|run| run.held_out), 4),
            real(spread, 4),
            real(best, 4),
            real(mean(|run| run.held_out - run.training), 4),
            real(mean(|run| run.seconds), 1),
            Figure::Count(self.diverged as u64),
        ]
    }
}

fn run(study: &Study, tell: &mut dyn FnMut(&str)) -> Result<Finding> {
    let texts = study.texts()?;
    // Every cell's size is chosen before the first is trained.
    let rows = study.cells()?.into_iter().map(|cell| sized(study, cell, &texts));
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    for row in &mut rows {
        train(study, row, &texts, tell)?;
    }
    rows.sort_by(|a, b| a.mean().total_cmp(&b.mean()));
    let (passed, measured) = match claim(&rows) {
        Some((passed, measured)) => (Some(passed), measured),
        None => (None, "the claim is about all cells, and two runs of each at least".into()),
    };
    let columns = vec!["cell", "units", "parameters", "held-out", "std", "best", "gap", "seconds", "diverged"];
    Ok(Finding { passed, measured, columns, rows: rows.iter().map(Row::figures).collect(), chart: None })
}

/// The number of units whose parameters are nearest to what is asked for.
fn sized(study: &Study, cell: &'static RegisteredCell, texts: &Dataset) -> Result<Row> {
    let budget = study.parameters.unwrap_or(PARAMETERS);
    let count = |hidden: usize| study.shape(cell.spec.name, hidden, texts).trainable();
    let (least, most) = (count(1)?, count(MOST_UNITS)?);
    if !(least..=most).contains(&budget) {
        let name = cell.spec.name;
        return Err(Error::Usage(format!("--parameters must be {least} to {most} for {name}, not {budget}")));
    }
    let units = (1..=MOST_UNITS).map(|hidden| Ok((count(hidden)?, hidden))).collect::<Result<Vec<_>>>()?;
    let nearest = units.into_iter().min_by_key(|(parameters, _)| parameters.abs_diff(budget));
    let (parameters, hidden) = nearest.unwrap_or_default();
    Ok(Row { cell: cell.spec.name, hidden, parameters, runs: Vec::new(), diverged: 0 })
}

fn train(study: &Study, row: &mut Row, texts: &Dataset, tell: &mut dyn FnMut(&str)) -> Result<()> {
    let hidden = row.hidden;
    let schemes = study.scheme.map_or(SCHEMES.to_vec(), |scheme| vec![scheme]);
    for (scheme, seed) in schemes.into_iter().flat_map(|scheme| study.seeds.clone().map(move |seed| (scheme, seed))) {
        let init = Init { scheme, forget_bias: None };
        let run = study.run(&study.shape(row.cell, hidden, texts), init, study.training(1000, 1e-2, seed))?;
        let outcome =
            run.map_or("diverged".into(), |run| format!("held-out {:.4}  {:.1} s", run.held_out, run.seconds));
        tell(&format!("{}  {hidden} units  {scheme:?}  seed {seed}  {outcome}", row.cell));
        row.diverged += usize::from(run.is_none());
        row.runs.extend(run);
    }
    Ok(())
}

/// What the paper claims, of rows from the best to the worst; `None` where cells are missing.
fn claim(rows: &[Row]) -> Option<(bool, String)> {
    let lstm = rows.iter().find(|row| row.cell == "lstm")?;
    let ablations: Vec<_> = rows.iter().filter(|row| ABLATIONS.contains(&row.cell)).collect();
    let [.., third, next, last] = ablations[..] else { return None };
    if rows.len() < CELLS.len() || rows.iter().any(|row| row.runs.len() + row.diverged < 2) {
        return None;
    }
    let best = rows.first()?;
    let (lead, chance) = (lstm.mean() - best.mean(), deviation(lstm, best));
    let (gap, chance_of_gap) = (next.mean() - third.mean(), deviation(next, third));
    let (next_cell, last_cell, third_cell) = (next.cell, last.cell, third.cell);
    let expected = [next_cell, last_cell].iter().all(|cell| ["nfg", "peephole"].contains(cell));
    let measured = format!(
        "the best, {}, is {lead:.4} nats better than lstm, the deviation over runs being {chance:.4}; of vanilla's ablations \
         {next_cell} and {last_cell} are the worst, {next_cell} by {gap:.4} to {third_cell}, the deviation being {chance_of_gap:.4}",
        best.cell
    );
    Some((lead <= 2.0 * chance && expected && gap > 2.0 * chance_of_gap, measured))
}

/// The larger deviation over runs of two rows.
fn deviation(a: &Row, b: &Row) -> f64 {
    spread(&a.losses()).1.max(spread(&b.losses()).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(losses: &[(&'static str, f64, f64)]) -> Vec<Row> {
        let row = |cell: &'static RegisteredCell| {
            let name = cell.spec.name;
            let (mean, off) = losses.iter().find(|row| row.0 == name).map_or((1.6, 0.01), |row| (row.1, row.2));
            let run = |held_out| Run { held_out, training: 1.0, seconds: 1.0 };
            let runs = if mean.is_finite() { vec![run(mean - off), run(mean + off)] } else { Vec::new() };
            let diverged = if mean.is_finite() { 0 } else { 2 };
            Row { cell: name, hidden: 1, parameters: 1, runs, diverged }
        };
        let mut rows: Vec<_> = CELLS.iter().map(row).collect();
        rows.sort_by(|a, b| a.mean().total_cmp(&b.mean()));
        rows
    }

    #[test]
    fn what_the_paper_claims_is_judged_by_the_spread() {
        let judged = |losses: &[_]| claim(&rows(losses)).unwrap().0;
        let worst = [("nfg", 2.0, 0.01), ("peephole", f64::INFINITY, 0.0)];
        assert!(judged(&worst));
        assert!(judged(&[worst[0], worst[1], ("gru", 1.58, 0.01)]), "a lead within the spread");
        assert!(!judged(&[worst[0], worst[1], ("gru", 1.5, 0.01)]), "a clear lead");
        assert!(!judged(&[("nfg", 2.0, 0.3), worst[1]]), "the worst are no worse than chance makes them");
        assert!(!judged(&[worst[1], ("fgr", 3.0, 0.01)]), "another is worse");
        assert!(claim(&rows(&worst)[1..]).is_none(), "not all cells");
    }
}
