//! What follows for everything below when policies change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use jiff::Timestamp;
use serde::Serialize;
use tetrarch_core::policy::{Action, Explanation};
use tetrarch_plan::{
    admit::{Finding, Index},
    suite::{self, Change, Expect, Operation, Who},
};

use crate::{
    compliance::{self, Consequence},
    inventory::{Inventory, Item},
    manifest::Problem,
    view::{
        policy::effective,
        style::{Style, Tone},
        table::{self, Cell},
    },
};

/// What follows from a change.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// The objects that the change is about.
    pub changed: Vec<Changed>,
    /// Values that hold for some object and become other ones.
    pub values: Vec<ValueChange>,
    /// What the webhook would refuse to write.
    pub refused: Vec<Affected>,
    /// What runs and would no longer comply.
    pub violating: Vec<Affected>,
    /// Of what a number would be held down at run time.
    pub clamped: Vec<Affected>,
    /// What would wait for an approval at its next change.
    pub held: Vec<Affected>,
    /// What somebody would be warned of, or what would be recorded.
    pub noted: Vec<Affected>,
    /// What did not comply and would.
    pub released: Vec<Affected>,
}

/// An object that is new or has another spec.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Kind, namespace and name.
    pub object: String,
    /// The generation that is there; none when the object is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// An object with what is found about it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// Kind, namespace and name.
    pub object: String,
    /// What is found, or was.
    pub findings: Vec<String>,
}

/// A value that becomes another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueChange {
    /// The field of a policy, such as `limits.agents`.
    pub field: String,
    /// What happens to an object that violates it.
    pub action: Action,
    /// The value that holds; none when nothing is said yet.
    pub before: Option<String>,
    /// The value that would hold; none when nothing would be said.
    pub after: Option<String>,
    /// Who would decide it, or who does when nothing would be said any more.
    pub from: Vec<String>,
    /// For which objects.
    pub objects: Vec<String>,
}

impl Impact {
    /// Whether something that works now would not.
    pub fn breaks(&self) -> bool {
        !(self.refused.is_empty() && self.violating.is_empty() && self.clamped.is_empty())
    }
}

fn title(item: &Item) -> String {
    format!("{} {}", item.kind, item.path())
}

/// What follows when one inventory becomes another.
pub fn impact(before: &Inventory, after: &Inventory, now: Timestamp) -> Result<Impact, Vec<Problem>> {
    let (old_index, new_index) = (before.index()?, after.index()?);
    let mut impact = Impact::default();
    let mut values = Values::default();
    for item in &after.items {
        let old = before.find_exactly(item.kind, &item.namespace, &item.name);
        let is_changed = old.is_none_or(|old| old.value["spec"] != item.value["spec"] || labels(old) != labels(item));
        if is_changed {
            let generation = old.and_then(|old| old.value["metadata"]["generation"].as_i64());
            impact.changed.push(Changed { object: title(item), generation });
            if let Some(refused) = refused(&new_index, old, item, now)? {
                impact.refused.push(refused);
                continue;
            }
        }
        if let Some(old) = old {
            values.compare(&title(item), &effective::values(&old_index, old), &effective::values(&new_index, item));
            impact.compare(item, &compliance::findings(&old_index, old), &compliance::findings(&new_index, item));
        }
    }
    impact.values = values.finish();
    Ok(impact)
}

fn labels(item: &Item) -> &serde_json::Value {
    &item.value["metadata"]["labels"]
}

/// How the webhook would refuse the changed object itself.
fn refused(index: &Index, old: Option<&Item>, new: &Item, now: Timestamp) -> Result<Option<Affected>, Vec<Problem>> {
    let change = Change {
        operation: if old.is_some() { Operation::Update } else { Operation::Create },
        old: old.map(|old| old.value.clone()),
        new: Some(new.value.clone()),
        user: Who::default(),
    };
    let mut without = index.clone();
    if old.is_none() {
        let key = tetrarch_plan::admit::index::Key {
            kind: new.kind,
            namespace: new.namespace.clone(),
            name: new.name.clone(),
        };
        without.remove(&key);
    }
    let can = ["update", "approve"].map(str::to_owned);
    let outcome = suite::judge(&without, &change, &can, now).map_err(|message| vec![new.problem("", message)])?;
    Ok((outcome.verdict == Expect::Deny).then(|| Affected { object: title(new), findings: outcome.messages }))
}

impl Impact {
    fn compare(&mut self, item: &Item, before: &[Finding], after: &[Finding]) {
        let same =
            |a: &Finding, b: &Finding| (a.code, &a.field, a.action, &a.value) == (b.code, &b.field, b.action, &b.value);
        let mut new: BTreeMap<Consequence, Vec<String>> = BTreeMap::new();
        for finding in after.iter().filter(|finding| !before.iter().any(|known| same(known, finding))) {
            new.entry(compliance::consequence(finding)).or_default().push(finding.to_string());
        }
        for (consequence, findings) in new {
            let list = match consequence {
                Consequence::Violates => &mut self.violating,
                Consequence::Clamped => &mut self.clamped,
                Consequence::Held => &mut self.held,
                Consequence::Noted => &mut self.noted,
            };
            list.push(Affected { object: title(item), findings });
        }
        let gone = before.iter().filter(|finding| !after.iter().any(|known| same(known, finding)));
        // A bound that only moved is no release.
        let gone = gone
            .filter(|finding| !after.iter().any(|known| (known.code, &known.field) == (finding.code, &finding.field)));
        let findings: Vec<String> = gone.map(ToString::to_string).collect();
        if !findings.is_empty() {
            self.released.push(Affected { object: title(item), findings });
        }
    }
}

