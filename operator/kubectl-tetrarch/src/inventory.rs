//! All objects of a hierarchy, from files or from the cluster, as the API server stores them.

mod members;

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};
use tetrarch_core::policy::Kind;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};
use tetrarch_plan::suite;

use crate::{
    args::policy::Object,
    cluster::{self, Cluster, Scope},
    failure::Error,
    manifest::{
        Problem,
        read::{self, Document},
        schema,
    },
};

pub use members::normal;

/// One object.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for the kinds of the whole cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object, with the defaults of its schema.
    pub value: Value,
    /// Where it was read; missing when it comes from a cluster.
    pub source: Option<Document>,
}

/// Objects, each once.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The objects, by level and then as they were read.
    pub items: Vec<Item>,
}

/// What files hold: objects, and the documents with tests.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The objects.
    pub inventory: Inventory,
    /// The documents of the kind `PolicyTests`.
    pub tests: Vec<Document>,
}

/// Reads files and folders. Documents of kinds that policies do not govern are left out.
pub fn from_files(paths: &[PathBuf]) -> Result<Files, Vec<Problem>> {
    let mut files = Files::default();
    let mut problems = Vec::new();
    for document in read::documents(paths)? {
        if document.kind() == suite::KIND {
            files.tests.push(document);
            continue;
        }
        let Ok(kind) = document.kind().parse::<Kind>() else { continue };
        match item(kind, document) {
            Ok(item) => {
                let (document, value) = (item.source.clone(), &item.value);
                match files
                    .inventory
                    .find_exactly(kind, &item.namespace, &item.name)
                    .and_then(|same| same.source.as_ref())
                {
                    Some(same) => problems.extend(document.map(|document| {
                        let message = format!(
                            "{} {:?} stands in {} already: keep one of them",
                            kind,
                            item.name,
                            same.line_of("")
                        );
                        document.problem("metadata.name", message)
                    })),
                    None if value.is_object() => files.inventory.items.push(item),
                    None => {}
                }
            }
            Err(found) => problems.extend(found),
        }
    }
    files.inventory.sort();
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// An object as the API server would store it, or why it would not.
fn item(kind: Kind, document: Document) -> Result<Item, Vec<Problem>> {
    let mut value = document.value.clone();
    let mut misfits = schema::admit(&mut value);
    let is_namespaced = !cluster::is_cluster_wide(kind);
    let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    if is_namespaced && namespace.is_empty() {
        let message = "is missing: write the namespace of the Domain, because files have no current namespace";
        misfits.push(("metadata.namespace".to_owned(), message.to_owned()));
    }
    if !misfits.is_empty() {
        return Err(misfits.into_iter().map(|(field, message)| document.problem(field, message)).collect());
    }
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let metadata = &mut value["metadata"];
    if metadata["generation"].is_null() {
        metadata["generation"] = json!(1);
    }
    if metadata["uid"].is_null() {
        metadata["uid"] = json!(format!("{kind}/{namespace}/{name}"));
    }
    let value = normal(kind, value).map_err(|message| vec![document.problem("spec", message)])?;
    Ok(Item {
        kind,
        namespace: if is_namespaced { namespace } else { String::new() },
        name,
        value,
        source: Some(document),
    })
}

impl Inventory {
    /// Everything in the cluster that belongs to a hierarchy.
    pub async fn of_cluster(cluster: &Cluster) -> Result<Self, Error> {
        let (orchestrators, domains, supervisors, pools, workflows) = tokio::try_join!(
            cluster.list::<Orchestrator>(),
            cluster.list::<Domain>(),
            cluster.list_in::<Supervisor>(Scope::All),
            cluster.list_in::<AgentPool>(Scope::All),
            cluster.list_in::<Workflow>(Scope::All)
        )?;
        let mut inventory = Self::default();
        inventory.add(Kind::Orchestrator, &orchestrators)?;
        inventory.add(Kind::Domain, &domains)?;
        inventory.add(Kind::Supervisor, &supervisors)?;
        inventory.add(Kind::AgentPool, &pools)?;
        inventory.add(Kind::Workflow, &workflows)?;
        Ok(inventory)
    }

    /// What is in the cluster's namespace, for those who may not read the levels above.
    pub async fn of_namespace(cluster: &Cluster) -> Result<Self, Error> {
        let (supervisors, pools, workflows) = tokio::try_join!(
            cluster.list_in::<Supervisor>(Scope::Namespace),
            cluster.list_in::<AgentPool>(Scope::Namespace),
            cluster.list_in::<Workflow>(Scope::Namespace)
        )?;
        let mut inventory = Self::default();
        inventory.add(Kind::Supervisor, &supervisors)?;
        inventory.add(Kind::AgentPool, &pools)?;
        inventory.add(Kind::Workflow, &workflows)?;
        Ok(inventory)
    }

    fn add<K: serde::Serialize + kube::Resource<DynamicType = ()>>(
        &mut self,
        kind: Kind,
        objects: &[K],
    ) -> Result<(), Error> {
        for object in objects {
            let mut value = serde_json::to_value(object).map_err(|error| Error::Format(error.to_string()))?;
            value["apiVersion"] = json!(K::api_version(&()));
            value["kind"] = json!(K::kind(&()));
            let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text("namespace"), text("name"));
            self.items.push(Item { kind, namespace, name, value, source: None });
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.items.sort_by_key(|item| item.kind);
    }

    /// The object with this kind, namespace and name.
    pub fn find_exactly(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.kind == kind && item.namespace == namespace && item.name == name)
    }

    /// The object that a user means. Without a namespace the name alone must be enough.
    pub fn find(&self, object: &Object, namespace: Option<&str>) -> Result<&Item, Error> {
        let namespace = namespace.filter(|_| !cluster::is_cluster_wide(object.kind));
        let same = self.items.iter().filter(|item| item.kind == object.kind && item.name == object.name);
        let found: Vec<&Item> = same.filter(|item| namespace.is_none_or(|wanted| wanted == item.namespace)).collect();
        let (kind, name) = (object.kind, &object.name);
        match found[..] {
            [one] => Ok(one),
            [] => {
                let of_kind = self.items.iter().filter(|item| item.kind == kind);
                let known: Vec<String> = of_kind.map(Item::path).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let place = namespace.map_or(String::new(), |namespace| format!(" in namespace {namespace:?}"));
                Err(Error::Request(format!("there is no {kind} {name:?}{place}: there are {known}")))
            }
            _ => {
                let places: Vec<&str> = found.iter().map(|item| item.namespace.as_str()).collect();
                Err(Error::Request(format!("there is a {kind} {name:?} in {}: add -n", places.join(" and "))))
            }
        }
    }

    /// What there is after other objects were applied: each replaces the spec of the object with its name, or is merged
    /// into it as server-side apply does. The generation goes up where the spec changes.
    #[must_use]
    pub fn after(&self, applied: &Self, merge: bool) -> Self {
        let mut items: BTreeMap<(Kind, String, String), Item> =
            self.items.iter().map(|item| (item.key(), item.clone())).collect();
        for item in &applied.items {
            let Some(known) = items.get_mut(&item.key()) else {
                items.insert(item.key(), item.clone());
                continue;
            };
            let before = known.value["spec"].clone();
            // The document as it was written: with its defaults, a fragment would undo what others have set.
            let written = item.source.as_ref().map_or(&item.value, |source| &source.value);
            if merge {
                crate::manifest::merge::apply(&mut known.value["spec"], &written["spec"]);
            } else {
                known.value["spec"] = item.value["spec"].clone();
            }
            for field in ["labels", "annotations"] {
                if written["metadata"][field].is_object() {
                    crate::manifest::merge::apply(&mut known.value["metadata"][field], &written["metadata"][field]);
                }
            }
            let mut filled = known.value.clone();
            schema::admit(&mut filled);
            // What cannot be read stays as it is, and is told when it is used.
            known.value = normal(item.kind, filled.clone()).unwrap_or(filled);
            if known.value["spec"] != before {
                let generation = known.value["metadata"]["generation"].as_i64().unwrap_or(0);
                known.value["metadata"]["generation"] = json!(generation + 1);
            }
            known.source.clone_from(&item.source);
        }
        let mut after = Self { items: items.into_values().collect() };
        after.sort();
        after
    }
}

