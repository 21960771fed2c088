//! The reference of all fields as Markdown, from the same schemas that the API server enforces.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// Fields whose types Kubernetes documents: their inside is not repeated here.
const KNOWN: [(&str, &str); 3] = [
    ("env", "as `env` of a container"),
    ("resources", "as `resources` of a container"),
    ("conditions", "Kubernetes conditions"),
];

/// Fewest fields of an object that is described once and referred to where it comes again.
const WORTH_A_REFERENCE: usize = 3;

/// Longest default that is shown; longer ones are those of the fields below.
const LONGEST_DEFAULT: usize = 40;

/// Name of a definition's page.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}.md", definition.spec.names.kind.to_lowercase())
}

/// The page of a definition.
pub fn page(definition: &CustomResourceDefinition) -> String {
    let mut text = String::new();
    let (names, scope) = (&definition.spec.names, &definition.spec.scope);
    for version in &definition.spec.versions {
        let Some(root) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
            continue;
        };
        let properties = root.properties.as_ref();
        let spec = properties.and_then(|properties| properties.get("spec"));
        let place = if scope == "Namespaced" { "in a namespace" } else { "in the cluster" };
        let short = names.short_names.iter().flatten().cloned().collect::<Vec<_>>().join("`, `");
        line(&mut text, "<!-- Generated from crds/src by 'make generate'; do not edit. -->");
        line(
            &mut text,
            &format!(
                "# {}\n\n`{}/{}`, {place}, short name `{short}`.\n",
                names.kind, definition.spec.group, version.name
            ),
        );
        line(&mut text, &flat(spec.and_then(|spec| spec.description.as_deref()).unwrap_or_default()));
        line(&mut text, "A field that is not marked as required may be left out.");
        let mut seen = BTreeMap::new();
        for part in ["spec", "status"] {
            let Some(schema) = properties.and_then(|properties| properties.get(part)) else { continue };
            line(&mut text, &format!("\n## {part}\n\n| Field | Type | Meaning |\n|---|---|---|"));
            rows(part, schema, &mut seen, &mut text);
        }
    }
    text
}

fn rows(path: &str, schema: &JSONSchemaProps, seen: &mut BTreeMap<String, String>, text: &mut String) {
    let required = schema.required.as_deref().unwrap_or_default();
    // Plain fields first, and what is built of others after them.
    let mut properties: Vec<_> = schema.properties.iter().flatten().collect();
    properties.sort_by_key(|(_, property)| depth(property));
    for (name, property) in properties {
        let path = format!("{path}.{name}");
        let known = KNOWN.iter().find(|(field, _)| field == name).map(|(_, as_what)| (*as_what).to_owned());
        let inner = element(property);
        let earlier = if known.is_none() { referred(&path, inner, seen) } else { None };
        let kind = known.clone().or_else(|| earlier.clone()).unwrap_or_else(|| kind(property));
        let marker = if required.contains(name) { ", required" } else { "" };
        let meaning = meaning(property, path.starts_with("spec."));
        line(text, &format!("| `{path}` | {}{marker} | {} |", cell(&kind), cell(&meaning)));
        if known.is_none() && earlier.is_none() {
            let suffix = if matches!(property.items, Some(JSONSchemaPropsOrArray::Schema(_))) { "[]" } else { "" };
            rows(&format!("{path}{suffix}"), inner, seen, text);
        }
    }
}

/// Levels of fields below this one.
fn depth(schema: &JSONSchemaProps) -> usize {
    element(schema)
        .properties
        .iter()
        .flat_map(|properties| properties.values())
        .map(|inner| 1 + depth(inner))
        .max()
        .unwrap_or(0)
}

/// Says where an object of the same fields was described before.
fn referred(path: &str, schema: &JSONSchemaProps, seen: &mut BTreeMap<String, String>) -> Option<String> {
    let properties = schema.properties.as_ref().filter(|properties| properties.len() >= WORTH_A_REFERENCE)?;
    let shape = serde_json::to_string(properties).ok()?;
    if let Some(earlier) = seen.get(&shape) {
        return Some(format!("as `{earlier}`"));
    }
    seen.insert(shape, path.to_owned());
    None
}

/// The schema of a list's elements, else the schema itself.
fn element(schema: &JSONSchemaProps) -> &JSONSchemaProps {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => item,
        _ => schema,
    }
}

fn kind(schema: &JSONSchemaProps) -> String {
    if let Some(values) = &schema.enum_ {
        return values
            .iter()
            .map(|value| format!("`{}`", value.0.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match (&schema.items, &schema.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(item)), _) => return format!("list of {}", kind(item)),
        (_, Some(JSONSchemaPropsOrBool::Schema(values))) => return format!("map to {}", kind(values)),
        _ => {}
    }
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "quantity".to_owned();
    }
    let name = schema.type_.as_deref().unwrap_or("any JSON");
    match (schema.minimum, schema.maximum) {
        (Some(min), Some(max)) => format!("{name}, {min} to {max}"),
        (Some(min), None) => format!("{name}, at least {min}"),
        _ => name.to_owned(),
    }
}

/// The description, the default of a field that people write when the description does not tell it, and what rules that
/// span fields say when they are broken.
fn meaning(schema: &JSONSchemaProps, with_default: bool) -> String {
    let mut text = schema.description.clone().unwrap_or_default();
    if let Some(default) = schema.default.as_ref().map(|value| value.0.to_string())
        && with_default
        && default.len() <= LONGEST_DEFAULT
        && !text.contains("Default")
    {
        let _ = write!(text, " Default `{default}`.");
    }
    let of_elements = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => item.x_kubernetes_validations.as_ref(),
        _ => None,
    };
    for rule in schema.x_kubernetes_validations.iter().chain(of_elements).flatten() {
        if let Some(message) = rule.message.as_deref().filter(|message| !message.starts_with("is not a duration")) {
            let _ = write!(text, " Refused otherwise: {message}.");
        }
    }
    text
}

fn cell(text: &str) -> String {
    flat(text).replace('|', "\\|")
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(text: &mut String, line: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{line}");
}
