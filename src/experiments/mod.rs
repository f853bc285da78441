//! What the papers claim, to be run again: each experiment makes its text from a seed, trains a model by the trainer that everyone
//! uses, and asks of fresh strings what the paper asks.
//!
//! A [`Task`] makes samples and judges; it knows nothing of training. A [`Study`] compares many nets in one table. To add one of
//! either: a file, and a line in [`EXPERIMENTS`].

mod arithmetic;
mod counting;
mod finding;
mod flow;
mod guess;
#[cfg(test)]
mod judges;
mod lag;
mod odyssey;
mod order;
mod parity;
mod rates;
mod reber;
mod sample;
mod study;
mod subject;
mod timing;
mod trial;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use xxhash_rust::xxh3::xxh3_64;

pub use finding::{Chart, Figure, Finding};
pub use sample::{Sample, Training};
pub use study::{Notes, Study};
pub use subject::Subject;
pub use trial::{Report, Setup, Trial, training, trial};

use crate::error::{Error, Result};
use crate::model::Scheme;

/// The generator that all text is made with.
pub type Rng = Xoshiro256PlusPlus;

/// A generator of its own for every purpose of every seed: the strings of a test are drawn apart from those of the text. Where
/// there are so few strings that both would meet, see [`Task::is_kept_back`].
pub fn rng(purpose: &str, seed: u64) -> Rng {
    Rng::seed_from_u64(xxh3_64(format!("{purpose} {seed}").as_bytes()))
}

/// How closely a task looks at a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// On the way, to see whether it is worth a test.
    Glance,
    /// The paper's own test.
    Test,
}

/// What a task finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether the criterion is met.
    pub passed: bool,
    /// The figure that the paper reports, of this model, in words.
    pub measured: String,
}

/// What can be asked of a task, beside the setup of the net.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// The cell, where one is chosen.
    pub cell: Option<String>,
    /// Distractors of `lag`.
    pub q: Option<usize>,
    /// The noisy form of `lag`.
    pub noise: bool,
    /// Digits of `arithmetic`, bits of `parity`.
    pub size: Option<usize>,
}

impl Variant {
    /// How weights begin: small at random, as the papers have them, for the cell that they report as failing.
    fn scheme(&self, failing: &str) -> Scheme {
        if self.cell.as_deref() == Some(failing) { Scheme::Uniform } else { Scheme::Orthogonal }
    }
}

/// A text to learn from, and a criterion that stands apart from how it is learned.
pub trait Task: Sync {
    /// A string of the task, drawn anew.
    fn draw(&self, rng: &mut Rng) -> Sample;

    /// Some strings of the task.
    fn draws(&self, rng: &mut Rng, n: usize) -> Vec<Sample> {
        (0..n).map(|_| self.draw(rng)).collect()
    }

    /// Whether a string stays out of the text, so that a test can ask for what was never seen.
    fn is_kept_back(&self, _: &Sample) -> bool {
        false
    }

    /// How strings follow each other in the text.
    fn training(&self) -> Training;

    /// Judges a model by fresh strings.
    fn judge(&self, subject: &Subject<'_>, rng: &mut Rng, look: Look) -> Verdict;
}

/// An experiment of a paper.
pub struct Experiment {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is learned.
    pub summary: &'static str,
    /// When it passes.
    pub criterion: &'static str,
    /// What the paper reports.
    pub published: &'static str,
    /// What can be chosen, by the names on the command line, beside what all of its kind take: see [`takes`](Self::takes).
    pub also: &'static [&'static str],
    /// How it is run.
    pub kind: Kind,
}

/// What can be chosen for every experiment, by the names on the command line.
pub const OF_ALL: [&str; 3] = ["--cell", "--steps", "--seed"];
/// What can be chosen for every task beside.
pub const OF_TASKS: [&str; 7] = ["--seeds", "--hidden", "--lr", "--init", "--forget-bias", "--weight-decay", "--write"];

impl Experiment {
    /// All that can be chosen.
    pub fn choices(&self) -> Vec<&'static str> {
        let of_kind: &[_] = if matches!(self.kind, Kind::Task { .. }) { &OF_TASKS } else { &[] };
        [&OF_ALL, of_kind, self.also].concat()
    }

    /// Whether that can be chosen.
    pub fn takes(&self, choice: &str) -> bool {
        self.choices().contains(&choice)
    }

    /// What is asked of a task, with the experiment's own figure where it takes one and none is given.
    pub fn settled(&self, asked: &Variant) -> Variant {
        let size = match self.name {
            "arithmetic" => Some(3),
            "parity" => Some(16),
            _ => None,
        };
        Variant { q: asked.q.or(self.takes("--q").then_some(lag::Q)), size: asked.size.or(size), ..asked.clone() }
    }
}

/// Compares nets; what is found on the way is told line by line.
pub type Compare = fn(&Study, &mut dyn FnMut(&str)) -> Result<Finding>;

/// How an experiment is run.
pub enum Kind {
    /// A net learns from strings and is judged by fresh ones, seed by seed.
    Task {
        /// The net and its training by default.
        setup: fn(&Variant) -> Setup,
        /// What it learns, and when it has.
        task: fn(&Variant) -> Result<Box<dyn Task>>,
    },
    /// Many nets make one table.
    Study(Compare),
}

impl std::fmt::Debug for Experiment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Experiment").field(&self.name).finish()
    }
}

