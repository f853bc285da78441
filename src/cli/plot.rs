//! `loss.svg`: the losses over the steps.

use charlstm::error::{Error, Result};
use charlstm::train::Record;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);

/// The plot of these records as the text of an SVG.
pub fn draw(records: &[Record], title: &str) -> Result<String> {
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Record::Train(record) => training.extend(record.loss.map(|loss| (record.step as f64, loss))),
            Record::Eval(record) => held_out.extend(record.loss.map(|loss| (record.step as f64, loss))),
        }
    }
    let mut svg = String::new();
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
    use charlstm::train::EvalRecord;

    #[test]
    fn draws_any_number_of_records() {
        for n in 0..4 {
            let record =
                |step| EvalRecord { step, epoch: 1.0, loss: Some(2.0), bpc: None, best: false, elapsed_s: 0.0 };
            let records: Vec<Record> = (0..n).map(|step| Record::Eval(record(step))).collect();
            let svg = draw(&records, "a <title> & more").unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("held out") && !svg.contains("<title>"), "{svg}");
        }
    }
}
