//! Self-contained HTML pages: a template with embedded data.

use charlstm::error::{Error, Result};
use serde::Serialize;

/// The placeholder for the data, inside a `<script type="application/json">` element.
const DATA: &str = "{{data}}";

/// Inserts the data into the template as JSON. Each `<` in it is escaped, so that it cannot end the script element.
pub fn fill(template: &str, data: &impl Serialize) -> Result<String> {
    let defect = |problem: String| Error::Internal(format!("HTML page: {problem}"));
    let (before, after) = template.split_once(DATA).ok_or_else(|| defect(format!("no {DATA} in the template")))?;
    let json = serde_json::to_string(data).map_err(|e| defect(e.to_string()))?;
    Ok([before, &json.replace('<', "\\u003c"), after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_script_element() {
        let text = "</script><script>alert(1)</script> <!-- {{data}} \\ \" \u{e9}";
        let page = fill("<script>{{data}}</script>\n", &[text]).unwrap();
        let data = page.strip_prefix("<script>").unwrap().strip_suffix("</script>\n").unwrap();
        assert!(!data.contains('<'), "{data}");
        assert_eq!(serde_json::from_str::<Vec<String>>(data).unwrap(), [text]);
        assert!(fill("no place", &1).is_err());
    }
}
