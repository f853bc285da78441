//! The page of `charlstm inspect --html` in a browser.

use crate::browser::Browser;
use crate::harness::{TestDir, prose};
use serde_json::Value;

/// The held-out text: quotes, capitals, and a tag that would end a script.
fn tale() -> String {
    format!("\"Why?\" said the Fox.\n</script><b>old</b> & new \u{1}\n\n{}", prose(150))
}

/// A directory with `page.html` of a model with two layers.
fn with_page() -> TestDir {
    let dir = TestDir::empty();
    dir.write("text.txt", tale().repeat(8));
    dir.write("tale.txt", tale());
    let small = "--layers 2 --hidden 12 --batch 2 --seq-len 8 --threads 1 --steps 40";
    dir.run(&format!("train text.txt --name run --val-file tale.txt {small}")).succeeds();
    dir.run("inspect run --html page.html").succeeds();
    dir
}

const COLORS: &str =
    "return [...document.querySelectorAll('#text span')].map(c => getComputedStyle(c).backgroundColor)";

/// The values of the displayed unit, read by hovering over each character.
fn values(browser: &Browser) -> Vec<f64> {
    let read = browser.script(
        "return [...document.querySelectorAll('#text span')].map(c => {
            c.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
            return document.getElementById('readout').textContent;
        })",
    );
    let number = |text: &str| text.rsplit_once(' ').unwrap().1.replace('\u{2212}', "-").parse().unwrap();
    read.as_array().unwrap().iter().map(|text| number(text.as_str().unwrap())).collect()
}

/// The layer, unit and quantity that the page shows.
fn shown(browser: &Browser) -> Value {
    browser.script(
        "return [document.getElementById('layer').value, document.getElementById('unit').value,
            document.querySelector('#quantities [aria-pressed=true]').textContent]",
    )
}

#[test]
fn page_shows_any_unit_without_network_requests() {
    let Some(browser) = Browser::start() else { return };
    let dir = with_page();
    let address = browser.open(&dir.path("page.html"));

    let text = browser.script("return document.getElementById('text').textContent");
    assert_eq!(text, tale().replace('\u{1}', "\u{2401}"));
    let first = browser.script(COLORS);
    let mut different: Vec<String> = first.as_array().unwrap().iter().map(Value::to_string).collect();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 10, "{different:?}");

    browser.click("#next");
    assert_ne!(browser.script(COLORS), first, "the colors must differ between units");
    browser.click("#previous");
    assert_eq!(browser.script(COLORS), first);
    browser.click("#quantities button:nth-child(3)");
    assert_eq!(shown(&browser)[2], "f");
    assert_ne!(browser.script(COLORS), first, "the colors must differ between quantities");

    // The last property is outside the visible area, so the click must scroll to it.
    browser.script("[...document.querySelectorAll('#properties button')].at(-1).id = 'last'");
    let unit = browser
        .script("return [...['layer', 'unit'].map(x => `${+document.getElementById('last').dataset[x] + 1}`), 'c']");
    browser.click("#last");
    assert_eq!(shown(&browser), unit);
    assert_eq!(browser.script("return document.getElementById('last').getAttribute('aria-pressed')"), "true");

    assert_eq!(browser.console(), Vec::<Value>::new());
    let requests = browser.requests();
    assert!(!requests.is_empty() && requests.iter().all(|request| *request == address), "{requests:?}");
}

#[test]
fn page_opens_the_requested_unit_with_exact_values() {
    let Some(browser) = Browser::start() else { return };
    let dir = with_page();
    let mut listed = Vec::new();
    for (args, expected) in
        [("--layer 2 --unit 5", ["2", "5", "c"]), ("--layer 1 --unit 12 --gate o", ["1", "12", "o"])]
    {
        dir.run(&format!("inspect run {args} --html page.html")).succeeds();
        browser.open(&dir.path("page.html"));
        assert_eq!(shown(&browser), Value::from(expected.to_vec()));
        listed.push(browser.script("return document.getElementById('properties').textContent"));
        let table = dir.stdout(&format!("inspect run {args} -q"));
        let table: Vec<f64> = table.lines().map(|line| line.rsplit_once('\t').unwrap().1.parse().unwrap()).collect();
        let page = values(&browser);
        assert_eq!(page.len(), table.len());
        let (low, high) = table.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
        let off = page.iter().zip(&table).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        assert!(off <= (high - low) / 510.0 + 0.0006, "{args}: {off} of {low} to {high}");
    }
    assert_eq!(listed[0], listed[1], "the list must not depend on the requested unit");
    assert!(["1.", "2."].iter().all(|layer| listed[0].as_str().unwrap().contains(layer)), "{listed:?}");
}
