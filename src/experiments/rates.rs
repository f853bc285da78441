//! What matters more, the learning rate or the size (Greff et al. 2015, section on hyperparameters).

use super::study::spread;
use super::{Chart, Experiment, Figure, Finding, Kind, Study};
use crate::error::Result;
use crate::model::Init;

/// A grid of learning rates and sizes.
pub const LEARNING_RATE: Experiment = Experiment {
    name: "learning-rate",
    summary: "a grid of learning rates and layer sizes: how much of the loss's variance each explains",
    criterion: "the learning rate explains most of the variance, and both together (their interaction) less than 20 %",
    published: "Greff et al. 2015: the learning rate matters most, and is nearly independent of the size",
    also: &["TEXT", "--seeds", "--init", "--svg"],
    kind: Kind::Study(run),
};

const RATES: [f64; 7] = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];
const SIZES: [usize; 4] = [16, 32, 64, 128];

fn run(study: &Study, tell: &mut dyn FnMut(&str)) -> Result<Finding> {
    let cell = study.cell.as_deref().unwrap_or("lstm");
    let texts = study.texts()?;
    // A run that is worse than one that knows nothing, or diverges, counts as knowing nothing: how much worse says little.
    let worst = (texts.vocab().len() as f64).ln();
    let mut grid = Vec::new();
    for hidden in SIZES {
        for lr in RATES {
            let mut losses = Vec::new();
            for seed in study.seeds.clone() {
                let init = Init { scheme: study.scheme.unwrap_or_default(), forget_bias: None };
                let run = study.run(&study.shape(cell, hidden, &texts), init, study.training(300, lr, seed))?;
                losses.push(run.map_or(worst, |run| run.held_out.min(worst)));
            }
            tell(&format!("{hidden} units  lr {lr}  held-out {:.4}", spread(&losses).0));
            grid.push(losses);
        }
    }
    let capped = grid.concat().iter().filter(|loss| **loss >= worst).count();
    let shares = Shares::of(&grid, SIZES.len(), RATES.len());
    // One run of each cannot tell what its seed does.
    let (seeds, noise) = match study.seeds.end - study.seeds.start {
        1 => ("-".into(), "; with one seed, what the seeds explain is in both together: --seeds 2 takes it apart"),
        _ => (format!("{:.1} %", 100.0 * shares.seed), ""),
    };
    let rows = RATES.iter().enumerate().map(|(i, lr)| {
        let of = |size: usize| Figure::Real(spread(&grid[size * RATES.len() + i]).0, 4);
        [Figure::Scientific(*lr)].into_iter().chain((0..SIZES.len()).map(of)).collect()
    });
    let curve = |(size, hidden): (usize, &usize)| {
        let losses = grid[size * RATES.len()..].iter().map(|losses| spread(losses).0);
        (format!("{hidden} units"), RATES.into_iter().zip(losses).collect())
    };
    let chart = Chart {
        title: format!("Held-out loss of {cell} by learning rate and size"),
        x: "learning rate".into(),
        y: "nats per character".into(),
        log_x: true,
        log_y: false,
        curves: SIZES.iter().enumerate().map(curve).collect(),
    };
    Ok(Finding {
        passed: Some(shares.rate > 0.5 && shares.both < 0.2),
        measured: format!(
            "variance explained: learning rate {:.1} %, size {:.1} %, both together {:.1} %, seeds {seeds}; {capped} of {} runs count as \
             knowing nothing{noise}",
            100.0 * shares.rate,
            100.0 * shares.size,
            100.0 * shares.both,
            grid.concat().len()
        ),
        columns: vec!["rate", "16 units", "32 units", "64 units", "128 units"],
        rows: rows.collect(),
        chart: Some(chart),
    })
}

/// The shares of the variance in a full factorial design of two factors (analysis of variance).
#[derive(Debug)]
struct Shares {
    size: f64,
    rate: f64,
    both: f64,
    seed: f64,
}

impl Shares {
    /// Of a grid of `sizes x rates`, each with as many numbers.
    fn of(grid: &[Vec<f64>], sizes: usize, rates: usize) -> Self {
        let all: Vec<f64> = grid.concat();
        let runs = grid[0].len();
        let total = spread(&all).0;
        let square = |mean: f64| (mean - total).powi(2);
        let means: Vec<f64> = grid.iter().map(|losses| spread(losses).0).collect();
        let row = |size: usize| spread(&means[size * rates..][..rates]).0;
        let column = |rate: usize| spread(&means[rate..].iter().step_by(rates).copied().collect::<Vec<_>>()).0;
        let by_size = (0..sizes).map(|size| square(row(size))).sum::<f64>() * (rates * runs) as f64;
        let by_rate = (0..rates).map(|rate| square(column(rate))).sum::<f64>() * (sizes * runs) as f64;
        let between = means.iter().map(|mean| square(*mean)).sum::<f64>() * runs as f64;
        let whole = all.iter().map(|x| square(*x)).sum::<f64>().max(f64::MIN_POSITIVE);
        Shares {
            size: by_size / whole,
            rate: by_rate / whole,
            both: (between - by_size - by_rate) / whole,
            seed: (whole - between) / whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_parts_a_grid_is_made_of() {
        let grid = |f: fn(f64, f64) -> Vec<f64>| {
            (0..3).flat_map(|size| (0..4).map(move |rate| f(f64::from(size), f64::from(rate)))).collect::<Vec<_>>()
        };
        let of = |f| Shares::of(&grid(f), 3, 4);
        let near = |shares: &Shares, wanted: [f64; 4]| {
            let found = [shares.size, shares.rate, shares.both, shares.seed];
            found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12)
        };
        assert!(near(&of(|size, _| vec![size]), [1.0, 0.0, 0.0, 0.0]));
        assert!(near(&of(|_, rate| vec![rate, rate]), [0.0, 1.0, 0.0, 0.0]));
        assert!(near(&of(|_, _| vec![1.0, 2.0]), [0.0, 0.0, 0.0, 1.0]));
        // Sums of squares by hand: sizes 8, rates 15, of 2 * 4 * 3 * ... each number once.
        let sum = of(|size, rate| vec![size + rate]);
        assert!(near(&sum, [8.0 / 23.0, 15.0 / 23.0, 0.0, 0.0]), "{sum:?}");
        let product = of(|size, rate| vec![(size - 1.0) * (rate - 1.5)]);
        assert!(near(&product, [0.0, 0.0, 1.0, 0.0]), "{product:?}");
    }
}
