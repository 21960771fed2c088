//! The results of policy tests as XML that CI systems show.

use std::fmt::Write as _;

use crate::view::policy::test::Results;

/// Renders the report.
pub fn render(results: &Results) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let total = results.passed + results.failed;
    let _ = writeln!(text, "<testsuites name=\"policy\" tests=\"{total}\" failures=\"{}\">", results.failed);
    for folder in &results.folders {
        let failed = folder.tests.iter().filter(|test| !test.passed).count();
        let name = escape(&folder.path.display().to_string());
        let _ = writeln!(text, "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\">", folder.tests.len());
        for test in &folder.tests {
            let file = escape(&test.place.file.display().to_string());
            let title = escape(&test.name);
            let head =
                format!("<testcase name=\"{title}\" classname=\"{name}\" file=\"{file}\" line=\"{}\"", test.place.line);
            if test.passed {
                let _ = writeln!(text, "    {head}/>");
                continue;
            }
            let lines: Vec<String> = test
                .mismatches
                .iter()
                .map(|mismatch| format!("expected: {}\nfound:    {}", mismatch.expected, mismatch.found))
                .collect();
            let message = escape(&format!("expected {}, found {}", test.expected, test.verdict));
            let _ = writeln!(
                text,
                "    {head}>\n      <failure message=\"{message}\">{}</failure>\n    </testcase>",
                escape(&lines.join("\n"))
            );
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// A text in XML; characters that XML cannot hold are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}
