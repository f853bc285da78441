//! The built-in text is what data/README.md says of it.

use std::collections::HashMap;

use charlstm::data::BUILT_IN;

/// Each fable as title, tale and moral, the tale's lines joined.
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
    assert!(BUILT_IN.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "plain ASCII");
    assert!(BUILT_IN.lines().all(|line| line.len() <= 72 && line == line.trim_end()));
    let fables = fables();
    assert!(fables.len() >= 100);
    for (title, tale, moral) in fables {
        assert!(
            title.starts_with("THE ") && !title.contains(char::is_lowercase) && title.lines().count() == 1,
            "{title}"
        );
        assert!(moral.starts_with("Moral: ") && moral.len() > 20, "{title}: {moral}");
        assert!(tale.len() > 400, "{title}");
    }
}

#[test]
fn no_span_over_sixty_characters_occurs_twice() {
    const SPAN: usize = 61;
    let mut seen = HashMap::new();
    for (title, tale, moral) in fables() {
        for text in [&tale, &moral] {
            for start in 0..text.len().saturating_sub(SPAN - 1) {
                let span = text[start..start + SPAN].to_owned();
                if let Some(before) = seen.insert(span.clone(), title) {
                    panic!("in \"{before}\" and \"{title}\": {span}");
                }
            }
        }
    }
    assert!(seen.len() > 50_000);
}

#[test]
fn titles_differ() {
    let mut titles: Vec<_> = fables().into_iter().map(|(title, _, _)| title).collect();
    let count = titles.len();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), count);
}
