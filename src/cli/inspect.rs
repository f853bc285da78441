//! `charlstm inspect`: what the units of a net hold while it reads.

use std::ops::Range;
use std::path::{Path, PathBuf};

use charlstm::analysis::{TEXT_PROPERTIES, TextProperty, UnitQuantity, pearson, record_activity, strongest};
use charlstm::cells::CellSpec;
use charlstm::checkpoint::Frame;
use charlstm::data::{Corpus, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{InferenceModel, ModelConfig};
use charlstm::run::RUNS;
use charlstm::run::find::find;

use super::args::InspectArgs;
use super::paint::{Meaning, Palette};
use super::terminal::{Terminal, quoted};
use super::{eval, files, inspect_page, load, paint};

/// Values that are recorded at most, of all characters and units; a page holds a byte for each.
const MOST_VALUES: usize = 1 << 27;
/// Characters by default: in the terminal, on a page.
const CHARS: [usize; 2] = [2000, 5000];
/// Units that are listed for a property in the terminal.
const LISTED: usize = 5;

/// What is to be seen. Layers and units count from 0.
pub struct Choice {
    pub layer: Option<usize>,
    pub unit: Option<usize>,
    pub quantity: UnitQuantity,
}

impl Choice {
    fn new(args: &InspectArgs, shape: &ModelConfig, spec: &CellSpec) -> Result<Self> {
        let quantity = args.gate.as_deref().map_or(Ok(UnitQuantity::State), |name| UnitQuantity::find(spec, name))?;
        Ok(Choice {
            layer: args.layer.map(|layer| counted("--layer", layer, shape.layers)).transpose()?,
            unit: args.unit.map(|unit| counted("--unit", unit, shape.hidden)).transpose()?,
            quantity,
        })
    }
}

/// A number that counts from 1, counted from 0.
fn counted(name: &str, number: usize, most: usize) -> Result<usize> {
    let allowed = (1..=most).contains(&number).then(|| number - 1);
    allowed.ok_or_else(|| Error::Usage(format!("{name} must be 1 to {most}, not {number}")))
}

/// What a net reads.
pub struct Text {
    /// What the text is called.
    pub name: String,
    pub ids: Vec<u32>,
    pub chars: Vec<char>,
}

pub fn run(args: &InspectArgs, terminal: &Terminal) -> Result<()> {
    args.html.as_deref().map_or(Ok(()), files::check_writable)?;
    load::start_threads()?;
    let path = find(args.run.as_deref(), Path::new(RUNS))?.model();
    let frame = Frame::read(&path)?;
    let (model, vocab) = load::load_model(&frame, load::POSITIONS_OF_ONE_STREAM)?;
    let (shape, spec) = (model.config(), model.cell().spec);
    let choice = Choice::new(args, shape, spec)?;
    let quantities = if args.html.is_some() { UnitQuantity::all(spec).len() } else { 1 };
    let most = most_chars(args, shape.layers * shape.hidden * quantities)?;
    let text = text(args, &frame, &vocab, most, terminal)?;
    let model = InferenceModel::new(&model, Precision::F32);
    if let Some(file) = &args.html {
        let page = inspect_page::page(&model, &path, &text, &choice)?;
        files::write(file, page.as_bytes())?;
        let (chars, megabytes) = (text.ids.len(), page.len() as f64 / 1e6);
        terminal.say(&format!("{chars} characters on a page of {megabytes:.1} MB: {}", file.display()));
        return Ok(());
    }
    let values = record_activity(&model, &text.ids, choice.quantity)?;
    match choice.unit {
        Some(unit) => show(&values, unit, &text, &choice, &model, &vocab, terminal),
        None => list(&values, &text, &choice, &model, args, terminal),
    }
}

/// Characters to read at most; `values` are recorded for each.
fn most_chars(args: &InspectArgs, values: usize) -> Result<usize> {
    let most = (MOST_VALUES / values).max(1);
    match args.chars {
        Some(chars) if (1..=most).contains(&chars) => Ok(chars),
        Some(chars) => Err(Error::Usage(format!("--chars must be 1 to {most} for this net, not {chars}"))),
        None => Ok(CHARS[usize::from(args.html.is_some())].min(most)),
    }
}

/// The text that is asked for, `most` characters of it at most.
fn text(args: &InspectArgs, frame: &Frame, vocab: &Vocab, most: usize, terminal: &Terminal) -> Result<Text> {
    let read = |corpus: &Corpus, part: Range<usize>, name: String| {
        let ids = read(corpus, part, vocab, most, args.skip_unknown, terminal)?;
        let chars = ids.iter().map(|id| vocab.display_char(vocab.symbol(*id))).collect();
        Ok(Text { name, ids, chars })
    };
    match &args.text {
        Some(path) => {
            let corpus = open(path, vocab)?;
            read(&corpus, 0..corpus.chars(), corpus.name().display().to_string())
        }
        None => {
            let texts = eval::own_texts(frame)?;
            let (corpus, part) = eval::held_out(&texts)?;
            read(corpus, part, format!("the held-out text of {}", corpus.name().display()))
        }
    }
}

fn open(path: &PathBuf, vocab: &Vocab) -> Result<Corpus> {
    if !files::is_stdin(path) {
        return Corpus::open(std::slice::from_ref(path), vocab.encoding());
    }
    let (name, text) = files::read(path)?;
    Corpus::from_text(&name.display().to_string(), text, vocab.encoding())
}

/// The ids of the first `most` characters of a part; what the model does not know is left out or refused.
fn read(
    corpus: &Corpus,
    part: Range<usize>,
    vocab: &Vocab,
    most: usize,
    skip_unknown: bool,
    terminal: &Terminal,
) -> Result<Vec<u32>> {
    let (mut cursor, mut ids, mut unknown) = (corpus.cursor(part.start), Vec::new(), 0);
    for at in part {
        let Some(symbol) = cursor.next(corpus).filter(|_| ids.len() < most) else { break };
        match vocab.id(symbol) {
            Some(id) => ids.push(id),
            None if skip_unknown => unknown += 1,
            None => {
                let (what, which) = (vocab.describe(symbol), at + 1);
                let problem = format!(
                    "the model has never seen {what}, which is character {which}; leave out what it does not know with --skip-unknown"
                );
                return Err(Error::corpus(corpus.name(), problem));
            }
        }
    }
    corpus.check_not_truncated()?;
    if ids.is_empty() {
        return Err(Error::corpus(corpus.name(), "the model has never seen any of its characters"));
    }
    if unknown > 0 {
        terminal.say(&format!("characters left out because the model has never seen them: {unknown}"));
    }
    Ok(ids)
}

/// The text, coloured by a unit; without colours a table.
fn show(
    values: &[f32],
    unit: usize,
    text: &Text,
    choice: &Choice,
    model: &InferenceModel<'_>,
    vocab: &Vocab,
    terminal: &Terminal,
) -> Result<()> {
    let (shape, spec) = (model.config(), model.cell().spec);
    let layer = choice.layer.unwrap_or(0);
    let of_unit = values.iter().skip(layer * shape.hidden + unit).step_by(shape.layers * shape.hidden);
    let values: Vec<f32> = of_unit.copied().collect();
    let (low, high) = range(&values);
    let opens = choice.quantity.is_sigmoid_gate(spec);
    terminal.say(&format!(
        "{} of layer {}, unit {} over {} characters of {}: {low:.3} to {high:.3}",
        choice.quantity.name(spec),
        layer + 1,
        unit + 1,
        values.len(),
        text.name
    ));
    if !terminal.colors_out() {
        return terminal.out(paint::table(vocab, &text.ids, &values).as_bytes());
    }
    terminal.say(if opens { "white is closed, green open" } else { "blue is negative, white nothing, red positive" });
    let palette = Palette::new(if opens { Meaning::Gate } else { Meaning::State });
    let symbols = text.ids.iter().map(|id| vocab.symbol(*id));
    let mut colored = paint::colored(vocab, symbols.zip(values), palette);
    if !colored.ends_with('\n') {
        colored.push('\n');
    }
    terminal.out(colored.as_bytes())
}

/// The least and the greatest of some values.
pub fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)))
}

