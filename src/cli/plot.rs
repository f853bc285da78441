//! `loss.svg`: the losses over the steps.

use charlstm::error::{Error, Result};
use charlstm::train::Record;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);

/// Points of a curve at most; more could not be told apart.
const MOST_POINTS: usize = 1000;

/// The losses so far, as points (step, nats per character).
#[derive(Clone, Debug, Default)]
pub struct Curves {
    pub training: Vec<(f64, f64)>,
    pub held_out: Vec<(f64, f64)>,
}

impl Curves {
    /// Those of records up to a step.
    pub fn of(records: &[Record], step: u64) -> Self {
        let mut curves = Curves::default();
        for record in records {
            let (curve, at, loss) = match record {
                Record::Train(record) => (&mut curves.training, record.step, record.loss),
                Record::Eval(record) => (&mut curves.held_out, record.step, record.loss),
            };
            curve.extend(loss.filter(|_| at <= step).map(|loss| (at as f64, loss)));
        }
        curves
    }
}

/// Every so many points of a curve, and its last.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    points.iter().step_by(step).chain(points.last()).copied().collect()
}

/// The plot of these losses as the text of an SVG.
pub fn draw(curves: &Curves, title: &str) -> Result<String> {
    let mut svg = String::new();
    let (training, held_out) = (thinned(&curves.training), thinned(&curves.held_out));
    chart(&mut svg, &training, &held_out, title).map_err(|e| Error::Internal(format!("the plot: {e}")))?;
    Ok(svg)
}

fn chart(
    svg: &mut String,
    training: &[(f64, f64)],
    held_out: &[(f64, f64)],
    title: &str,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let all = || training.iter().chain(held_out);
    let last = all().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) =
        all().fold((f64::MAX, 0.0), |(low, high): (f64, f64), point| (low.min(point.1), high.max(point.1)));
    let low = if low > high { 0.0 } else { low };
    let margin = ((high - low) * 0.05).max(0.05);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, (low - margin)..(high + margin))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("step")
        .y_desc("loss (nats per character)")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.2}"))
        .draw()?;
    for (points, color, label) in [(training, BLUE, "training"), (held_out, RED, "held out")] {
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(2));
        chart
            .draw_series(line)?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_any_number_of_points() {
        for n in [0, 1, 2, 5000] {
            let training = (0..n).map(|step| (f64::from(step), 2.0)).collect();
            let svg = draw(&Curves { training, held_out: vec![] }, "a <title> & more").unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("held out") && !svg.contains("<title>"), "{svg}");
            assert!(svg.len() < 100_000, "{} points make {} bytes", n, svg.len());
        }
    }
}
