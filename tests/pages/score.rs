//! The page of `charlstm score --html` in a browser.

use crate::browser::Browser;
use crate::harness::TestDir;
use serde_json::Value;

#[test]
fn page_colors_by_surprisal_and_shows_predictions() {
    let Some(browser) = Browser::start() else { return };
    let dir = TestDir::with_run();
    let text = "the fox met a crow\n</script><b>\u{3b1} old\n";
    dir.write("other.txt", text);
    let rows = dir.run("score run other.txt --unit char --jsonl --html page.html").succeeds().0;
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let address = browser.open(&dir.path("page.html"));

    assert_eq!(browser.script("return document.getElementById('text').textContent"), text);
    let heat = browser.script(
        "return [...document.querySelectorAll('#text span')].map(c =>
            parseFloat((getComputedStyle(c).backgroundColor.match(/[\\d.]+\\)$/) || ['0'])[0]))",
    );
    for (heat, row) in heat.as_array().unwrap().iter().zip(&rows) {
        let Some(bits) = row["bits"].as_f64() else { continue };
        // An opaque color has no alpha value.
        let expected = (bits / 8.0).min(1.0);
        assert!(expected == 1.0 || (heat.as_f64().unwrap() - expected).abs() < 0.01, "{heat} {row}");
    }
    let tip = |at: usize| {
        let hover = format!(
            "document.querySelectorAll('#text span')[{at}].dispatchEvent(new MouseEvent('mouseover', {{ bubbles: true }}));
             return [document.getElementById('tip').hidden, document.getElementById('tip').textContent,
                 document.querySelectorAll('#tip tr').length]"
        );
        browser.script(&hover)
    };
    let known = tip(5);
    assert_eq!((&known[0], &known[2]), (&Value::from(false), &Value::from(5)), "{known}");
    let bits = format!("{:.2} bits", rows[5]["bits"].as_f64().unwrap());
    assert!(known[1].as_str().unwrap().contains(&bits) && known[1].as_str().unwrap().contains('%'), "{known}");
    assert!(tip(0)[1].as_str().unwrap().contains(" bits"), "the first character follows a line end");
    let unknown = text.chars().position(|c| c == '\u{3b1}').unwrap();
    assert_eq!(tip(unknown)[2], 0, "an unknown character has no predictions");
    assert_eq!(browser.console(), Vec::<Value>::new());
    assert_eq!(browser.requests(), [address]);
}

#[test]
fn heat_map_does_not_change_the_text() {
    let dir = TestDir::with_run();
    let text = "the fox met a crow\nthe old \u{3b1}\n";
    dir.write("other.txt", text);
    let (heat, stderr) = dir.run("score run other.txt --heat --color always").succeeds();
    assert!(stderr.contains("8 bits"), "{stderr}");
    let mut plain = heat.clone();
    while let Some(begin) = plain.find('\u{1b}') {
        let end = begin + plain[begin..].find('m').unwrap();
        plain.replace_range(begin..=end, "");
    }
    assert_eq!(plain, text);
    assert!(heat.matches("\u{1b}[").count() > 20, "{heat}");
    dir.run("score run other.txt --heat --color never").fails(2, &["--color always"]);
}