/// Changes of values, those that are the same for several objects together.
#[derive(Default)]
struct Values(BTreeMap<ValueChange, Vec<String>>);

impl Values {
    fn compare(&mut self, object: &str, before: &[Explanation], after: &[Explanation]) {
        // Requirements and rules add up: each is a value of its own. Of the others there is one for each action.
        let key = |row: &Explanation| {
            let adds_up = row.field.starts_with("require.") || row.field == "rules";
            (row.field.clone(), row.action, if adds_up { row.value.clone() } else { String::new() })
        };
        let old: BTreeMap<_, &Explanation> = before.iter().map(|row| (key(row), row)).collect();
        let new: BTreeMap<_, &Explanation> = after.iter().map(|row| (key(row), row)).collect();
        for at in old.keys().chain(new.keys().filter(|at| !old.contains_key(*at))) {
            let (was, is) = (old.get(at), new.get(at));
            if was.map(|row| &row.value) == is.map(|row| &row.value) {
                continue;
            }
            let from = is.or(was).map(|row| row.deciding().map(ToString::to_string).collect()).unwrap_or_default();
            let change = ValueChange {
                field: at.0.clone(),
                action: at.1,
                before: was.map(|row| row.value.clone()),
                after: is.map(|row| row.value.clone()),
                from,
                objects: Vec::new(),
            };
            self.0.entry(change).or_default().push(object.to_owned());
        }
    }

    fn finish(self) -> Vec<ValueChange> {
        self.0.into_iter().map(|(change, objects)| ValueChange { objects, ..change }).collect()
    }
}

/// Most objects that a line names.
const NAMED: usize = 2;

/// Renders what follows.
pub fn render(impact: &Impact, style: Style) -> String {
    let mut text = String::new();
    if impact.changed.is_empty() {
        return "nothing would change\n".to_owned();
    }
    for changed in &impact.changed {
        let note = changed
            .generation
            .map_or("is new".to_owned(), |generation| format!("changes, generation {generation} now"));
        let _ = writeln!(text, "{} {note}", style.paint(Tone::Strong, &changed.object));
    }
    if !impact.values.is_empty() {
        let rows: Vec<Vec<Cell>> = impact.values.iter().map(row).collect();
        let headings = ["VALUE", "BEFORE", "AFTER", "ACTION", "OBJECTS", "FROM"];
        let _ = write!(text, "\n{}", table::render(&headings, &rows, style));
    }
    for (list, icon, tone, what) in [
        (&impact.refused, '✖', Tone::Bad, "would be refused"),
        (
            &impact.violating,
            '✖',
            Tone::Bad,
            "would no longer comply: what runs stays, changes are refused until it complies",
        ),
        (&impact.clamped, '⚠', Tone::Warning, "would be held down at run time"),
        (&impact.held, '◷', Tone::Busy, "would wait for an approval at the next change"),
        (&impact.noted, '○', Tone::Faint, "would be warned of or recorded"),
        (&impact.released, '✔', Tone::Good, "would be released"),
    ] {
        section(&mut text, list, &style.paint(tone, &icon.to_string()), what);
    }
    let broken = [&impact.refused, &impact.violating, &impact.clamped];
    let objects: BTreeSet<&str> = broken.into_iter().flatten().map(|affected| affected.object.as_str()).collect();
    let (tone, sum) = match objects.len() {
        0 => (Tone::Good, "nothing would break".to_owned()),
        1 => (Tone::Bad, "1 object would be affected".to_owned()),
        count => (Tone::Bad, format!("{count} objects would be affected")),
    };
    let _ = writeln!(text, "\n{}", style.paint(tone, &sum));
    text
}

fn row(change: &ValueChange) -> Vec<Cell> {
    let named: Vec<&str> = change.objects.iter().take(NAMED).map(String::as_str).collect();
    let more = change.objects.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let side = |value: &Option<String>| Cell::from(value.clone().unwrap_or_else(|| "-".to_owned()));
    vec![
        Cell::from(change.field.clone()),
        side(&change.before),
        side(&change.after),
        Cell::from(change.action.to_string()),
        Cell::from(format!("{}{more}", named.join(", "))),
        Cell::toned(Tone::Faint, change.from.join(" and ")),
    ]
}

fn section(text: &mut String, list: &[Affected], icon: &str, what: &str) {
    if list.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{icon} {what} ({}):", list.len());
    for affected in list {
        let _ = writeln!(text, "  {}", affected.object);
        for finding in &affected.findings {
            let _ = writeln!(text, "    {finding}");
        }
    }
}
