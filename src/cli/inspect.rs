//! `charlstm inspect`: the values of a model's units while it reads a text.

use std::path::PathBuf;

use charlstm::analysis::{UnitQuantity, record_activity};
use charlstm::cells::CellSpec;
use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{InferenceModel, ModelConfig};

use super::heatmap::{self, ColorScale, Palette};
use super::inspect_page::{self, Selection, value_range};
use super::inspect_text::InspectedText;
use super::terminal::{Terminal, quoted};
use super::{files, load};

const EXAMPLES: &str = "\
Examples:
  charlstm inspect big                       List units that correlate with quotes, line ends, ...
  charlstm inspect big --layer 2 --unit 17   Show the text colored by one unit
  charlstm inspect big --html units.html     Write an interactive page with all units";

/// Show what individual units of a model respond to
///
/// Without --unit, the units that correlate most with simple properties of the text are listed. With --unit, the text is colored by
/// the value of that unit after each character.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to read; -: standard input [default: the held-out text of the run]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Maximum number of characters to read [default: 2000; 5000 with --html]
    #[arg(long, value_name = "N")]
    pub chars: Option<usize>,
    /// Skip characters that are not in the model's vocabulary
    #[arg(long)]
    pub skip_unknown: bool,
    /// Layer, counted from 1 [default: 1 with --unit, otherwise all layers]
    #[arg(long, value_name = "N")]
    pub layer: Option<usize>,
    /// Unit of the layer, counted from 1
    #[arg(long, value_name = "N")]
    pub unit: Option<usize>,
    /// Show a gate instead of the state: i, f, g, o of an lstm; n, r, z of a gru
    #[arg(long, value_name = "GATE")]
    pub gate: Option<String>,
    /// Write an interactive HTML page that shows every unit
    ///
    /// --layer, --unit and --gate choose what the page shows first.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Maximum number of recorded values; an HTML page has a byte for each.
const MAX_VALUES: usize = 1 << 27;
const DEFAULT_CHARS: usize = 2000;
const DEFAULT_PAGE_CHARS: usize = 5000;
const LISTED_UNITS: usize = 5;

pub fn run(args: &InspectArgs, terminal: &Terminal) -> Result<()> {
    args.html.as_deref().map_or(Ok(()), files::check_writable)?;
    load::start_threads()?;
    let frame = load::open_checkpoint(args.run.as_deref())?;
    let (model, vocab) = load::load_model(&frame, load::MAX_POSITIONS_PER_STREAM)?;
    let (shape, spec) = (model.config(), model.cell().spec);
    let selection = select(args, shape, spec)?;
    let quantities = if args.html.is_some() { UnitQuantity::all(spec).len() } else { 1 };
    let max_chars = max_chars(args, shape.num_layers * shape.hidden_size * quantities)?;
    let text = InspectedText::open(args.text.as_deref(), args.skip_unknown, &frame, &vocab, max_chars, terminal)?;
    let model = InferenceModel::new(&model, Precision::F32);
    if let Some(file) = &args.html {
        let page = inspect_page::render(&model, frame.path(), &text, &selection)?;
        files::write(file, page.as_bytes())?;
        let (chars, megabytes) = (text.ids.len(), page.len() as f64 / 1e6);
        terminal.say(&format!("Page with {chars} characters ({megabytes:.1} MB) written to {}", file.display()));
        return Ok(());
    }
    let values = record_activity(&model, &text.ids, selection.quantity)?;
    match selection.unit {
        Some(unit) => show_unit(&values, unit, &text, &selection, &model, &vocab, terminal),
        None => list_units(&values, &text, &selection, &model, args, terminal),
    }
}

fn select(args: &InspectArgs, shape: &ModelConfig, spec: &CellSpec) -> Result<Selection> {
    let from_one = |setting, number: Option<usize>, max: usize| match number {
        Some(number) if !(1..=max).contains(&number) => {
            Err(Error::out_of_range(setting, number, format!("1 to {max}")))
        }
        number => Ok(number.map(|number| number - 1)),
    };
    Ok(Selection {
        layer: from_one("layer", args.layer, shape.num_layers)?,
        unit: from_one("unit", args.unit, shape.hidden_size)?,
        quantity: args.gate.as_deref().map_or(Ok(UnitQuantity::State), |name| UnitQuantity::find(spec, name))?,
    })
}

