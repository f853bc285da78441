//! SVG charts: the losses of a run, the results of an experiment.

use charlstm::error::{Error, Result};
use charlstm::experiments::Chart;
use charlstm::run::Record;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);
const LARGE_SIZE: (u32, u32) = (1100, 640);
const MANY_CURVES: usize = 8;

/// Larger values come from a diverged run or a corrupt file and are not drawn.
const MAX_VALUE: f64 = 1e30;

const MAX_POINTS: usize = 1000;

/// Distinguishable colors on white, in the order of the curves; at least one per cell.
const COLORS: [u32; 16] = [
    0x1f77b4, 0xe6780a, 0x2c962c, 0xcd1e28, 0x8250be, 0x784632, 0xe164be, 0x141414, 0xa0a51e, 0x14b4c8, 0x14148c,
    0x969696, 0x6e003c, 0xf0b41e, 0x005a46, 0xf59696,
];

const DASH: (u32, u32) = (6, 4);

/// Dimensions of the legend in pixels: length of a stroke, line height, width of a letter.
const STROKE: i32 = 20;
const LINE_HEIGHT: i32 = 22;
const LETTER_WIDTH: u32 = 8;

#[derive(Clone, Debug, Default)]
pub struct LossCurves {
    pub training: Vec<(f64, f64)>,
    pub held_out: Vec<(f64, f64)>,
}

