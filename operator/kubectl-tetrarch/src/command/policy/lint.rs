//! `policy lint`: mistakes in the policies of manifests, found without a cluster.

use std::collections::BTreeMap;

use tetrarch_core::policy::{
    Action, Explanation, Kind, Layer, Level, Owner, Policy, Requirement, Subject, contradictions, effective, explain,
    looser_than_ancestors,
};
use tetrarch_crds::{orchestrator::SigningKey, policy as written};
use tetrarch_plan::parse;

use crate::{
    args::{Format, policy::Lint},
    command::serialized,
    exit::Exit,
    failure::Error,
    inventory::{self, Inventory, Item},
    screen::Screen,
    view::policy::lint::{self, Mistake, Severity},
};

/// Looks for mistakes.
pub fn lint(args: &Lint) -> Result<Exit, Error> {
    let inventory = inventory::from_files(&args.files)?.inventory;
    let mistakes = mistakes(&inventory);
    let mut screen = Screen::stdout();
    let text = match args.format {
        Some(format) => serialized(&mistakes, format == Format::Yaml)?,
        None => lint::render(&mistakes, screen.style()),
    };
    screen.print(&text)?;
    let fails = |mistake: &Mistake| args.strict || mistake.severity == Severity::Error;
    Ok(if mistakes.iter().any(fails) { Exit::Failure } else { Exit::Success })
}

/// One object that declares policies.
struct Declaring<'a> {
    item: &'a Item,
    written: Vec<written::Policy>,
    layer: Layer,
}

/// A governed object with everything that holds for it.
struct Governed {
    chain: Vec<usize>,
    kind: Kind,
    labels: BTreeMap<String, String>,
    rows: Vec<Explanation>,
}

/// Every mistake in the policies, by the place where it stands.
pub fn mistakes(inventory: &Inventory) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let declaring: Vec<Declaring<'_>> =
        inventory.items.iter().filter_map(|item| declaring(item, inventory, &mut mistakes)).collect();
    let governed = governed(inventory, &declaring);
    for (at, own) in declaring.iter().enumerate() {
        let above: Vec<&Layer> =
            ancestors(own.item, inventory, &declaring).iter().map(|at| &declaring[*at].layer).collect();
        let chain: Vec<&Layer> = above.iter().copied().chain([&own.layer]).collect();
        for (index, policy) in own.layer.policies.iter().enumerate() {
            let path = format!("{}[{index}]", parse::policy::PATH);
            for loosening in looser_than_ancestors(&own.layer.owner, policy, &above) {
                let field = format!("{path}.{}", loosening.difference.field());
                mistakes.push(own.mistake(Severity::Error, field, loosening.difference.to_string()));
            }
            for found in contradictions(&own.layer.owner, policy, &chain) {
                let severity = if found.problem.admits_nothing() { Severity::Error } else { Severity::Warning };
                mistakes.push(own.mistake(
                    severity,
                    format!("{path}.{}", found.problem.field()),
                    found.problem.to_string(),
                ));
            }
            idle(own, at, policy, &path, &governed, &mut mistakes);
            repeated(own, index, &above, &mut mistakes);
            if let Some(written) = own.written.get(index) {
                unapprovable(own, policy, written, &path, inventory, &mut mistakes);
            }
        }
    }
    mistakes.sort_by(|a, b| (&a.problem.place, a.severity).cmp(&(&b.problem.place, b.severity)));
    mistakes.dedup();
    without_consequences(mistakes)
}

/// How the message about a value that never decides begins.
const NEVER: &str = "never decides";