impl Item {
    /// A problem of one of its fields.
    pub fn problem(&self, field: impl Into<String>, message: impl Into<String>) -> Problem {
        if let Some(source) = &self.source {
            return source.problem(field, message);
        }
        let object = PathBuf::from(format!("{} {}", self.kind, self.path()));
        Problem { field: field.into(), ..Problem::of_file(&object, message) }
    }

    /// Kind, namespace and name.
    pub fn key(&self) -> (Kind, String, String) {
        (self.kind, self.namespace.clone(), self.name.clone())
    }

    /// The name, behind its namespace when it has one.
    pub fn path(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), text).unwrap();
        let paths = vec![folder.path().to_owned()];
        (folder, paths)
    }

    const ROOT: &str = "apiVersion: tetrarch.dev/v1alpha1\nkind: Orchestrator\nmetadata: {name: acme}\nspec:\n  currency: EUR\n  policies:\n    - {name: a, limits: {agents: 5}}\n";

    #[test]
    fn objects_have_defaults_and_what_is_not_governed_is_left_out() {
        let (_folder, paths) = write(&format!("{ROOT}---\nkind: Kustomization\n---\nreplicaCount: 1\n"));
        let files = from_files(&paths).unwrap();
        assert_eq!(files.inventory.items.len(), 1);
        assert_eq!(files.inventory.items[0].value["spec"]["hierarchy"]["depth"], 4);
        assert_eq!(files.inventory.items[0].value["metadata"]["generation"], 1);
    }

    #[test]
    fn an_object_that_stands_twice_is_told_with_both_places() {
        let (_folder, paths) = write(&format!("{ROOT}---\n{ROOT}"));
        let problems = from_files(&paths).unwrap_err();
        let text = problems[0].to_string();
        assert!(
            text.contains("a.yaml:11: metadata.name: Orchestrator \"acme\" stands in")
                && text.contains("a.yaml:1 already"),
            "{text}"
        );
    }

    #[test]
    fn a_fragment_is_merged_by_the_names_of_its_policies_or_replaces_the_spec() {
        let (_folder, paths) = write(ROOT);
        let before = from_files(&paths).unwrap().inventory;
        let (_other, paths) = write(&ROOT.replace("  currency: EUR\n", "").replace("name: a,", "name: b,"));
        let applied = from_files(&paths).unwrap().inventory;
        let merged = before.after(&applied, true).items.remove(0).value;
        assert_eq!(
            (&merged["spec"]["currency"], merged["spec"]["policies"].as_array().unwrap().len()),
            (&json!("EUR"), 2)
        );
        assert_eq!(merged["metadata"]["generation"], 2);
        let replaced = before.after(&applied, false).items.remove(0).value;
        assert_eq!(
            (&replaced["spec"]["currency"], &replaced["spec"]["policies"][0]["name"]),
            (&json!("USD"), &json!("b"))
        );
        assert_eq!(before.after(&before, false).items[0].value["metadata"]["generation"], 1);
    }

    #[test]
    fn an_object_is_found_by_its_name_alone_when_that_is_enough() {
        let pool = |namespace: &str| {
            format!(
                "---\napiVersion: tetrarch.dev/v1alpha1\nkind: AgentPool\nmetadata: {{name: p, namespace: {namespace}}}\nspec: {{agent: {{image: a}}}}\n"
            )
        };
        let (_folder, paths) = write(&format!("{}{}", pool("one"), pool("two")));
        let inventory = from_files(&paths).unwrap().inventory;
        let object = Object { kind: Kind::AgentPool, name: "p".to_owned() };
        assert_eq!(inventory.find(&object, Some("two")).unwrap().namespace, "two");
        assert!(inventory.find(&object, None).unwrap_err().to_string().contains("in one and two: add -n"));
        let other = Object { name: "q".to_owned(), ..object };
        assert!(inventory.find(&other, None).unwrap_err().to_string().contains("there are one/p, two/p"));
    }
}
