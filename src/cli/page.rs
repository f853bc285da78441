//! Pages for a browser: a template with data in it, one file that needs no other.

use charlstm::error::{Error, Result};
use serde::Serialize;

/// Where the data goes in a template, between `<script type="application/json">` and its end.
const DATA: &str = "{{data}}";

/// The template with the data in it as JSON. No `<` of the data ends the script that it stands in.
///
/// # Errors
/// [`Error::Internal`], which would be a defect.
pub fn fill(template: &str, data: &impl Serialize) -> Result<String> {
    let defect = |problem: String| Error::Internal(format!("the page: {problem}"));
    let (before, after) = template.split_once(DATA).ok_or_else(|| defect(format!("no place for {DATA}")))?;
    let json = serde_json::to_string(data).map_err(|e| defect(e.to_string()))?;
    Ok([before, &json.replace('<', "\\u003c"), after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_gets_out_of_the_data() {
        let text = "</script><script>alert(1)</script> <!-- {{data}} \\ \" \u{e9}";
        let page = fill("<script>{{data}}</script>\n", &[text]).unwrap();
        let data = page.strip_prefix("<script>").unwrap().strip_suffix("</script>\n").unwrap();
        assert!(!data.contains('<'), "{data}");
        assert_eq!(serde_json::from_str::<Vec<String>>(data).unwrap(), [text]);
        assert!(fill("no place", &1).is_err());
    }
}
