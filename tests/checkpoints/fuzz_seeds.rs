//! Runs each fuzz target on its seeds.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_fuzz_seed_passes_its_target() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let folders: BTreeSet<PathBuf> = inside(&seeds).into_iter().collect();
    assert_eq!(
        folders,
        fuzz::TARGETS.iter().map(|(name, _)| seeds.join(name)).collect(),
        "fuzz/seeds must have one folder per target"
    );
    for (name, check) in fuzz::TARGETS {
        let files = inside(&seeds.join(name));
        assert!(files.len() > 2, "{name} has too few seeds");
        for file in files {
            println!("{}", file.display());
            check(&fs::read(&file).unwrap());
        }
    }
}
