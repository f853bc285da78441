//! Charts as SVG: the losses of a run, what a study found.

use charlstm::error::{Error, Result};
use charlstm::experiments::Chart;
use charlstm::train::Record;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);
/// The size of a chart with that many curves and more.
const MANY: (usize, (u32, u32)) = (8, (1100, 640));

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

    /// The chart of them.
    pub fn chart(&self, title: &str) -> Chart {
        Chart {
            title: title.into(),
            x: "step".into(),
            y: "loss (nats per character)".into(),
            curves: vec![("training".into(), self.training.clone()), ("held out".into(), self.held_out.clone())],
            ..Chart::default()
        }
    }
}

/// Every so many points of a curve, and its last.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    points.iter().step_by(step).chain(points.last()).copied().collect()
}

/// The chart as the text of an SVG.
pub fn draw(chart: &Chart) -> Result<String> {
    let mut svg = String::new();
    let shown = |(x, y): &(f64, f64)| {
        x.is_finite() && y.is_finite() && (!chart.log_x || *x > 0.0) && (!chart.log_y || *y > 0.0)
    };
    let curve = |(name, points): &(String, Vec<_>)| {
        (name.clone(), thinned(&points.iter().filter(|point| shown(point)).copied().collect::<Vec<_>>()))
    };
    let curves: Vec<_> = chart.curves.iter().map(curve).collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let (x, y) = (range(points().map(|point| point.0)), range(points().map(|point| point.1)));
    let drawn = match (chart.log_x, chart.log_y) {
        (false, false) => {
            let margin = ((y.1 - y.0) * 0.05).max(0.05);
            paint(&mut svg, chart, &curves, x.0..x.1, (y.0 - margin)..(y.1 + margin))
        }
        (false, true) => paint(&mut svg, chart, &curves, x.0..x.1, (y.0..y.1).log_scale()),
        (true, false) => paint(&mut svg, chart, &curves, (x.0..x.1).log_scale(), y.0..y.1),
        (true, true) => paint(&mut svg, chart, &curves, (x.0..x.1).log_scale(), (y.0..y.1).log_scale()),
    };
    drawn.map_err(|e| Error::Internal(format!("the plot: {e}")))?;
    Ok(svg)
}

/// The least and the greatest of some numbers, apart from each other.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    match low.total_cmp(&high) {
        std::cmp::Ordering::Less => (low, high),
        std::cmp::Ordering::Equal => (low, low + low.abs().max(1.0)),
        std::cmp::Ordering::Greater => (0.0, 1.0),
    }
}

fn paint<X, Y>(
    svg: &mut String,
    chart: &Chart,
    curves: &[(String, Vec<(f64, f64)>)],
    x: X,
    y: Y,
) -> std::result::Result<(), Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let size = if curves.len() < MANY.0 { SIZE } else { MANY.1 };
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut drawing = ChartBuilder::on(&root)
        .caption(&chart.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)?;
    let label = |log: bool, number: f64| if log { format!("{number:.0e}") } else { plain(number) };
    drawing
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(&chart.x)
        .y_desc(&chart.y)
        .x_label_formatter(&|number| label(chart.log_x, *number))
        .y_label_formatter(&|number| label(chart.log_y, *number))
        .draw()?;
    for (i, (name, points)) in curves.iter().enumerate() {
        // From blue on, far apart on the circle of hues, two shades by turns.
        let color = HSLColor((0.6 + i as f64 * 0.381_966) % 1.0, 0.75, if i % 2 == 0 { 0.42 } else { 0.55 });
        drawing
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    drawing
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// A number of an axis: steps whole, losses with two decimals.
fn plain(number: f64) -> String {
    if number.abs() >= 10.0 || number == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_any_number_of_points() {
        for n in [0, 1, 2, 5000] {
            let training = (0..n).map(|step| (f64::from(step), 2.0)).collect();
            let chart = Curves { training, held_out: vec![] }.chart("a <title> & more");
            let svg = draw(&chart).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("held out") && !svg.contains("<title>"), "{svg}");
            assert!(svg.len() < 100_000, "{} points make {} bytes", n, svg.len());
        }
    }

    #[test]
    fn draws_many_magnitudes_and_leaves_out_what_has_none() {
        let points = vec![(1.0, 1e-9), (2.0, 1e3), (3.0, 0.0), (4.0, f64::NAN)];
        for (log_x, log_y) in [(false, true), (true, true), (true, false)] {
            let curves = (0..12).map(|i| (format!("curve {i}"), points.clone())).collect();
            let svg = draw(&Chart { log_x, log_y, curves, ..Chart::default() }).unwrap();
            assert!(svg.contains("curve 11") && !svg.contains("NaN"), "{svg}");
        }
    }
}
