//! Checks that the built-in text matches its description in data/README.md.

use std::collections::{HashMap, HashSet};

use charlstm::data::BUILT_IN;

/// The title, tale and moral of each fable, with lines joined.
fn fables() -> Vec<(&'static str, String, String)> {
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fable = |text: &'static str| {
        let (title, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let (tale, moral) = rest.rsplit_once("\n\n").unwrap_or((rest, ""));
        (title, joined(tale), joined(moral))
    };
    BUILT_IN.trim_end().split("\n\n\n").map(fable).collect()
}

#[test]
fn every_fable_has_a_title_a_tale_and_a_moral() {
    assert!((80_000..=120_000).contains(&BUILT_IN.len()), "{} bytes", BUILT_IN.len());
    assert!(BUILT_IN.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "not ASCII");
    assert!(BUILT_IN.lines().all(|line| line.len() <= 72 && line == line.trim_end()));
    let titles: HashSet<&str> = fables().into_iter().map(|(title, ..)| title).collect();
    assert!(titles.len() >= 100 && titles.len() == fables().len(), "two fables have the same title");
    for (title, tale, moral) in fables() {
        assert!(title.starts_with("THE ") && !title.contains(char::is_lowercase), "{title}");
        assert!(moral.starts_with("Moral: ") && moral.len() > 20 && tale.len() > 400, "{title}: {moral}");
    }
}

#[test]
fn no_span_over_sixty_characters_occurs_twice() {
    let mut seen = HashMap::new();
    for (title, tale, moral) in fables() {
        for span in [tale, moral].iter().flat_map(|text| text.as_bytes().windows(61)) {
            let before = seen.insert(span.to_owned(), title);
            assert_eq!(before, None, "also in \"{title}\": {}", span.escape_ascii());
        }
    }
    assert!(seen.len() > 50_000);
}