/// The number of characters to read if `values` values are recorded for each.
fn max_chars(args: &InspectArgs, values: usize) -> Result<usize> {
    let max = (MAX_VALUES / values).max(1);
    match args.chars {
        Some(chars) if (1..=max).contains(&chars) => Ok(chars),
        Some(chars) => Err(Error::out_of_range("chars", chars, format!("1 to {max} for this model"))),
        None if args.html.is_some() => Ok(DEFAULT_PAGE_CHARS.min(max)),
        None => Ok(DEFAULT_CHARS.min(max)),
    }
}

fn show_unit(
    values: &[f32],
    unit: usize,
    text: &InspectedText,
    selection: &Selection,
    model: &InferenceModel<'_>,
    vocab: &Vocab,
    terminal: &Terminal,
) -> Result<()> {
    let (shape, spec) = (model.config(), model.cell().spec);
    let layer = selection.layer.unwrap_or(0);
    let of_unit = values.iter().skip(layer * shape.hidden_size + unit).step_by(shape.num_layers * shape.hidden_size);
    let values: Vec<f32> = of_unit.copied().collect();
    let (min, max) = value_range(&values);
    let (name, chars, source) = (selection.quantity.name(spec), values.len(), &text.source);
    terminal.say(&format!(
        "{name} of layer {}, unit {}, over {chars} characters of {source}: {min:.3} to {max:.3}",
        layer + 1,
        unit + 1
    ));
    if !terminal.colors_out() {
        return terminal.out(heatmap::table(vocab, &text.ids, &values).as_bytes());
    }
    let (legend, scale) = if selection.quantity.is_sigmoid_gate(spec) {
        ("white: gate closed, green: gate open", ColorScale::Gate)
    } else {
        ("blue: negative, white: zero, red: positive", ColorScale::State)
    };
    terminal.say(legend);
    let symbols = text.ids.iter().map(|id| vocab.symbol(*id));
    let mut colored = heatmap::colored(vocab, symbols.zip(values), Palette::new(scale));
    if !colored.ends_with('\n') {
        colored.push('\n');
    }
    terminal.out(colored.as_bytes())
}

fn list_units(
    values: &[f32],
    text: &InspectedText,
    selection: &Selection,
    model: &InferenceModel<'_>,
    args: &InspectArgs,
    terminal: &Terminal,
) -> Result<()> {
    let (shape, quantity) = (model.config(), selection.quantity.name(model.cell().spec));
    terminal.say(&format!(
        "Units whose {quantity} correlates with a property of the text, over {} characters of {} (layer.unit, Pearson's r)",
        text.ids.len(),
        text.source
    ));
    let layer_and_unit = |index: usize| (index / shape.hidden_size + 1, index % shape.hidden_size + 1);
    let cell = |(index, r): &(usize, f64)| {
        let (layer, unit) = layer_and_unit(*index);
        format!("  {:>6} {r:+.2}", format!("{layer}.{unit}"))
    };
    let units = match selection.layer {
        Some(layer) => layer * shape.hidden_size..(layer + 1) * shape.hidden_size,
        None => 0..shape.num_layers * shape.hidden_size,
    };
    let mut table = String::new();
    let mut best = None;
    for (property, units) in text.rank_units(values, shape, units, LISTED_UNITS) {
        best = best.or(units.first().copied());
        let cells = if units.is_empty() { "       -".into() } else { units.iter().map(cell).collect::<String>() };
        table += &format!("{:14}{cells}\n", property.name);
    }
    terminal.out(table.as_bytes())?;
    if let Some((index, _)) = best {
        let run = args.run.as_deref().map_or(String::new(), |run| format!(" {}", quoted(run)));
        let text = args.text.as_deref().map_or(String::new(), |text| format!(" --text {}", quoted(text)));
        let gate = args.gate.as_deref().map_or(String::new(), |gate| format!(" --gate {gate}"));
        let (layer, unit) = layer_and_unit(index);
        let command = format!("charlstm inspect{run}{text}{gate}");
        terminal
            .say(&format!("To show one: {command} --layer {layer} --unit {unit}; to show all: {command} --html FILE"));
    }
    Ok(())
}
