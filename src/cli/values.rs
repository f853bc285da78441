//! Parsers of values that several subcommands accept.

use std::str::FromStr;

use charlstm::cells::{CELLS, RegisteredCell};
use charlstm::data::ContextStart;
use charlstm::error::Error;
use charlstm::kernels::Precision;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A choice among values, each with its name and its help.
pub fn choice<T, const N: usize>(
    choices: [(&'static str, &'static str, T); N],
) -> impl TypedValueParser<Value = T> + use<T, N>
where
    T: Copy + Send + Sync + 'static,
{
    let parser = PossibleValuesParser::new(choices.map(|(name, help, _)| PossibleValue::new(name).help(help)));
    parser.try_map(move |given| {
        choices.iter().find(|(name, ..)| *name == given).map(|(.., value)| *value).ok_or("not a possible value")
    })
}

pub fn precisions() -> impl TypedValueParser<Value = Precision> {
    choice([
        ("f32", "As trained", Precision::F32),
        ("int8", "Quantized to 8 bits, with a scale per unit", Precision::Int8),
    ])
}

pub fn context_starts() -> impl TypedValueParser<Value = ContextStart> {
    choice([
        ("newline", "After a line end; in a model of records, at the start of a record", ContextStart::Newline),
        ("none", "After nothing", ContextStart::None),
    ])
}

pub fn cell_names() -> PossibleValuesParser {
    let value = |cell: &RegisteredCell| {
        let spec = cell.spec;
        let aliases = spec.aliases.iter().map(|name| format!("; alias: {name}")).collect::<String>();
        PossibleValue::new(spec.name).aliases(spec.aliases).help(format!("{}{aliases}", spec.summary))
    };
    PossibleValuesParser::new(CELLS.iter().map(value))
}

/// A choice among names that the library parses.
pub fn name_in<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}
