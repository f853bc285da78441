//! Parsers of values that several subcommands accept.

use std::str::FromStr;

use charlstm::cells::{CELLS, RegisteredCell};
use charlstm::error::Error;
use charlstm::kernels::Precision;
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The values of `--precision`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WeightPrecision {
    /// As trained
    F32,
    /// Quantized to 8 bits, with a scale per unit
    Int8,
}

impl From<WeightPrecision> for Precision {
    fn from(precision: WeightPrecision) -> Self {
        match precision {
            WeightPrecision::F32 => Precision::F32,
            WeightPrecision::Int8 => Precision::Int8,
        }
    }
}

/// The names of the registered cells.
pub fn cell_names() -> PossibleValuesParser {
    let value = |cell: &RegisteredCell| {
        let spec = cell.spec;
        let aliases = spec.aliases.iter().map(|name| format!("; alias: {name}")).collect::<String>();
        PossibleValue::new(spec.name).aliases(spec.aliases).help(format!("{}{aliases}", spec.summary))
    };
    PossibleValuesParser::new(CELLS.iter().map(value))
}

/// A choice among names that the library defines.
pub fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}