impl LossCurves {
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

/// At most [`MAX_POINTS`] points of a curve, including its last.
fn downsample(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    points.iter().step_by(step).chain(points.last()).copied().collect()
}

/// A curve with its style. Curves whose names share the part before a colon form a group: they have the same color, and all but the
/// first are dashed.
struct StyledCurve {
    group: String,
    kind: Option<String>,
    color: RGBColor,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

/// Applies logarithmic axes and assigns styles. Points without a finite logarithm are omitted.
fn style(chart: &Chart) -> Vec<StyledCurve> {
    let scaled = |log: bool, x: f64| if log { x.log10() } else { x };
    let mut curves: Vec<StyledCurve> = Vec::new();
    for (name, points) in &chart.curves {
        let points = points.iter().filter(|(x, y)| x.abs() <= MAX_VALUE && y.abs() <= MAX_VALUE);
        let points = points.map(|(x, y)| (scaled(chart.log_x, *x), scaled(chart.log_y, *y)));
        let points = downsample(&points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect::<Vec<_>>());
        let (group, kind) = name.split_once(": ").map_or((name.as_str(), None), |(group, kind)| (group, Some(kind)));
        let of_group = curves.iter().find(|curve| curve.group == group).map(|curve| curve.color);
        let groups = curves.iter().filter(|curve| !curve.dashed).count();
        let color = of_group.unwrap_or_else(|| rgb(COLORS[groups % COLORS.len()]));
        let (group, kind) = (group.to_owned(), kind.map(str::to_owned));
        curves.push(StyledCurve { group, kind, color, dashed: of_group.is_some(), points });
    }
    curves
}

fn rgb(color: u32) -> RGBColor {
    let [_, red, green, blue] = color.to_be_bytes();
    RGBColor(red, green, blue)
}

pub fn draw(chart: &Chart) -> Result<String> {
    let mut svg = String::new();
    render(&mut svg, chart, &style(chart)).map_err(|e| Error::Internal(format!("cannot render the plot: {e}")))?;
    Ok(svg)
}

/// The minimum and maximum, far enough apart for the tick marks of an axis.
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

type RenderResult = std::result::Result<(), Box<dyn std::error::Error>>;

fn render(svg: &mut String, chart: &Chart, curves: &[StyledCurve]) -> RenderResult {
    let size = if curves.len() < MANY_CURVES { SIZE } else { LARGE_SIZE };
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let entries = legend_entries(curves);
    let longest = entries.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0) as u32;
    let (left, right) = root.split_horizontally(size.0 - (longest + 1) * LETTER_WIDTH - STROKE as u32);
    render_legend(&right, &entries)?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (x, y) = (range(points().map(|point| point.0)), range(points().map(|point| point.1)));
    let margin = ((y.1 - y.0) * 0.05).max(0.05);
    // Whole powers of ten, so that both ends have a label.
    let y = if chart.log_y { y.0.floor()..y.1.ceil() } else { (y.0 - margin)..(y.1 + margin) };
    let mut drawing = ChartBuilder::on(&left)
        .caption(&chart.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x.0..x.1, y)?;
    let label = |log: bool, number: f64| if log { log_label(number) } else { linear_label(number) };
    drawing
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(&chart.x)
        .y_desc(&chart.y)
        .x_label_formatter(&|number| label(chart.log_x, *number))
        .y_label_formatter(&|number| label(chart.log_y, *number))
        .draw()?;
    for StyledCurve { color, dashed, points, .. } in curves {
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

/// The legend entries (name, color, dashed): every group, then the meaning of solid and dashed lines.
fn legend_entries(curves: &[StyledCurve]) -> Vec<(&str, RGBColor, bool)> {
    let mut entries: Vec<_> =
        curves.iter().filter(|curve| !curve.dashed).map(|curve| (curve.group.as_str(), curve.color, false)).collect();
    for dashed in [false, true] {
        let kind = curves.iter().find(|curve| curve.dashed == dashed).and_then(|curve| curve.kind.as_deref());
        entries.extend(kind.map(|kind| (kind, BLACK, dashed)));
    }
    entries
}

fn render_legend(area: &DrawingArea<SVGBackend<'_>, Shift>, entries: &[(&str, RGBColor, bool)]) -> RenderResult {
    for (i, (name, color, dashed)) in entries.iter().enumerate() {
        let y = LINE_HEIGHT * (i as i32 + 2);
        let line = [(0, y), (STROKE, y)];
        if *dashed {
            area.draw(&DashedPathElement::new(line, DASH.0, DASH.1, color.stroke_width(2)))?;
        } else {
            area.draw(&PathElement::new(line, color.stroke_width(2)))?;
        }
        area.draw(&Text::new(*name, (STROKE + 6, y - 6), ("sans-serif", 13)))?;
    }
    Ok(())
}

fn log_label(log: f64) -> String {
    let whole = log.round();
    if (log - whole).abs() < 1e-9 { format!("1e{whole:.0}") } else { format!("{:.1e}", 10f64.powf(log)) }
}

fn linear_label(number: f64) -> String {
    if number.abs() >= 10.0 || number == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

#[cfg(test)]
mod tests {
    use charlstm::cells::CELLS;

    use super::*;

    #[test]
    fn renders_any_number_of_points() {
        for n in [0, 1, 2, 5000] {
            let training = (0..n).map(|step| (f64::from(step), 2.0)).collect();
            let chart = LossCurves { training, held_out: vec![] }.chart("a <title> & more");
            let svg = draw(&chart).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("held out") && !svg.contains("<title>"), "{svg}");
            assert!(svg.len() < 100_000, "{} points make {} bytes", n, svg.len());
        }
    }

    #[test]
    fn omits_extreme_values() {
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
    fn log_axes_omit_points_without_a_logarithm() {
        let points = vec![(1.0, 1e-9), (2.0, 1e3), (3.0, 0.0), (4.0, f64::NAN)];
        for (log_x, log_y) in [(false, true), (true, true), (true, false)] {
            let curves = (0..12).map(|i| (format!("curve {i}"), points.clone())).collect();
            let svg = draw(&Chart { log_x, log_y, curves, ..Chart::default() }).unwrap();
            assert!(svg.contains("curve 11") && !svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn groups_share_a_color() {
        let points = |end: f64| (1..=100).map(|k| (f64::from(k), 10f64.powf(end * f64::from(k) / 100.0))).collect();
        let curves = CELLS.iter().flat_map(|cell| {
            let name = cell.spec.name;
            [(format!("{name}: dL/dh"), points(-29.3)), (format!("{name}: dL/dc"), points(-2.0))]
        });
        let chart = Chart { log_y: true, curves: curves.collect(), ..Chart::default() };
        let curves = style(&chart);
        for (i, pair) in curves.chunks(2).enumerate() {
            assert!(pair[0].color == pair[1].color && !pair[0].dashed && pair[1].dashed, "{}", pair[0].group);
            assert!(curves[..2 * i].iter().all(|other| other.color != pair[0].color), "{}", pair[0].group);
        }
        let legend: Vec<_> = legend_entries(&curves).iter().map(|(name, ..)| *name).collect();
        assert_eq!((legend.len(), &legend[CELLS.len()..]), (CELLS.len() + 2, &["dL/dh", "dL/dc"][..]));
        let svg = draw(&chart).unwrap();
        let labels = [-30, -25, -20, -15, -10, -5].map(|n| format!("1e{n}"));
        assert!(labels.iter().all(|label| svg.contains(label)), "{svg}");
    }
}
