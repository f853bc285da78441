//! Charts as SVG: the losses of a run, what a study found.

use charlstm::error::{Error, Result};
use charlstm::experiments::Chart;
use charlstm::run::Record;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);
/// The size of a chart with that many curves and more.
const MANY: (usize, (u32, u32)) = (8, (1100, 640));

/// Numbers beyond are not drawn: they are of a run that diverged, or of a file that is none of ours.
const MOST: f64 = 1e30;

/// Points of a curve at most; more could not be told apart.
const MOST_POINTS: usize = 1000;

/// Colours that can be told apart on white, the first for the first curve.
const COLORS: [RGBColor; 16] = [
    RGBColor(31, 119, 180),
    RGBColor(230, 120, 10),
    RGBColor(44, 150, 44),
    RGBColor(205, 30, 40),
    RGBColor(130, 80, 190),
    RGBColor(120, 70, 50),
    RGBColor(225, 100, 190),
    RGBColor(20, 20, 20),
    RGBColor(160, 165, 30),
    RGBColor(20, 180, 200),
    RGBColor(20, 20, 140),
    RGBColor(150, 150, 150),
    RGBColor(110, 0, 60),
    RGBColor(240, 180, 30),
    RGBColor(0, 90, 70),
    RGBColor(245, 150, 150),
];

/// Pixels of a dash and of what is between two.
const DASH: (u32, u32) = (6, 4);

/// Pixels of the legend: of a stroke, from line to line, and of a letter.
const LEGEND: (i32, i32, u32) = (20, 22, 8);

/// The losses so far, as points (step, nats per character).
#[derive(Clone, Debug, Default)]
pub struct LossCurves {
    pub training: Vec<(f64, f64)>,
    pub held_out: Vec<(f64, f64)>,
}

