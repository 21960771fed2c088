//! What holds for an object: each value with who decides it, who else has a say, and whether the object complies.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use tetrarch_core::policy::{Action, Allowance, Explanation, Kind, Limit, Owner, Requirement, Say, Subject, explain};
use tetrarch_plan::admit::{Finding, Index, chain::Chain};

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
    /// For a level: what holds for objects without labels below it, by their kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub below: BTreeMap<Kind, Vec<Explanation>>,
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
    compliance::chain(index, item).map(|chain| of_kind(chain, item.kind, &labels)).unwrap_or_default()
}

/// Every value that holds for objects of a kind with these labels, without those that the kind has no field for.
fn of_kind(chain: &Chain, kind: Kind, labels: &BTreeMap<String, String>) -> Vec<Explanation> {
    let mut rows = explain(&chain.effective(&Subject { kind, labels }));
    // What needs an approval is held, whatever the action of the policy.
    for row in rows.iter_mut().filter(|row| row.field == "require.approvalFor") {
        row.action = Action::RequireApproval;
    }
    rows.retain(|row| {
        let field = |prefix: &str| row.field.strip_prefix(prefix);
        let limit = field("limits.").and_then(|name| Limit::ALL.into_iter().find(|limit| limit.as_str() == name));
        let allowance =
            field("allow.").and_then(|name| Allowance::ALL.into_iter().find(|found| found.as_str() == name));
        let kinds =
            limit.map(Limit::kinds).or_else(|| allowance.map(Allowance::kinds)).or_else(|| match row.field.as_str() {
                "require.imageDigest" | "require.signedBy" => Some(Requirement::ImageDigest.kinds()),
                "require.poolsOnly" => Some(Requirement::PoolsOnly.kinds()),
                _ => None,
            });
        kinds.is_none_or(|kinds| kinds.contains(&kind))
    });
    rows
}

/// What holds for objects without labels below a level, by their kind.
fn below(index: &Index, item: &Item) -> BTreeMap<Kind, Vec<Explanation>> {
    let kinds: &[Kind] = match item.kind {
        Kind::Orchestrator => &[Kind::Domain, Kind::Supervisor, Kind::AgentPool, Kind::Workflow, Kind::Pod],
        Kind::Domain => &[Kind::Supervisor, Kind::AgentPool, Kind::Workflow, Kind::Pod],
        Kind::Supervisor => &[Kind::AgentPool, Kind::Workflow],
        Kind::AgentPool | Kind::Workflow | Kind::Pod => &[],
    };
    let root =
        index.orchestrator(&item.name).filter(|_| item.kind == Kind::Orchestrator).map(|node| node.chain().as_ref());
    let Some(chain) = root.or_else(|| compliance::chain(index, item)) else { return BTreeMap::new() };
    let rows = kinds.iter().map(|kind| (*kind, of_kind(chain, *kind, &BTreeMap::new())));
    rows.filter(|(_, rows)| !rows.is_empty()).collect()
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
        below: below(index, item),
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
    let own: Vec<Shown<'_>> =
        explained.values.iter().map(|row| (&row.explanation, Some((row.complies, row.present.as_deref())))).collect();
    if own.is_empty() && explained.below.is_empty() {
        text.push_str("no policy says anything about it\n");
    } else if !own.is_empty() {
        text.push_str(&tabulate(&own, wide, style));
    }
    for (kind, rows) in &explained.below {
        let _ = writeln!(text, "\n{}", style.paint(Tone::Strong, &format!("for every {kind} below")));
        let rows: Vec<Shown<'_>> = rows.iter().map(|row| (row, None)).collect();
        text.push_str(&tabulate(&rows, wide, style));
    }
    let all: Vec<&Finding> = explained.values.iter().flat_map(|row| &row.findings).chain(&explained.findings).collect();
    if all.is_empty() && explained.kind != Kind::Orchestrator {
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

/// A value, and for an object's own values whether it complies and what it has.
type Shown<'a> = (&'a Explanation, Option<(bool, Option<&'a str>)>);

fn tabulate(shown: &[Shown<'_>], wide: bool, style: Style) -> String {
    let mut rows = Vec::new();
    for (explanation, own) in shown {
        let is_worth = |say: &&Say| wide || say.decides || say.value != explanation.value;
        let mut says: Vec<&Say> = explanation.says.iter().filter(is_worth).collect();
        says.sort_by_key(|say| !say.decides);
        let mut says = says.into_iter();
        let first = says.next().map(|say| say.origin.to_string()).unwrap_or_default();
        let (name, present) = match own {
            Some((complies, present)) => {
                let mark = if *complies { COMPLIES } else { VIOLATES };
                let present = Cell::toned(if *complies { Tone::Plain } else { Tone::Bad }, present.unwrap_or_default());
                (Cell::toned(mark.tone, format!("{} ", mark.icon)), present)
            }
            None => (Cell::from("  "), Cell::default()),
        };
        rows.push(vec![
            name.then(Tone::Plain, explanation.field.clone()),
            Cell::from(explanation.value.clone()),
            Cell::from(explanation.action.to_string()),
            present,
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
    table::render(&["VALUE", "BOUND", "ACTION", "PRESENT", "FROM"], &rows, style)
}
