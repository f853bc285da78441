//! The page of `charlstm inspect --html`: every value of every unit, a byte each, and what makes them seen.

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use charlstm::analysis::{UnitQuantity, record_activity};
use charlstm::error::Result;
use charlstm::model::{InferenceModel, ModelConfig};
use serde::Serialize;

use super::inspect::{Choice, Text, range, ranked};
use super::page;

const TEMPLATE: &str = include_str!("inspect.html");
/// Units that are listed for a property.
const LISTED: usize = 6;

/// What the page shows. Layers and units count from 0.
#[derive(Serialize)]
struct Page<'a> {
    run: String,
    source: &'a str,
    text: String,
    cell: &'a str,
    layers: usize,
    hidden: usize,
    quantities: Vec<Named>,
    /// For each quantity the values of each layer.
    values: Vec<Vec<Grid>>,
    properties: Vec<Row>,
    start: Start,
}

#[derive(Serialize)]
struct Named {
    name: &'static str,
    /// From 0 to 1.
    opens: bool,
}

/// The values of a layer: a byte each, `(H, T)` in base64, 0 being the unit's least value and 255 its greatest.
#[derive(Serialize)]
struct Grid {
    low: Vec<f32>,
    high: Vec<f32>,
    bytes: String,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    meaning: &'static str,
    units: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    layer: usize,
    unit: usize,
    r: f64,
}

/// What is chosen when the page opens.
#[derive(Serialize)]
struct Start {
    layer: usize,
    unit: usize,
    quantity: usize,
}

/// The page of a net, read from a checkpoint at `path`, that reads a text.
pub fn page(model: &InferenceModel<'_>, path: &Path, text: &Text, choice: &Choice) -> Result<String> {
    let (shape, spec) = (model.config(), model.cell().spec);
    let quantities = UnitQuantity::all(spec);
    let (mut values, mut properties) = (Vec::new(), Vec::new());
    for quantity in &quantities {
        let recorded = record_activity(model, &text.ids, *quantity)?;
        if *quantity == UnitQuantity::State {
            properties = rows(&recorded, text, shape);
        }
        let units = shape.layers * shape.hidden;
        let of_layer = |layer: usize| grid(&recorded, units, layer * shape.hidden..(layer + 1) * shape.hidden);
        values.push((0..shape.layers).map(of_layer).collect());
    }
    let data = Page {
        run: path.display().to_string(),
        source: &text.name,
        text: text.chars.iter().collect(),
        cell: spec.name,
        layers: shape.layers,
        hidden: shape.hidden,
        start: start(choice, &quantities, &properties),
        quantities: quantities.iter().map(|q| Named { name: q.name(spec), opens: q.is_sigmoid_gate(spec) }).collect(),
        values,
        properties,
    };
    page::fill(TEMPLATE, &data)
}

fn rows(values: &[f32], text: &Text, shape: &ModelConfig) -> Vec<Row> {
    let found = |(unit, r): (usize, f64)| Found { layer: unit / shape.hidden, unit: unit % shape.hidden, r };
    let ranked = ranked(values, text, shape, 0..shape.layers * shape.hidden, LISTED).into_iter();
    let row = ranked.map(|(property, best)| Row {
        name: property.name,
        meaning: property.meaning,
        units: best.into_iter().map(found).collect(),
    });
    row.collect()
}

/// What was asked for; where that is no unit, the one that is listed first.
fn start(choice: &Choice, quantities: &[UnitQuantity], properties: &[Row]) -> Start {
    let mut listed = properties.iter().flat_map(|row| &row.units);
    let first = listed.find(|found| choice.layer.is_none_or(|layer| layer == found.layer));
    let (layer, unit) = match (choice.unit, first) {
        (None, Some(found)) => (found.layer, found.unit),
        (unit, _) => (choice.layer.unwrap_or(0), unit.unwrap_or(0)),
    };
    let quantity = quantities.iter().position(|quantity| *quantity == choice.quantity).unwrap_or(0);
    Start { layer, unit, quantity }
}

/// The values of some of the `units` of each row.
fn grid(values: &[f32], units: usize, these: Range<usize>) -> Grid {
    let (mut low, mut high, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for unit in these {
        let of_unit: Vec<f32> = values[unit..].iter().step_by(units).copied().collect();
        let (least, greatest) = range(&of_unit);
        let (from, width) = (f64::from(least), f64::from(greatest) - f64::from(least));
        bytes.extend(of_unit.iter().map(|x| ((f64::from(*x) - from) / width * 255.0).round() as u8));
        low.push(least);
        high.push(greatest);
    }
    Grid { low, high, bytes: BASE64_STANDARD.encode(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_a_place_between_the_least_and_the_greatest() {
        // Two characters of three units, the last of which is left out; one never changes.
        let grid = grid(&[-1.0, 5.0, 9.0, 3.0, 5.0, 9.0, 1.0, 5.0, 9.0], 3, 0..2);
        assert_eq!((grid.low, grid.high), (vec![-1.0, 5.0], vec![3.0, 5.0]));
        assert_eq!(BASE64_STANDARD.decode(grid.bytes).unwrap(), [0, 255, 128, 0, 0, 0]);
    }
}
