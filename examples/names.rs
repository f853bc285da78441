//! Prints 30,000 made-up names, one per line: a corpus to train a name generator on.
//!
//! ```text
//! cargo run --release --example names > names.txt
//! ```

use std::io::{self, BufWriter, Write};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const ONSETS: [&str; 24] = [
    "b", "br", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "r", "s", "sh", "st", "t", "th",
    "tr", "v", "w",
];
const VOWELS: [&str; 9] = ["a", "e", "i", "o", "u", "ae", "ei", "ia", "ou"];
const CODAS: [&str; 6] = ["l", "m", "n", "nd", "r", "s"];
const SUFFIXES: [&str; 9] = ["", "", "n", "r", "s", "th", "el", "or", "wyn"];

/// A name of one to three syllables.
fn random_name(rng: &mut Xoshiro256PlusPlus) -> String {
    let mut name = String::new();
    for _ in 0..[1, 2, 2, 2, 3][rng.random_range(0..5)] {
        name += ONSETS[rng.random_range(0..ONSETS.len())];
        name += VOWELS[rng.random_range(0..VOWELS.len())];
        if rng.random_bool(0.4) {
            name += CODAS[rng.random_range(0..CODAS.len())];
        }
    }
    name += SUFFIXES[rng.random_range(0..SUFFIXES.len())];
    name[..1].to_uppercase() + &name[1..]
}

fn main() -> io::Result<()> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut out = BufWriter::new(io::stdout().lock());
    (0..30_000).try_for_each(|_| writeln!(out, "{}", random_name(&mut rng)))?;
    out.flush()
}
