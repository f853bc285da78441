//! A configuration file.

use std::path::Path;

use charlstm::cli::settings::{Settings, parse_choices, write_choices};

use super::told;

pub fn check(bytes: &[u8]) {
    // A file of something else is refused as it is read.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(choices) = told(parse_choices(Path::new("x.toml"), text)) else { return };
    if let Some(settings) = told(Settings::default().choose(&choices)) {
        comes_back(&settings);
    }
}

/// What a run is set to says its `config.toml`, and a run by it is set to the same.
pub fn comes_back(settings: &Settings) {
    // From a checkpoint there may come what no run is set to: other names of a cell, paths that are not whole.
    let Some(settings) = told(Settings::default().choose(&settings.to_choices())) else { return };
    let text = write_choices(&settings.to_choices()).expect("it can be written");
    let choices = parse_choices(Path::new("config.toml"), &text).expect("it was written");
    let again = Settings::default().choose(&choices).expect("it was written");
    assert_eq!(format!("{again:?}"), format!("{settings:?}"));
}