/// Every experiment there is.
pub static EXPERIMENTS: &[Experiment] = &[
    reber::REBER,
    reber::CONTINUAL,
    lag::LAG,
    order::ORDER,
    order::ORDER3,
    counting::ANBN,
    counting::ANBNCN,
    timing::TIMING,
    arithmetic::ARITHMETIC,
    parity::PARITY,
    flow::GRADIENT_FLOW,
    guess::GUESS,
    odyssey::ODYSSEY,
    rates::LEARNING_RATE,
];

/// The experiment of that name.
///
/// # Errors
/// [`Error::Usage`] naming those there are.
pub fn find(name: &str) -> Result<&'static Experiment> {
    EXPERIMENTS.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let names: Vec<_> = EXPERIMENTS.iter().map(|experiment| experiment.name).collect();
        Error::unknown_name("experiment", name, &names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_and_seed_has_numbers_of_its_own() {
        use rand::RngExt;
        let first = |purpose, seed| rng(purpose, seed).random::<u64>();
        assert_eq!(first("test", 1), first("test", 1));
        assert_ne!(first("test", 1), first("train", 1));
        assert_ne!(first("test", 1), first("test", 2));
    }

    #[test]
    fn samples_fit_their_windows_and_say_what_is_allowed() {
        for experiment in EXPERIMENTS {
            let Kind::Task { setup, task } = experiment.kind else { continue };
            let (task, setup) = (task(&Variant::default()).unwrap(), setup(&Variant::default()));
            let mut rng = rng("samples", 1);
            for _ in 0..200 {
                let sample = task.draw(&mut rng);
                assert_eq!(sample.chars.len(), sample.allowed.len(), "{}", experiment.name);
                for (c, allowed) in sample.chars.iter().zip(&sample.allowed) {
                    assert!(allowed.is_empty() || allowed.contains(*c), "{}: {c} of {allowed:?}", experiment.name);
                }
                if task.training() == Training::Windows {
                    assert!(sample.chars.len() <= setup.seq_len, "{}: {}", experiment.name, sample.chars.len());
                }
            }
        }
    }

    #[test]
    fn what_is_settled_is_what_is_there_by_default() {
        for experiment in EXPERIMENTS {
            let Kind::Task { setup, task } = experiment.kind else { continue };
            let (open, settled) = (Variant::default(), experiment.settled(&Variant::default()));
            assert_eq!(settled.size.is_some(), experiment.takes("--size"), "{}", experiment.name);
            assert_eq!(settled.q.is_some(), experiment.takes("--q"), "{}", experiment.name);
            assert_eq!(setup(&open), setup(&settled), "{}", experiment.name);
            let strings = |variant| task(variant).unwrap().draws(&mut rng("settled", 1), 200);
            assert_eq!(strings(&open), strings(&settled), "{}", experiment.name);
        }
    }

    /// Strings of a task as text.
    fn strings(name: &str) -> Vec<String> {
        let Kind::Task { task, .. } = find(name).unwrap().kind else { panic!("{name} is no task") };
        let task = task(&Variant::default()).unwrap();
        task.draws(&mut rng("strings", 2), 300).into_iter().map(|sample| sample.chars.into_iter().collect()).collect()
    }

    #[test]
    fn the_last_symbol_of_a_lag_is_its_second() {
        for text in strings("lag") {
            let chars: Vec<char> = text.chars().collect();
            let [first, symbol, between @ .., end, last] = &chars[..] else { panic!("{text}") };
            assert!(*first == 'b' && *end == 'e' && symbol == last && between.len() >= 100, "{text}");
            assert!("xy".contains(*symbol) && !between.iter().any(|c| "xybe".contains(*c)), "{text}");
        }
    }

    #[test]
    fn the_class_says_in_which_order_symbols_stood() {
        for (name, places, classes) in
            [("order", [10..21, 50..61, 0..0], "QRSU"), ("order3", [10..21, 33..44, 66..77], "QRSUVABC")]
        {
            for text in strings(name) {
                let found: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| "XY".contains(*c)).collect();
                let places: Vec<_> = places.iter().filter(|place| !place.is_empty()).collect();
                assert!(
                    found.len() == places.len() && found.iter().zip(&places).all(|(x, place)| place.contains(&x.0)),
                    "{text}"
                );
                let class = found.iter().fold(0, |class, (_, c)| 2 * class + usize::from(*c == 'Y'));
                assert!(text.starts_with('E') && text[..text.len() - 1].ends_with('B'), "{text}");
                assert_eq!(text.chars().last(), classes.chars().nth(class), "{text}");
            }
        }
    }

    #[test]
    fn the_letter_behind_a_mark_says_how_long_it_took() {
        for text in strings("timing") {
            let marks: Vec<usize> = text.match_indices('x').map(|(at, _)| at).collect();
            for pair in marks.windows(2) {
                let letter = if pair[1] - pair[0] == 49 { "s" } else { "l" };
                assert!([49, 50].contains(&(pair[1] - pair[0])) && text[pair[1] + 1..].starts_with(letter), "{text}");
            }
            assert_eq!(marks.len(), 9, "{text}");
        }
    }

    #[test]
    fn parity_is_that_of_the_ones() {
        for text in strings("parity") {
            let (bits, answer) = text.trim_end().split_once('=').unwrap();
            assert_eq!(answer, if bits.matches('1').count() % 2 == 1 { "1" } else { "0" }, "{text}");
        }
    }
}
