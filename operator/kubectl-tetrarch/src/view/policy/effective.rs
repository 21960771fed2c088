//! What holds for an object: each value with who decides it, who else has a say, and whether the object complies.

use std::fmt::Write as _;

use serde::Serialize;
use tetrarch_core::policy::{Explanation, Kind, Owner, Subject};
use tetrarch_plan::admit::{Finding, Index};

use crate::{
    compliance,
    inventory::Item,
    view::{
        policy::present,
        style::{Mark, Style, Tone},
        table::{self, Cell},
    },
};

/// What holds for an object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
    /// Whether it complies with everything.
    pub complies: bool,
    /// The objects whose policies hold for it, the highest level first.
    pub levels: Vec<Owner>,
    /// Every value that holds.
    pub values: Vec<Row>,
    /// What is wrong with it beside the values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One value that holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The value with everybody who has a say.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// What the object has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<String>,
    /// Whether the object complies with it.
    pub complies: bool,
    /// What is wrong, when it does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Every value that holds for an object.
pub fn values(index: &Index, item: &Item) -> Vec<Explanation> {
    let labels = serde_json::from_value(item.value["metadata"]["labels"].clone()).unwrap_or_default();
    let subject = Subject { kind: item.kind, labels: &labels };
    compliance::chain(index, item)
        .map(|chain| tetrarch_core::policy::explain(&chain.effective(&subject)))
        .unwrap_or_default()
}

/// Explains what holds for an object.
pub fn explained(index: &Index, item: &Item) -> Explained {
    let mut findings = compliance::findings(index, item);
    let complies = findings.is_empty();
    let values = values(index, item).into_iter().map(|explanation| {
        let own = |finding: &mut Finding| present::is_about(&explanation, finding);
        let found: Vec<Finding> = findings.extract_if(.., own).collect();
        Row {
            present: present::value(item, &explanation.field),
            complies: found.is_empty(),
            findings: found,
            explanation,
        }
    });
    let values = values.collect();
    let levels =
        compliance::chain(index, item).map(|chain| chain.layers().iter().map(|layer| layer.owner.clone()).collect());
    Explained {
        kind: item.kind,
        namespace: item.namespace.clone(),
        name: item.name.clone(),
        generation: item.value["metadata"]["generation"].as_i64().unwrap_or_default(),
        complies,
        levels: levels.unwrap_or_default(),
        values,
        findings,
    }
}

const COMPLIES: Mark = Mark { icon: '✔', tone: Tone::Good };
const VIOLATES: Mark = Mark { icon: '✖', tone: Tone::Bad };

/// Renders what holds. A wide table shows everybody who has a say, not only who decides.
pub fn render(explained: &Explained, wide: bool, style: Style) -> String {
    let path = if explained.namespace.is_empty() {
        explained.name.clone()
    } else {
        format!("{}/{}", explained.namespace, explained.name)
    };
    let mut text = String::new();
    let title = format!("{} {path} (generation {})", explained.kind, explained.generation);
    let _ = writeln!(text, "{}", style.paint(Tone::Strong, &title));
    let levels: Vec<String> = explained.levels.iter().map(ToString::to_string).collect();
    let levels = if levels.is_empty() { "none".to_owned() } else { levels.join(" > ") };
    let _ = writeln!(text, "policies of: {levels}\n");
    let mut rows = Vec::new();
    for row in &explained.values {
        let mark = if row.complies { COMPLIES } else { VIOLATES };
        let explanation = &row.explanation;
        let mut says: Vec<_> =
            explanation.says.iter().filter(|say| wide || say.decides || say.value != explanation.value).collect();
        says.sort_by_key(|say| !say.decides);
        let mut says = says.into_iter();
        let first = says.next().map(|say| say.origin.to_string()).unwrap_or_default();
        rows.push(vec![
            Cell::toned(mark.tone, format!("{} ", mark.icon)).then(Tone::Plain, explanation.field.clone()),
            Cell::from(explanation.value.clone()),
            Cell::from(explanation.action.to_string()),
            Cell::toned(if row.complies { Tone::Plain } else { Tone::Bad }, row.present.clone().unwrap_or_default()),
            Cell::from(first),
        ]);
        for say in says {
            let note = if say.decides { "" } else { "also: " };
            rows.push(vec![
                Cell::default(),
                Cell::toned(Tone::Faint, say.value.clone()),
                Cell::toned(Tone::Faint, say.action.to_string()),
                Cell::default(),
                Cell::toned(Tone::Faint, format!("{note}{}", say.origin)),
            ]);
        }
    }
    if rows.is_empty() {
        text.push_str("no policy says anything about it\n");
    } else {
        text.push_str(&table::render(&["VALUE", "BOUND", "ACTION", "PRESENT", "FROM"], &rows, style));
    }
    let all: Vec<&Finding> = explained.values.iter().flat_map(|row| &row.findings).chain(&explained.findings).collect();
    if all.is_empty() {
        let _ = writeln!(text, "\n{}", style.paint(Tone::Good, "it complies"));
    }
    for finding in all {
        let _ = write!(text, "\n{} {finding}", style.paint(Tone::Bad, &format!("✖ {}:", finding.action)));
    }
    if !explained.complies {
        text.push('\n');
    }
    text
}
