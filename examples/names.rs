//! Prints 30,000 made-up names, a line each, to try a name generator on.
//!
//! ```text
//! cargo run --release --example names > names.txt
//! ```

use std::io::{self, BufWriter, Write};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const BEGINNINGS: [&str; 24] = [
    "b", "br", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "r", "s", "sh", "st", "t", "th",
    "tr", "v", "w",
];
const VOWELS: [&str; 9] = ["a", "e", "i", "o", "u", "ae", "ei", "ia", "ou"];
const MIDDLES: [&str; 6] = ["l", "m", "n", "nd", "r", "s"];
const ENDS: [&str; 9] = ["", "", "n", "r", "s", "th", "el", "or", "wyn"];

/// A name of one to three syllables.
fn name(rng: &mut Xoshiro256PlusPlus) -> String {
    let mut name = String::new();
    for _ in 0..[1, 2, 2, 2, 3][rng.random_range(0..5)] {
        name += BEGINNINGS[rng.random_range(0..BEGINNINGS.len())];
        name += VOWELS[rng.random_range(0..VOWELS.len())];
        if rng.random_bool(0.4) {
            name += MIDDLES[rng.random_range(0..MIDDLES.len())];
        }
    }
    name += ENDS[rng.random_range(0..ENDS.len())];
    name[..1].to_uppercase() + &name[1..]
}

fn main() -> io::Result<()> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut out = BufWriter::new(io::stdout().lock());
    (0..30_000).try_for_each(|_| writeln!(out, "{}", name(&mut rng)))?;
    out.flush()
}
