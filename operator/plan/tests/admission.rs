//! The table of admission: who does what to which object, and what is decided, word by word.
//!
//! The data are in `tests/data/admission`, one folder for each subject: `hierarchy.yaml` is what is there, `cases.yaml` what
//! is tried. The same cases are tried against a real API server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "data that cannot be read fails its test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tetrarch_core::policy::Kind;
use tetrarch_plan::{
    admit::{Index, Manifest, index::Member},
    settings::{Bus, Settings},
    suite::{self, Case, Change, Outcome, Suite},
};

fn folders() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/admission");
    let mut folders: Vec<PathBuf> = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
}

/// What the API server adds: defaults, uid, generation.
fn stored(object: &mut Value, generation: i64) {
    let kind: Kind = object["kind"].as_str().unwrap().parse().unwrap();
    // A spec that cannot be read stays as it is, and the decision says so.
    match Manifest::read(kind, object) {
        Ok(Manifest::Orchestrator(typed)) => object["spec"] = json!(typed.spec),
        Ok(Manifest::Domain(typed)) => object["spec"] = json!(typed.spec),
        Ok(Manifest::Supervisor(typed)) => object["spec"] = json!(typed.spec),
        Ok(Manifest::AgentPool(typed)) => object["spec"] = json!(typed.spec),
        Ok(Manifest::Workflow(typed)) => object["spec"] = json!(typed.spec),
        Ok(Manifest::Pod(_)) | Err(_) => {}
    }
    let uid = format!("{}/{}/{}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]);
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.entry("uid").or_insert(json!(uid.replace('"', "")));
    metadata.insert("generation".to_owned(), json!(generation));
}

fn member(object: &Value) -> Option<Member> {
    let kind: Kind = object["kind"].as_str()?.parse().ok()?;
    match Manifest::read(kind, object).unwrap_or_else(|error| panic!("{object}: {error}")) {
        Manifest::Orchestrator(object) => Some(Member::Orchestrator((*object).into())),
        Manifest::Domain(object) => Some(Member::Domain((*object).into())),
        Manifest::Supervisor(object) => Some(Member::Supervisor((*object).into())),
        Manifest::AgentPool(object) => Some(Member::AgentPool((*object).into())),
        Manifest::Workflow(object) => Some(Member::Workflow((*object).into())),
        Manifest::Pod(_) => None,
    }
}

fn settings() -> Settings {
    Settings {
        operator_namespace: "tetrarch".to_owned(),
        bus: Bus::from_url("nats://tetrarch-nats.tetrarch.svc:4222"),
        supervisor_image: "tetrarch/supervisor:dev".to_owned(),
        sidecar_image: "tetrarch/agent-sidecar:dev".to_owned(),
        image_pull_policy: tetrarch_crds::agent_pool::ImagePullPolicy::IfNotPresent,
        log_filter: "info".to_owned(),
    }
}

struct Folder {
    suite: Suite,
    hierarchy: Vec<Value>,
    index: Index,
}

fn read(folder: &Path) -> Folder {
    let cases = folder.join("cases.yaml");
    let suite: Suite = serde_yaml::from_str(&fs::read_to_string(&cases).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", cases.display()));
    let mut hierarchy = documents(&folder.join("hierarchy.yaml"));
    for object in &mut hierarchy {
        stored(object, 1);
    }
    let index = Index::new(settings().into()).with(hierarchy.iter().filter_map(member));
    Folder { suite, hierarchy, index }
}

fn outcome(folder: &Folder, case: &Case) -> Outcome {
    let change = suite::expand(&folder.suite, case, &folder.hierarchy)
        .unwrap_or_else(|violations| panic!("{}: {violations:?}", case.name));
    let Change { operation, mut old, mut new, user } = change;
    if let Some(old) = &mut old {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
        stored(old, generation);
    }
    if let Some(new) = &mut new {
        let before = old.as_ref().map(|old| (old["metadata"]["generation"].as_i64().unwrap(), &old["spec"]));
        let generation = before.map_or(1, |(before, spec)| before + i64::from(*spec != new["spec"]));
        stored(new, generation);
    }
    let now = case.now.or(folder.suite.now).unwrap_or(Timestamp::UNIX_EPOCH);
    let change = Change { operation, old, new, user };
    suite::judge(&folder.index, &change, &case.can, now).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn every_case_is_decided_word_by_word() {
    let (mut count, mut wrong) = (0, Vec::new());
    for path in folders() {
        let folder = read(&path);
        for case in &folder.suite.tests {
            count += 1;
            let outcome = outcome(&folder, case);
            for mismatch in case.compare(&outcome) {
                let name = path.file_name().unwrap().to_string_lossy();
                wrong.push(format!(
                    "{name}: {}\n  expected {}\n  found    {}",
                    case.name, mismatch.expected, mismatch.found
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 150, "cases went missing: {count}");
}

/// Words that a remedy begins with: what to do instead, or whom to ask.
const REMEDIES: [&str; 22] = [
    "add", "allow", "ask", "change", "create", "delete", "double", "give", "have", "keep", "leave", "let", "look",
    "lower", "name", "raise", "remove", "require", "tell", "try", "use", "write",
];

/// Whether a refusal says, behind its field and behind what is wrong, what would be admitted.
fn names_a_remedy(message: &str) -> bool {
    let behind = message.split(": ").skip(2).flat_map(|part| part.split(", or "));
    behind.filter_map(|part| part.split_whitespace().next()).any(|word| REMEDIES.contains(&word))
}

#[test]
fn every_refusal_is_pinned_word_by_word_and_names_a_remedy() {
    let mut wrong = Vec::new();
    for path in folders() {
        for case in read(&path).suite.tests.iter().filter(|case| case.expect == suite::Expect::Deny) {
            assert!(!case.exact_message.is_empty(), "{}: {}", path.display(), case.name);
            let unhelpful = case.exact_message.0.iter().filter(|message| !names_a_remedy(message));
            wrong.extend(unhelpful.map(|message| format!("{}: {message}", case.name)));
        }
    }
    assert!(wrong.is_empty(), "no remedy is named:\n{}", wrong.join("\n"));
}

#[test]
fn a_refusal_without_a_remedy_is_recognized() {
    assert!(names_a_remedy("spec.replicas: is 9, but the limit is 5: write 5 or less"));
    assert!(!names_a_remedy("spec.replicas: is 9, but the limit is 5"));
    assert!(!names_a_remedy("spec.rules[0]: invalid CEL at column 1: no viable alternative"));
}

#[test]
fn the_table_covers_each_kind_operation_and_outcome() {
    let mut seen = BTreeSet::new();
    for path in folders() {
        let folder = read(&path);
        for case in &folder.suite.tests {
            let change = suite::expand(&folder.suite, case, &folder.hierarchy).unwrap();
            let object = change.new.as_ref().or(change.old.as_ref()).unwrap();
            seen.insert(format!("{} {}", object["kind"].as_str().unwrap(), case.expect));
            seen.insert(format!("{:?} {}", change.operation, case.expect));
        }
    }
    for kind in Kind::ALL {
        for outcome in [suite::Expect::Accept, suite::Expect::Deny] {
            assert!(seen.contains(&format!("{kind} {outcome}")), "no {kind} is tried with the outcome {outcome}");
        }
    }
    let wanted = [
        "Create Accept",
        "Create Deny",
        "Create Hold",
        "Create Warn",
        "Create Audit",
        "Update Accept",
        "Update Deny",
        "Update Hold",
        "Update Warn",
        "Update Audit",
        "Delete Accept",
        "Delete Deny",
        "Scale Accept",
        "Scale Deny",
    ];
    for wanted in wanted {
        assert!(seen.contains(wanted), "nothing is tried with {wanted}: {seen:?}");
    }
}