impl LossCurves {
    /// Those of records up to a step.
    pub fn of(records: &[Record], step: u64) -> Self {
        let mut curves = LossCurves::default();
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

/// A curve as it is drawn. LossCurves whose names have the same words before a colon are a group: they share a colour, and all but the
/// first are dashed.
struct Drawn {
    group: String,
    kind: Option<String>,
    color: RGBColor,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

/// The curves with their logarithms where an axis is logarithmic; a point that has none is left out.
fn drawn(chart: &Chart) -> Vec<Drawn> {
    let scaled = |log: bool, x: f64| if log { x.log10() } else { x };
    let mut curves: Vec<Drawn> = Vec::new();
    for (name, points) in &chart.curves {
        let points = points.iter().filter(|(x, y)| x.abs() <= MOST && y.abs() <= MOST);
        let points = points.map(|(x, y)| (scaled(chart.log_x, *x), scaled(chart.log_y, *y)));
        let points = thinned(&points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect::<Vec<_>>());
        let (group, kind) = name.split_once(": ").map_or((name.as_str(), None), |(group, kind)| (group, Some(kind)));
        let of_group = curves.iter().find(|curve| curve.group == group).map(|curve| curve.color);
        let groups = curves.iter().filter(|curve| !curve.dashed).count();
        let color = of_group.unwrap_or(COLORS[groups % COLORS.len()]);
        let (group, kind) = (group.to_owned(), kind.map(str::to_owned));
        curves.push(Drawn { group, kind, color, dashed: of_group.is_some(), points });
    }
    curves
}

/// The chart as the text of an SVG.
pub fn draw(chart: &Chart) -> Result<String> {
    let mut svg = String::new();
    paint(&mut svg, chart, &drawn(chart)).map_err(|e| Error::Internal(format!("the plot: {e}")))?;
    Ok(svg)
}

/// The least and the greatest of some numbers, so far apart that there is room for the marks of an axis between them.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let size = low.abs().max(high.abs());
    if low > high {
        (0.0, 1.0)
    } else if high - low > size * 1e-9 {
        (low, high)
    } else {
        (low, low + size.max(1.0))
    }
}

type Painted = std::result::Result<(), Box<dyn std::error::Error>>;

fn paint(svg: &mut String, chart: &Chart, curves: &[Drawn]) -> Painted {
    let size = if curves.len() < MANY.0 { SIZE } else { MANY.1 };
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let entries = entries(curves);
    let longest = entries.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0) as u32;
    let (left, right) = root.split_horizontally(size.0 - (longest + 1) * LEGEND.2 - LEGEND.0 as u32);
    paint_legend(&right, &entries)?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (x, y) = (range(points().map(|point| point.0)), range(points().map(|point| point.1)));
    let margin = ((y.1 - y.0) * 0.05).max(0.05);
    // From one power of ten to another, so that both ends have a label.
    let y = if chart.log_y { y.0.floor()..y.1.ceil() } else { (y.0 - margin)..(y.1 + margin) };
    let mut drawing = ChartBuilder::on(&left)
        .caption(&chart.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x.0..x.1, y)?;
    let label = |log: bool, number: f64| if log { power(number) } else { plain(number) };
    drawing
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(&chart.x)
        .y_desc(&chart.y)
        .x_label_formatter(&|number| label(chart.log_x, *number))
        .y_label_formatter(&|number| label(chart.log_y, *number))
        .draw()?;
    for Drawn { color, dashed, points, .. } in curves {
        let points = points.iter().copied();
        if *dashed {
            drawing.draw_series(DashedLineSeries::new(points, DASH.0, DASH.1, color.stroke_width(2)))?;
        } else {
            drawing.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        }
    }
    root.present()?;
    Ok(())
}

/// The lines of the legend, with colour and whether they are dashed: every group, then what whole and dashed curves are.
fn entries(curves: &[Drawn]) -> Vec<(&str, RGBColor, bool)> {
    let mut entries: Vec<_> =
        curves.iter().filter(|curve| !curve.dashed).map(|curve| (curve.group.as_str(), curve.color, false)).collect();
    for dashed in [false, true] {
        let kind = curves.iter().find(|curve| curve.dashed == dashed).and_then(|curve| curve.kind.as_deref());
        entries.extend(kind.map(|kind| (kind, BLACK, dashed)));
    }
    entries
}

/// Beside the plot, so that it hides nothing.
fn paint_legend(area: &DrawingArea<SVGBackend<'_>, Shift>, entries: &[(&str, RGBColor, bool)]) -> Painted {
    for (i, (name, color, dashed)) in entries.iter().enumerate() {
        let y = LEGEND.1 * (i as i32 + 2);
        let line = [(0, y), (LEGEND.0, y)];
        if *dashed {
            area.draw(&DashedPathElement::new(line, DASH.0, DASH.1, color.stroke_width(2)))?;
        } else {
            area.draw(&PathElement::new(line, color.stroke_width(2)))?;
        }
        area.draw(&Text::new(*name, (LEGEND.0 + 6, y - 6), ("sans-serif", 13)))?;
    }
    Ok(())
}

/// A number of a logarithmic axis, by its logarithm.
fn power(log: f64) -> String {
    let whole = log.round();
    if (log - whole).abs() < 1e-9 { format!("1e{whole:.0}") } else { format!("{:.1e}", 10f64.powf(log)) }
}

/// A number of an axis: steps whole, losses with two decimals.
fn plain(number: f64) -> String {
    if number.abs() >= 10.0 || number == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

#[cfg(test)]
mod tests {
    use charlstm::cells::CELLS;

    use super::*;

    #[test]
    fn draws_any_number_of_points() {
        for n in [0, 1, 2, 5000] {
            let training = (0..n).map(|step| (f64::from(step), 2.0)).collect();
            let chart = LossCurves { training, held_out: vec![] }.chart("a <title> & more");
            let svg = draw(&chart).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("held out") && !svg.contains("<title>"), "{svg}");
            assert!(svg.len() < 100_000, "{} points make {} bytes", n, svg.len());
        }
    }

    #[test]
    fn numbers_of_any_size_are_drawn_or_left_out() {
        let hardly = 1.0 + f64::EPSILON;
        for points in [
            vec![(1.0, -f64::MAX), (2.0, f64::MAX)],
            vec![(1.0, 1e300), (2.0, 1e300 * hardly)],
            vec![(1.0, 1e25), (2.0, 1e25 * hardly)],
            vec![(u64::MAX as f64, 1.0), (u64::MAX as f64 * hardly, 5e-324)],
            vec![(1.0, 1e-300), (2.0, 2e-300)],
        ] {
            let svg = draw(&LossCurves { training: points, held_out: vec![] }.chart("")).unwrap();
            assert!(svg.len() < 100_000 && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
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

    #[test]
    fn groups_share_a_colour_and_labels_go_all_the_way() {
        let points = |end: f64| (1..=100).map(|k| (f64::from(k), 10f64.powf(end * f64::from(k) / 100.0))).collect();
        let curves = CELLS.iter().flat_map(|cell| {
            let name = cell.spec.name;
            [(format!("{name}: dL/dh"), points(-29.3)), (format!("{name}: dL/dc"), points(-2.0))]
        });
        let chart = Chart { log_y: true, curves: curves.collect(), ..Chart::default() };
        let drawn = drawn(&chart);
        for (i, pair) in drawn.chunks(2).enumerate() {
            assert!(pair[0].color == pair[1].color && !pair[0].dashed && pair[1].dashed, "{}", pair[0].group);
            assert!(drawn[..2 * i].iter().all(|other| other.color != pair[0].color), "{}", pair[0].group);
        }
        let legend: Vec<_> = entries(&drawn).iter().map(|(name, ..)| *name).collect();
        assert_eq!((legend.len(), &legend[CELLS.len()..]), (CELLS.len() + 2, &["dL/dh", "dL/dc"][..]));
        let svg = draw(&chart).unwrap();
        let labels = [-30, -25, -20, -15, -10, -5].map(|n| format!("1e{n}"));
        assert!(labels.iter().all(|label| svg.contains(label)), "{svg}");
    }
}
