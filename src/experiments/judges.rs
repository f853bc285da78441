//! The criteria, held to their bounds by a subject that knows every answer but some.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{EXPERIMENTS, Kind, Look, Sample, Subject, Task, Variant, Verdict, rng};
use crate::data::{Encoding, Vocab};

/// A character that is never right.
const WRONG: char = '#';

fn task(name: &str) -> Box<dyn Task> {
    let Kind::Task { task, .. } = EXPERIMENTS.iter().find(|e| e.name == name).unwrap().kind else { panic!("{name}") };
    task(&Variant::default()).unwrap()
}

/// The verdict of a test over one who answers so.
fn test(name: &str, answers: impl Fn(&Sample, usize) -> Vec<(char, f32)> + Sync) -> Verdict {
    let vocab = Vocab::new(Encoding::Utf8, (10..127).chain(0x4e00..0x4e00 + 100));
    task(name).judge(&Subject::of_answers(&answers, &vocab), &mut rng("judges", 1), Look::Test)
}

/// The verdict over one who is wrong in the first `wrong` places of which `counts` is true.
fn knows_all_but(name: &str, wrong: usize, counts: impl Fn(&Sample, usize) -> bool + Sync) -> Verdict {
    let asked = AtomicUsize::new(0);
    test(name, |sample, at| {
        let is_wrong = counts(sample, at) && asked.fetch_add(1, Ordering::Relaxed) < wrong;
        vec![(if is_wrong { WRONG } else { sample.chars[at] }, 0.9)]
    })
}

#[test]
fn one_wrong_answer_too_many_does_not_pass() {
    let anywhere = |_: &Sample, _: usize| true;
    for (name, most) in [("reber", 0), ("order", 3), ("order3", 3), ("timing", 0), ("parity", 0), ("lag", 0)] {
        let verdict = knows_all_but(name, most, anywhere);
        assert!(verdict.passed, "{name}: {most} wrong: {}", verdict.measured);
        let verdict = knows_all_but(name, most + 1, anywhere);
        assert!(!verdict.passed, "{name}: {} wrong: {}", most + 1, verdict.measured);
    }
}

#[test]
fn nineteen_of_twenty_sums_and_differences_must_be_right_whatever_becomes_of_products() {
    // The first character of an answer.
    let of_new = |sample: &Sample, at: usize| sample.chars[at - 1] == '=' && !sample.chars.contains(&'*');
    assert!(knows_all_but("arithmetic", 50, of_new).passed);
    assert!(!knows_all_but("arithmetic", 51, of_new).passed);
    let verdict = knows_all_but("arithmetic", usize::MAX, |sample, _| sample.chars.contains(&'*'));
    assert!(verdict.passed && verdict.measured.contains("0 of 100 products"), "{}", verdict.measured);
}

#[test]
fn a_symbol_is_remembered_where_its_probability_is_over_four_fifths() {
    for (probability, passed) in [(0.81, true), (0.8, false), (0.79, false)] {
        let verdict = test("lag", |sample, at| vec![(sample.chars[at], probability)]);
        assert_eq!(verdict.passed, passed, "{probability}: {}", verdict.measured);
    }
}

#[test]
fn counting_is_known_up_to_the_first_gap() {
    for (name, wanted) in [("anbn", 50), ("anbncn", 18)] {
        for (gap, passed) in [(wanted, false), (wanted + 1, true)] {
            let of_gap = |sample: &Sample| sample.chars.iter().filter(|c| **c == 'a').count() == gap;
            let verdict = test(name, |sample, at| vec![(if of_gap(sample) { WRONG } else { sample.chars[at] }, 0.9)]);
            assert_eq!(verdict.passed, passed, "{name} {gap}: {}", verdict.measured);
            assert!(verdict.measured.ends_with(&format!("to {}", gap - 1)), "{}", verdict.measured);
        }
    }
}

#[test]
fn continual_strings_are_judged_by_their_entropy_and_by_illegal_predictions() {
    let asked = AtomicUsize::new(0);
    let fair = |sample: &Sample, at: usize, of_two: f32| -> Vec<(char, f32)> {
        let allowed = &sample.allowed[at];
        let probability = if allowed.len() == 1 { 1.0 } else { of_two };
        allowed.chars().map(|c| (c, probability)).collect()
    };
    assert!(test("continual-reber", |sample, at| fair(sample, at, 0.5)).passed);
    // Seven of twelve characters are chosen: 0.006 nats each are 0.0035 in all, 0.012 are 0.007.
    assert!(test("continual-reber", |sample, at| fair(sample, at, 0.497)).passed);
    assert!(!test("continual-reber", |sample, at| fair(sample, at, 0.494)).passed);
    let once_illegal = test("continual-reber", |sample, at| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        let rest = fair(sample, at, 0.5);
        if first { vec![(WRONG, 0.6), (sample.chars[at], 0.4)] } else { rest }
    });
    assert!(!once_illegal.passed, "{}", once_illegal.measured);
}
