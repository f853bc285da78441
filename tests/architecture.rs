//! The house rule: a room knows only the rooms above it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// The rooms that each room may use, itself aside.
const RULES: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("kernels", &["error"]),
    ("params", &["error", "kernels"]),
    ("cells", &["error", "kernels", "params"]),
    ("layers", &["error", "kernels", "params", "cells"]),
    ("model", &["error", "kernels", "params", "cells", "layers"]),
    ("data", &["error"]),
    ("optim", &["error", "kernels"]),
    ("checkpoint", &["error", "kernels", "params", "cells", "layers", "model", "data"]),
    ("sample", &["error", "kernels", "params", "cells", "layers", "model", "data"]),
    ("score", &["error", "kernels", "params", "cells", "layers", "model", "data"]),
    (
        "train",
        &["error", "kernels", "params", "cells", "layers", "model", "data", "optim", "checkpoint", "sample", "score"],
    ),
    (
        "experiments",
        &[
            "error",
            "kernels",
            "params",
            "cells",
            "layers",
            "model",
            "data",
            "optim",
            "checkpoint",
            "sample",
            "score",
            "train",
        ],
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every room that a source text names as `crate::ROOM`, its tests left out.
fn uses(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let name = |rest: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split("crate::").skip(1).map(name).collect::<Vec<_>>()).collect()
}

#[test]
fn rooms_know_only_the_rooms_above_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut checked, mut wrong) = (0, Vec::new());
    for file in files {
        let place = file.strip_prefix(&root).unwrap();
        let first = place.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "main", "cli"].contains(&first) {
            continue;
        }
        let (_, allowed) =
            RULES.iter().find(|(room, _)| *room == first).unwrap_or_else(|| panic!("{first} has no rule"));
        let text = std::fs::read_to_string(&file).unwrap();
        for used in uses(&text) {
            checked += 1;
            if used != first && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", place.display()));
            }
        }
    }
    assert!(checked > 50, "the test has lost sight of the sources");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_kernels_and_the_memory_map_are_unsafe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let is_unsafe = |file: &&PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().filter(|line| !line.trim_start().starts_with("//")).any(is_unsafe_line)
    };
    for file in files.iter().filter(is_unsafe) {
        let place = file.strip_prefix(&root).unwrap();
        assert!(place.starts_with("kernels") || place == Path::new("data/map.rs"), "{}", place.display());
    }
}

fn is_unsafe_line(line: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
}
