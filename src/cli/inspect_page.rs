//! The page of `charlstm inspect --html`: the values of every unit, one byte each, and a script that shows them.

use std::ops::Range;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use charlstm::analysis::{UnitQuantity, record_activity};
use charlstm::error::Result;
use charlstm::model::{InferenceModel, ModelConfig};
use serde::Serialize;
use serde_json::{Value, json};

use super::html_page;
use super::inspect_text::InspectedText;

const TEMPLATE: &str = include_str!("inspect.html");
const LISTED_UNITS: usize = 6;

/// The unit to show. Layers and units are counted from 0.
pub struct Selection {
    pub layer: Option<usize>,
    pub unit: Option<usize>,
    pub quantity: UnitQuantity,
}

#[derive(Serialize)]
struct InspectPage<'a> {
    run: String,
    source: &'a str,
    text: String,
    cell: &'a str,
    layers: usize,
    hidden: usize,
    quantities: Vec<Value>,
    /// The values of each layer, for each quantity.
    values: Vec<Vec<LayerValues>>,
    properties: Vec<PropertyUnits>,
    initial: Value,
}

/// The values of a layer in base64: shape (H, T), one byte per value, from 0 for the unit's minimum to 255 for its maximum.
#[derive(Serialize)]
struct LayerValues {
    min: Vec<f32>,
    max: Vec<f32>,
    bytes: String,
}

#[derive(Serialize)]
struct PropertyUnits {
    name: &'static str,
    meaning: &'static str,
    units: Vec<CorrelatedUnit>,
}

#[derive(Serialize)]
struct CorrelatedUnit {
    layer: usize,
    unit: usize,
    r: f64,
}

pub fn render(model: &InferenceModel<'_>, run: &Path, text: &InspectedText, selection: &Selection) -> Result<String> {
    let (shape, spec) = (model.config(), model.cell().spec);
    let all_units = shape.num_layers * shape.hidden_size;
    let quantities = UnitQuantity::all(spec);
    let (mut values, mut properties) = (Vec::new(), Vec::new());
    for quantity in &quantities {
        let recorded = record_activity(model, &text.ids, *quantity)?;
        if *quantity == UnitQuantity::State {
            properties = correlated_units(&recorded, text, shape);
        }
        let layer = |layer: usize| {
            encode_layer(&recorded, all_units, layer * shape.hidden_size..(layer + 1) * shape.hidden_size)
        };
        values.push((0..shape.num_layers).map(layer).collect());
    }
    let info =
        |quantity: &UnitQuantity| json!({ "name": quantity.name(spec), "is_gate": quantity.is_sigmoid_gate(spec) });
    let page = InspectPage {
        run: run.display().to_string(),
        source: &text.source,
        text: text.chars.iter().collect(),
        cell: spec.name,
        layers: shape.num_layers,
        hidden: shape.hidden_size,
        initial: initial_view(selection, &quantities, &properties),
        quantities: quantities.iter().map(info).collect(),
        values,
        properties,
    };
    html_page::fill(TEMPLATE, &page)
}

fn correlated_units(values: &[f32], text: &InspectedText, shape: &ModelConfig) -> Vec<PropertyUnits> {
    let unit = |(index, r): (usize, f64)| CorrelatedUnit {
        layer: index / shape.hidden_size,
        unit: index % shape.hidden_size,
        r,
    };
    let ranked = text.rank_units(values, shape, 0..shape.num_layers * shape.hidden_size, LISTED_UNITS).into_iter();
    let properties = ranked.map(|(property, units)| PropertyUnits {
        name: property.name,
        meaning: property.meaning,
        units: units.into_iter().map(unit).collect(),
    });
    properties.collect()
}

fn initial_view(selection: &Selection, quantities: &[UnitQuantity], properties: &[PropertyUnits]) -> Value {
    let mut listed = properties.iter().flat_map(|property| &property.units);
    let first = listed.find(|unit| selection.layer.is_none_or(|layer| layer == unit.layer));
    let (layer, unit) = match (selection.unit, first) {
        (None, Some(first)) => (first.layer, first.unit),
        (unit, _) => (selection.layer.unwrap_or(0), unit.unwrap_or(0)),
    };
    let quantity = quantities.iter().position(|quantity| *quantity == selection.quantity).unwrap_or(0);
    json!({ "layer": layer, "unit": unit, "quantity": quantity })
}

/// Encodes the values of `units`; `values` has shape (T, `all_units`).
fn encode_layer(values: &[f32], all_units: usize, units: Range<usize>) -> LayerValues {
    let mut layer = LayerValues { min: Vec::new(), max: Vec::new(), bytes: String::new() };
    let mut bytes = Vec::new();
    for unit in units {
        let of_unit: Vec<f32> = values[unit..].iter().step_by(all_units).copied().collect();
        let (min, max) = value_range(&of_unit);
        let (from, width) = (f64::from(min), f64::from(max) - f64::from(min));
        bytes.extend(of_unit.iter().map(|x| ((f64::from(*x) - from) / width * 255.0).round() as u8));
        layer.min.push(min);
        layer.max.push(max);
    }
    layer.bytes = BASE64_STANDARD.encode(bytes);
    layer
}

pub fn value_range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), x| (min.min(*x), max.max(*x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_values_relative_to_the_range_of_their_unit() {
        // Two characters of three units, the last of which is not encoded; one is constant.
        let layer = encode_layer(&[-1.0, 5.0, 9.0, 3.0, 5.0, 9.0, 1.0, 5.0, 9.0], 3, 0..2);
        assert_eq!((layer.min, layer.max), (vec![-1.0, 5.0], vec![3.0, 5.0]));
        assert_eq!(BASE64_STANDARD.decode(layer.bytes).unwrap(), [0, 255, 128, 0, 0, 0]);
    }
}
