//! What waits for an approval: which object, why, and who may approve it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::Value;
use tetrarch_core::policy::{Kind, Level};
use tetrarch_plan::{
    admit::approval::{self, Held, HeldBy, Standing},
    names,
};

use crate::{
    inventory::{Inventory, Item},
    view::{
        style::{Mark, Style, Tone},
        table::{self, Cell},
    },
};

/// One object that waits.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The generation that waits.
    pub generation: i64,
    /// Why.
    pub findings: Vec<String>,
    /// Who may approve it.
    pub approvers: Vec<String>,
    /// What was said when it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

/// Everything that waits, in one namespace or in all; what has no namespace always counts.
pub fn waiting(inventory: &Inventory, namespace: Option<&str>) -> Vec<Waiting> {
    let here = |item: &&Item| item.namespace.is_empty() || namespace.is_none_or(|wanted| wanted == item.namespace);
    inventory.items.iter().filter(here).filter_map(|item| one(item, inventory)).collect()
}

fn one(item: &Item, inventory: &Inventory) -> Option<Waiting> {
    let metadata: ObjectMeta = serde_json::from_value(item.value["metadata"].clone()).ok()?;
    let Standing::Held(held) = approval::standing(&metadata) else { return None };
    let said = |name: &str| metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned();
    let generation = said(names::ANNOTATION_REJECT).filter(|text| *text == held.generation.to_string());
    Some(Waiting {
        kind: item.kind,
        namespace: item.namespace.clone(),
        name: item.name.clone(),
        generation: held.generation,
        approvers: approvers(&held, item, inventory),
        findings: held.findings,
        rejected: generation.and_then(|_| said(names::ANNOTATION_REJECT_REASON)),
    })
}

/// Those of the policies that hold it, else those of the Domain, else whoever has the verb.
fn approvers(held: &Held, item: &Item, inventory: &Inventory) -> Vec<String> {
    let of_policies = held.policies.iter().flat_map(|by| of_policy(by, item, inventory));
    let mut found: Vec<String> = of_policies.collect();
    if found.is_empty() {
        let domains = inventory.items.iter().filter(|other| other.kind == Kind::Domain);
        let domain = domains.filter(|domain| namespace_of(domain) == item.namespace);
        found = domain.flat_map(|domain| subjects(&domain.value["spec"]["members"]["approvers"])).collect();
    }
    if found.is_empty() {
        let plural = format!("{}s.{}", item.kind.as_str().to_lowercase(), tetrarch_crds::GROUP);
        found.push(format!("whoever has the verb approve on {plural}"));
    }
    found.sort();
    found.dedup();
    found
}

fn of_policy(by: &HeldBy, item: &Item, inventory: &Inventory) -> Vec<String> {
    let namespace = if matches!(by.level, Level::Orchestrator | Level::Domain) { "" } else { item.namespace.as_str() };
    let owner = inventory.find_exactly(by.level.kind(), namespace, &by.name);
    let policies = owner.and_then(|owner| owner.value["spec"]["policies"].as_array());
    let policy = policies.into_iter().flatten().find(|policy| policy["name"] == *by.policy);
    policy.map(|policy| subjects(&policy["approvers"])).unwrap_or_default()
}

fn namespace_of(domain: &Item) -> &str {
    domain.value["spec"]["namespace"].as_str().unwrap_or(&domain.name)
}

fn subjects(list: &Value) -> Vec<String> {
    let text = |subject: &Value| {
        let (kind, name) = (subject["kind"].as_str()?, subject["name"].as_str()?);
        Some(match subject["namespace"].as_str() {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        })
    };
    list.as_array().into_iter().flatten().filter_map(text).collect()
}

const WAITS: Mark = Mark { icon: '◷', tone: Tone::Busy };
const REJECTED: Mark = Mark { icon: '✖', tone: Tone::Bad };

/// Renders what waits.
pub fn render(waiting: &[Waiting], style: Style) -> String {
    if waiting.is_empty() {
        return "nothing waits for an approval here; look in all namespaces with -A\n".to_owned();
    }
    let headings = ["KIND", "NAME", "GENERATION", "APPROVERS", "WHY"];
    let mut rows = Vec::new();
    for object in waiting {
        let mark = if object.rejected.is_some() { REJECTED } else { WAITS };
        let path = if object.namespace.is_empty() {
            object.name.clone()
        } else {
            format!("{}/{}", object.namespace, object.name)
        };
        let mut why = object.findings.clone();
        why.extend(object.rejected.iter().map(|reason| format!("rejected: {reason}")));
        let mut whys = why.into_iter();
        rows.push(vec![
            Cell::toned(mark.tone, format!("{} ", mark.icon)).then(Tone::Plain, object.kind.as_str()),
            Cell::from(path),
            Cell::from(object.generation.to_string()),
            Cell::from(object.approvers.join(", ")),
            Cell::from(whys.next().unwrap_or_default()),
        ]);
        for more in whys {
            let empty = Cell::default;
            rows.push(vec![empty(), empty(), empty(), empty(), Cell::from(more)]);
        }
    }
    table::render(&headings, &rows, style)
}
