//! How much of the loss the learning rate and the layer size explain (Greff et al. 2015, section on hyperparameters).

use super::experiment::{Experiment, Kind};
use super::study::{Chart, STEP_CHARS, Study, StudyResult, TableEntry, mean_and_std};
use crate::error::Result;

pub const LEARNING_RATE: Experiment = Experiment {
    name: "learning-rate",
    summary: "a grid of learning rates and layer sizes: the variance of the loss that each explains",
    criterion: "the learning rate explains more than half of the variance, its interaction with the size less than 20 %",
    published: "Greff et al. 2015: the learning rate matters most and is nearly independent of the size",
    extra_options: &["text", "seeds", "init", "svg"],
    kind: Kind::Study(run),
};

const RATES: [f64; 7] = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];
const SIZES: [usize; 4] = [16, 32, 64, 128];

fn run(study: &Study, report: &mut dyn FnMut(&str)) -> Result<StudyResult> {
    let cell = study.cell.as_deref().unwrap_or("lstm");
    let dataset = study.open_dataset(STEP_CHARS)?;
    // Losses are capped at that of a uniform guess: how much worse a diverged run is carries no information.
    let uniform_loss = (dataset.vocab().len() as f64).ln();
    let mut grid = Vec::new();
    for hidden in SIZES {
        for lr in RATES {
            let mut losses = Vec::new();
            for seed in study.seeds.clone() {
                let config = study.train_config(300, lr, seed);
                let run = study.run(cell, hidden, study.scheme.unwrap_or_default(), config)?;
                losses.push(run.map_or(uniform_loss, |run| run.held_out.min(uniform_loss)));
            }
            report(&format!("{hidden} units  lr {lr}  held-out {:.4}", mean_and_std(&losses).0));
            grid.push(losses);
        }
    }
    let capped = grid.concat().iter().filter(|loss| **loss >= uniform_loss).count();
    let explained = ExplainedVariance::new(&grid, SIZES.len(), RATES.len());
    let (seeds, note) = match study.seeds.end - study.seeds.start {
        1 => ("-".into(), "; with a single seed, the interaction includes the variance between seeds"),
        _ => (format!("{:.1} %", 100.0 * explained.seed), ""),
    };
    let rows = RATES.iter().enumerate().map(|(i, lr)| {
        let loss = |size: usize| TableEntry::Decimal(mean_and_std(&grid[size * RATES.len() + i]).0, 4);
        [TableEntry::Scientific(*lr)].into_iter().chain((0..SIZES.len()).map(loss)).collect()
    });
    let curve = |(size, hidden): (usize, &usize)| {
        let losses = grid[size * RATES.len()..].iter().map(|losses| mean_and_std(losses).0);
        (format!("{hidden} units"), RATES.into_iter().zip(losses).collect())
    };
    let chart = Chart {
        title: format!("Held-out loss of {cell} by learning rate and layer size"),
        x: "learning rate".into(),
        y: "nats per character".into(),
        log_x: true,
        log_y: false,
        curves: SIZES.iter().enumerate().map(curve).collect(),
    };
    let passed = explained.rate > 0.5 && explained.interaction < 0.2;
    let [rate, size, interaction] = [explained.rate, explained.size, explained.interaction].map(|part| 100.0 * part);
    let measured = format!(
        "variance explained: learning rate {rate:.1} %, size {size:.1} %, their interaction {interaction:.1} %, seeds {seeds}; \
         {capped} of {} runs are no better than a uniform guess{note}",
        grid.concat().len()
    );
    let columns = vec!["rate", "16 units", "32 units", "64 units", "128 units"];
    Ok(StudyResult { passed: Some(passed), measured, columns, rows: rows.collect(), chart: Some(chart) })
}

/// The fractions of the variance that two factors explain in a full factorial design (two-way analysis of variance).
#[derive(Debug)]
struct ExplainedVariance {
    size: f64,
    rate: f64,
    interaction: f64,
    seed: f64,
}

impl ExplainedVariance {
    /// Analyses a grid of shape `(sizes, rates)` with the same number of losses in every cell.
    fn new(grid: &[Vec<f64>], sizes: usize, rates: usize) -> Self {
        let all: Vec<f64> = grid.concat();
        let runs = grid[0].len();
        let mean = |losses: &[f64]| mean_and_std(losses).0;
        let mean_of_all = mean(&all);
        let square = |mean: f64| (mean - mean_of_all).powi(2);
        let means: Vec<f64> = grid.iter().map(|losses| mean(losses)).collect();
        let row = |size: usize| mean(&means[size * rates..][..rates]);
        let column = |rate: usize| mean(&means[rate..].iter().step_by(rates).copied().collect::<Vec<_>>());
        let by_size = (0..sizes).map(|size| square(row(size))).sum::<f64>() * (rates * runs) as f64;
        let by_rate = (0..rates).map(|rate| square(column(rate))).sum::<f64>() * (sizes * runs) as f64;
        let between = means.iter().map(|mean| square(*mean)).sum::<f64>() * runs as f64;
        let total_squares = all.iter().map(|x| square(*x)).sum::<f64>().max(f64::MIN_POSITIVE);
        ExplainedVariance {
            size: by_size / total_squares,
            rate: by_rate / total_squares,
            interaction: (between - by_size - by_rate) / total_squares,
            seed: (total_squares - between) / total_squares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explained_variance_of_known_grids() {
        let grid = |f: fn(f64, f64) -> Vec<f64>| {
            (0..3).flat_map(|size| (0..4).map(move |rate| f(f64::from(size), f64::from(rate)))).collect::<Vec<_>>()
        };
        let explained = |f| ExplainedVariance::new(&grid(f), 3, 4);
        let near = |explained: &ExplainedVariance, expected: [f64; 4]| {
            let found = [explained.size, explained.rate, explained.interaction, explained.seed];
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12)
        };
        assert!(near(&explained(|size, _| vec![size]), [1.0, 0.0, 0.0, 0.0]));
        assert!(near(&explained(|_, rate| vec![rate, rate]), [0.0, 1.0, 0.0, 0.0]));
        assert!(near(&explained(|_, _| vec![1.0, 2.0]), [0.0, 0.0, 0.0, 1.0]));
        // Sums of squares by hand: 8 for the sizes, 15 for the rates.
        let sum = explained(|size, rate| vec![size + rate]);
        assert!(near(&sum, [8.0 / 23.0, 15.0 / 23.0, 0.0, 0.0]), "{sum:?}");
        let product = explained(|size, rate| vec![(size - 1.0) * (rate - 1.5)]);
        assert!(near(&product, [0.0, 0.0, 1.0, 0.0]), "{product:?}");
    }
}
