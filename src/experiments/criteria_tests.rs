//! Tests the criteria of all tasks at their limits, with stub predictions in place of a model.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::evaluator::{Evaluator, Example};
use super::task::{Check, Task, TaskOptions, TestResult, rng};
use super::{Kind, find};
use crate::data::{Encoding, Vocab};

/// A character that is never correct.
const WRONG: char = '#';

fn task(name: &str) -> Box<dyn Task> {
    let Kind::Task { task, .. } = find(name).unwrap().kind else { panic!("{name}") };
    task(&TaskOptions::default()).unwrap()
}

/// The result of a full test of stub predictions.
fn test(name: &str, stub: impl Fn(&Example, usize) -> Vec<(char, f32)> + Sync) -> TestResult {
    let vocab = Vocab::new(Encoding::Utf8, (10..127).chain(0x4e00..0x4e00 + 100));
    task(name).test(&Evaluator::of_stub(&stub, &vocab), &mut rng("judges", 1), Check::Full)
}

/// The result of predictions that are wrong at the first `errors` positions that `may_fail` selects.
fn test_with_errors(name: &str, errors: usize, may_fail: impl Fn(&Example, usize) -> bool + Sync) -> TestResult {
    let failed = AtomicUsize::new(0);
    test(name, |example, at| {
        let is_wrong = may_fail(example, at) && failed.fetch_add(1, Ordering::Relaxed) < errors;
        vec![(if is_wrong { WRONG } else { example.chars[at] }, 0.9)]
    })
}

#[test]
fn one_error_more_than_allowed_fails() {
    let anywhere = |_: &Example, _: usize| true;
    for (name, allowed) in [("reber", 0), ("order", 3), ("order3", 3), ("timing", 0), ("parity", 0), ("lag", 0)] {
        let result = test_with_errors(name, allowed, anywhere);
        assert!(result.passed, "{name}: {allowed} wrong: {}", result.measured);
        let result = test_with_errors(name, allowed + 1, anywhere);
        assert!(!result.passed, "{name}: {} wrong: {}", allowed + 1, result.measured);
    }
}

#[test]
fn arithmetic_requires_95_percent_of_sums_and_differences_only() {
    let is_first_of_answer =
        |example: &Example, at: usize| example.chars[at - 1] == '=' && !example.chars.contains(&'*');
    assert!(test_with_errors("arithmetic", 50, is_first_of_answer).passed);
    assert!(!test_with_errors("arithmetic", 51, is_first_of_answer).passed);
    let result = test_with_errors("arithmetic", usize::MAX, |example, _| example.chars.contains(&'*'));
    assert!(result.passed && result.measured.contains("0 of 100 products"), "{}", result.measured);
}

#[test]
fn lag_requires_a_probability_above_four_fifths() {
    for (probability, passed) in [(0.81, true), (0.8, false), (0.79, false)] {
        let result = test("lag", |example, at| vec![(example.chars[at], probability)]);
        assert_eq!(result.passed, passed, "{probability}: {}", result.measured);
    }
}

#[test]
fn counting_is_solved_up_to_the_first_error() {
    for (name, required) in [("anbn", 50), ("anbncn", 18)] {
        for (gap, passed) in [(required, false), (required + 1, true)] {
            let is_gap = |example: &Example| example.chars.iter().filter(|c| **c == 'a').count() == gap;
            let result = test(name, |example, at| vec![(if is_gap(example) { WRONG } else { example.chars[at] }, 0.9)]);
            assert_eq!(result.passed, passed, "{name} {gap}: {}", result.measured);
            assert!(result.measured.ends_with(&format!("to {}", gap - 1)), "{}", result.measured);
        }
    }
}

#[test]
fn continual_reber_requires_the_entropy_and_no_illegal_prediction() {
    let asked = AtomicUsize::new(0);
    let fair = |example: &Example, at: usize, of_two: f32| -> Vec<(char, f32)> {
        let allowed = &example.allowed[at];
        let probability = if allowed.len() == 1 { 1.0 } else { of_two };
        allowed.chars().map(|c| (c, probability)).collect()
    };
    assert!(test("continual-reber", |example, at| fair(example, at, 0.5)).passed);
    // Seven of twelve characters are choices: an excess of 0.006 nats each adds up to 0.0035 per character, 0.012 to 0.007.
    assert!(test("continual-reber", |example, at| fair(example, at, 0.497)).passed);
    assert!(!test("continual-reber", |example, at| fair(example, at, 0.494)).passed);
    let once_illegal = test("continual-reber", |example, at| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        let rest = fair(example, at, 0.5);
        if first { vec![(WRONG, 0.6), (example.chars[at], 0.4)] } else { rest }
    });
    assert!(!once_illegal.passed, "{}", once_illegal.measured);
}
