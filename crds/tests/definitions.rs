//! What every definition must hold: it is structural, documented, bounded and small, and the samples fit it.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use tetrarch_crds::{AgentPool, Domain, Orchestrator, Supervisor, Workflow, manifest, reference, schema};

/// Larger ones cannot be applied by a client that keeps what it applied in an annotation.
const LARGEST: usize = 200 * 1024;

fn schemas() -> Vec<(String, Value)> {
    let root = |definition: &Value| definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    schema::definitions()
        .iter()
        .map(|definition| serde_json::to_value(definition).unwrap())
        .map(|definition| (definition["spec"]["names"]["kind"].as_str().unwrap().to_owned(), root(&definition)))
        .collect()
}

/// Every schema below `schema`, with its path and whether it is a named field.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value, bool)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, field, true);
        walk(&path, field, visit);
    }
    for (mark, inner) in [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])] {
        if inner.is_object() {
            let path = format!("{path}{mark}");
            visit(&path, inner, false);
            walk(&path, inner, visit);
        }
    }
}

fn complaints(complain: impl Fn(&str, &Value, bool) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, root) in schemas() {
        walk(&kind, &root, &mut |path, schema, is_field| {
            if complain(path, schema, is_field) {
                found.push(path.to_owned());
            }
        });
    }
    found
}

#[test]
fn every_field_is_described() {
    let undescribed = complaints(|_, schema, is_field| {
        is_field && schema["description"].as_str().is_none_or(|text| text.trim().len() < 5)
    });
    assert_eq!(undescribed, Vec::<String>::new());
}

#[test]
fn every_schema_has_a_type_and_none_is_nullable() {
    let untyped = complaints(|_, schema, _| {
        let free =
            schema["x-kubernetes-preserve-unknown-fields"] == true || schema["x-kubernetes-int-or-string"] == true;
        schema["type"].is_null() && !free
    });
    assert_eq!(untyped, Vec::<String>::new());
    assert_eq!(complaints(|_, schema, _| schema["nullable"] == true), Vec::<String>::new());
}

#[test]
fn lists_of_a_spec_are_bounded_and_lists_of_named_things_are_maps() {
    // Resources and selectors are types of Kubernetes, which bounds them nowhere.
    let is_ours = |path: &str| path.contains(".spec.") && !path.contains(".resources.") && !path.contains(".selector.");
    let unbounded =
        complaints(|path, schema, _| is_ours(path) && schema["type"] == "array" && schema["maxItems"].is_null());
    assert_eq!(unbounded, Vec::<String>::new());
    let unkeyed = complaints(|path, schema, _| {
        let required = schema["items"]["required"].as_array().into_iter().flatten();
        // Members have a kind and a namespace beside their name.
        let is_named = required.clone().any(|field| field == "name") && !required.clone().any(|field| field == "kind");
        is_ours(path) && is_named && schema["x-kubernetes-list-type"] != "map"
    });
    assert_eq!(unkeyed, Vec::<String>::new());
}

#[test]
fn every_rule_says_what_to_write_instead() {
    let silent = complaints(|_, schema, _| {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules.into_iter().any(|rule| rule["message"].as_str().is_none_or(|message| message.len() < 20))
    });
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn definitions_are_small_and_fit_into_the_chart() {
    for definition in schema::definitions() {
        let template = manifest::template(&definition).unwrap();
        assert!(template.len() < LARGEST, "{}: {} bytes", manifest::file_name(&definition), template.len());
        assert!(template.contains("helm.sh/resource-policy: keep"));
    }
}

#[test]
fn the_reference_names_every_top_level_field() {
    for ((kind, root), definition) in schemas().into_iter().zip(schema::definitions()) {
        let text = reference::page(&definition);
        for field in root["properties"]["spec"]["properties"].as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `spec.{field}` |")), "{kind}: spec.{field} is missing");
        }
    }
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_sample_is_read_by_its_type() {
    let mut files = Vec::new();
    yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples"), &mut files);
    let mut seen = 0;
    for file in files {
        for document in serde_yaml::Deserializer::from_str(&fs::read_to_string(&file).unwrap()) {
            let document = Value::deserialize(document).unwrap();
            let read = match document["kind"].as_str().unwrap_or_default() {
                "Orchestrator" => serde_json::from_value::<Orchestrator>(document).map(drop),
                "Domain" => serde_json::from_value::<Domain>(document).map(drop),
                "Supervisor" => serde_json::from_value::<Supervisor>(document).map(drop),
                "AgentPool" => serde_json::from_value::<AgentPool>(document).map(drop),
                "Workflow" => serde_json::from_value::<Workflow>(document).map(drop),
                _ => continue,
            };
            seen += 1;
            read.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
    assert!(seen >= 5, "the samples are not where they are looked for");
}