/// For every property those of some units that go with it most, and their correlations; none where the text does not vary in it.
pub fn ranked(
    values: &[f32],
    text: &Text,
    shape: &ModelConfig,
    units: Range<usize>,
    most: usize,
) -> Vec<(&'static TextProperty, Vec<(usize, f64)>)> {
    let of = |property: &'static TextProperty| {
        let r = pearson(values, shape.layers * shape.hidden, &property.of(&text.chars));
        let best = strongest(&r[units.clone()], most).into_iter().map(|unit| unit + units.start);
        (property, best.map(|unit| (unit, r[unit])).collect())
    };
    TEXT_PROPERTIES.iter().map(of).collect()
}

/// The units that go with each property.
fn list(
    values: &[f32],
    text: &Text,
    choice: &Choice,
    model: &InferenceModel<'_>,
    args: &InspectArgs,
    terminal: &Terminal,
) -> Result<()> {
    let (shape, name) = (model.config(), choice.quantity.name(model.cell().spec));
    terminal.say(&format!(
        "units whose {name} goes with something simple, over {} characters of {}: layer.unit and Pearson's r",
        text.ids.len(),
        text.name
    ));
    let place = |unit: usize| (unit / shape.hidden + 1, unit % shape.hidden + 1);
    let unit = |(unit, r): &(usize, f64)| {
        let (layer, unit) = place(*unit);
        format!("  {:>6} {r:+.2}", format!("{layer}.{unit}"))
    };
    let units = match choice.layer {
        Some(layer) => layer * shape.hidden..(layer + 1) * shape.hidden,
        None => 0..shape.layers * shape.hidden,
    };
    let ranked = ranked(values, text, shape, units, LISTED);
    let line = |(property, best): &(&TextProperty, Vec<(usize, f64)>)| {
        let units = if best.is_empty() { "       -".into() } else { best.iter().map(unit).collect::<String>() };
        format!("{:14}{units}\n", property.name)
    };
    terminal.out(ranked.iter().map(line).collect::<String>().as_bytes())?;
    if let Some((unit, _)) = ranked.iter().find_map(|(_, best)| best.first()) {
        let run = args.run.as_deref().map_or(String::new(), |run| format!(" {}", quoted(run)));
        let text = args.text.as_deref().map_or(String::new(), |text| format!(" --text {}", quoted(text)));
        let gate = args.gate.as_deref().map_or(String::new(), |gate| format!(" --gate {gate}"));
        let (layer, unit) = place(*unit);
        let see = format!("charlstm inspect{run}{text}{gate} --layer {layer} --unit {unit}");
        terminal.say(&format!("see one with: {see}, all with --html FILE"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::args::{ColorWhen, Common};
    use super::*;
    use charlstm::data::Encoding;

    /// Elsewhere than on Unix a file that is mapped cannot be cut.
    #[cfg(unix)]
    #[test]
    fn zeros_in_the_place_of_what_was_cut_off_are_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7; 300]).unwrap();
        let text = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        let (vocab, common) =
            (Vocab::new(Encoding::Bytes, [0, 7]), Common { quiet: true, verbose: false, color: ColorWhen::Never });
        let ids = || read(&text, 0..300, &vocab, 1000, false, &Terminal::new(&common));
        assert_eq!(ids().unwrap().len(), 300);
        file.as_file().set_len(290).unwrap();
        assert!(matches!(ids(), Err(Error::Changed { .. })));
    }
}