/// A value that never decides is told only when nothing else is wrong with it: the other mistake is why.
fn without_consequences(mistakes: Vec<Mistake>) -> Vec<Mistake> {
    let (idle, told): (Vec<_>, Vec<_>) =
        mistakes.into_iter().partition(|mistake| mistake.problem.message.starts_with(NEVER));
    let is_explained = |idle: &Mistake| {
        told.iter().map(|told| &told.problem).any(|told| {
            let within = idle.problem.field.strip_prefix(&told.field);
            told.place.file == idle.problem.place.file
                && within.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    let unexplained: Vec<Mistake> = idle.into_iter().filter(|mistake| !is_explained(mistake)).collect();
    let mut mistakes: Vec<Mistake> = told.into_iter().chain(unexplained).collect();
    mistakes.sort_by(|a, b| (&a.problem.place, a.severity).cmp(&(&b.problem.place, b.severity)));
    mistakes
}

impl Declaring<'_> {
    fn mistake(&self, severity: Severity, field: impl Into<String>, message: impl Into<String>) -> Mistake {
        Mistake { severity, problem: self.item.problem(field, message) }
    }
}

fn declaring<'a>(item: &'a Item, inventory: &Inventory, mistakes: &mut Vec<Mistake>) -> Option<Declaring<'a>> {
    let level = Level::ALL.into_iter().find(|level| level.kind() == item.kind)?;
    let written: Vec<written::Policy> =
        serde_json::from_value(item.value["spec"]["policies"].clone()).unwrap_or_default();
    if written.is_empty() {
        return None;
    }
    let owner = Owner {
        level,
        namespace: Some(item.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        name: item.name.clone(),
        generation: item.value["metadata"]["generation"].as_i64().unwrap_or_default(),
    };
    let keys: Option<Vec<SigningKey>> =
        orchestrator_of(item, inventory).and_then(|root| match &root.value["spec"]["signingKeys"] {
            serde_json::Value::Null => Some(Vec::new()),
            written => serde_json::from_value(written.clone()).ok(),
        });
    let (layer, violations) = parse::policy::layer(owner, &written, keys.as_deref());
    let told = violations
        .into_iter()
        .map(|found| Mistake { severity: Severity::Error, problem: item.problem(found.path, found.message) });
    mistakes.extend(told);
    Some(Declaring { item, written, layer })
}

fn domain_of<'a>(item: &Item, inventory: &'a Inventory) -> Option<&'a Item> {
    let mut domains = inventory.items.iter().filter(|found| found.kind == Kind::Domain);
    match item.kind {
        Kind::Orchestrator => None,
        Kind::Domain => domains.find(|found| found.name == item.name),
        _ => domains.find(|found| found.value["spec"]["namespace"].as_str().unwrap_or(&found.name) == item.namespace),
    }
}

fn orchestrator_of<'a>(item: &'a Item, inventory: &'a Inventory) -> Option<&'a Item> {
    if item.kind == Kind::Orchestrator {
        return Some(item);
    }
    let name = domain_of(item, inventory)?.value["spec"]["orchestratorRef"]["name"].as_str()?;
    inventory.find_exactly(Kind::Orchestrator, "", name)
}

/// Which of those that declare stand above an object, the highest first.
fn ancestors(item: &Item, inventory: &Inventory, declaring: &[Declaring<'_>]) -> Vec<usize> {
    let supervisor =
        item.value["spec"]["supervisorRef"]["name"].as_str().unwrap_or(tetrarch_plan::names::DEFAULT_SUPERVISOR);
    let above = [
        orchestrator_of(item, inventory),
        domain_of(item, inventory),
        inventory.find_exactly(Kind::Supervisor, &item.namespace, supervisor).filter(|_| item.kind > Kind::Supervisor),
    ];
    let above = above.into_iter().flatten().filter(|found| found.key() != item.key());
    above.filter_map(|found| declaring.iter().position(|other| other.item.key() == found.key())).collect()
}

fn governed(inventory: &Inventory, declaring: &[Declaring<'_>]) -> Vec<Governed> {
    let one = |item: &Item| {
        let mut chain = ancestors(item, inventory, declaring);
        chain.extend(declaring.iter().position(|other| other.item.key() == item.key()));
        let labels: BTreeMap<String, String> =
            serde_json::from_value(item.value["metadata"]["labels"].clone()).unwrap_or_default();
        let holds =
            effective(chain.iter().map(|at| &declaring[*at].layer), &Subject { kind: item.kind, labels: &labels });
        Governed { chain, kind: item.kind, rows: explain(&holds), labels }
    };
    inventory.items.iter().filter(|item| item.kind != Kind::Orchestrator).map(one).collect()
}

/// Policies that select nothing, and values that decide nowhere.
fn idle(
    own: &Declaring<'_>,
    at: usize,
    policy: &Policy,
    path: &str,
    governed: &[Governed],
    mistakes: &mut Vec<Mistake>,
) {
    let about_pods = policy.applies_to.has_kind(Kind::Pod);
    let below: Vec<&Governed> = governed.iter().filter(|object| object.chain.contains(&at)).collect();
    let matches =
        |object: &&&Governed| policy.applies_to.matches(&Subject { kind: object.kind, labels: &object.labels });
    let selected: Vec<&&Governed> = below.iter().filter(matches).collect();
    if selected.is_empty() {
        if !below.is_empty() && !about_pods {
            let message = format!(
                "selects none of the {} objects below: change kinds or selector, or remove the policy",
                below.len()
            );
            mistakes.push(own.mistake(Severity::Warning, format!("{path}.appliesTo"), message));
        }
        return;
    }
    if about_pods && below.len() > selected.len() {
        return;
    }
    let fields = policy.limits.keys().map(|limit| format!("limits.{limit}"));
    let fields = fields.chain(policy.allow.keys().map(|allowance| format!("allow.{allowance}")));
    for field in fields {
        let says = selected.iter().flat_map(|object| &object.rows).filter(|row| row.field == field).filter_map(|row| {
            let own_say = row
                .says
                .iter()
                .find(|say| say.origin.owner() == &own.layer.owner && say.origin.policy() == policy.name);
            own_say.map(|say| (say, row))
        });
        let says: Vec<_> = says.collect();
        if says.iter().all(|(say, _)| !say.decides)
            && let Some((_, row)) = says.first()
        {
            let who: Vec<String> = row.deciding().map(ToString::to_string).collect();
            let message =
                format!("{NEVER}: {} is as strict or stricter for every object that it applies to", who.join(" and "));
            mistakes.push(own.mistake(Severity::Warning, format!("{path}.{field}"), message));
        }
    }
}

/// Policies that say what another one of the same object, or of one above, says already.
fn repeated(own: &Declaring<'_>, index: usize, above: &[&Layer], mistakes: &mut Vec<Mistake>) {
    let policy = &own.layer.policies[index];
    let same = |other: &&Policy| {
        Policy { name: String::new(), ..(*other).clone() } == Policy { name: String::new(), ..policy.clone() }
    };
    let before = own.layer.policies[..index]
        .iter()
        .find(same)
        .map(|other| format!("policy {:?} of the same object", other.name));
    let higher = || {
        above.iter().find_map(|layer| {
            layer.policies.iter().find(same).map(|other| format!("policy {:?} of {}", other.name, layer.owner))
        })
    };
    if let Some(other) = before.or_else(higher) {
        let field = format!("{}[{index}]", parse::policy::PATH);
        mistakes.push(own.mistake(Severity::Warning, field, format!("says the same as {other}: remove one of them")));
    }
}

/// Policies that hold objects which nobody who is named may approve.
fn unapprovable(
    own: &Declaring<'_>,
    policy: &Policy,
    written: &written::Policy,
    path: &str,
    inventory: &Inventory,
    mistakes: &mut Vec<Mistake>,
) {
    let holds = policy.action == Action::RequireApproval
        || policy.require.iter().any(|required| matches!(required, Requirement::ApprovalFor(_)));
    let has_approvers =
        |domain: &&Item| domain.value["spec"]["members"]["approvers"].as_array().is_some_and(|list| !list.is_empty());
    let below = |domain: &&Item| match own.item.kind {
        Kind::Orchestrator => orchestrator_of(domain, inventory).is_some_and(|root| root.name == own.item.name),
        _ => domain_of(own.item, inventory).is_some_and(|found| found.name == domain.name),
    };
    let mut domains = inventory.items.iter().filter(|item| item.kind == Kind::Domain).filter(below);
    if holds && written.approvers.is_empty() && domains.any(|domain| !has_approvers(&domain)) {
        let message = "is missing, and a Domain below has no spec.members.approvers: only who has the verb approve can approve, so name somebody";
        mistakes.push(own.mistake(Severity::Warning, format!("{path}.approvers"), message));
    }
}
