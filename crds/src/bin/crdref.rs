//! Writes one Markdown page for each kind into a folder: every field with its type, default, meaning and rules.

use std::{fmt::Write as _, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// Fields of Kubernetes' own types: its reference describes what is in them.
const KUBERNETES_TYPES: [&str; 3] = ["env[]", "resources", "conditions[]"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: crdref FOLDER")?;
    fs::create_dir_all(&folder)?;
    for definition in tetrarch_crds::schema::definitions() {
        let page = Path::new(&folder).join(format!("{}.md", definition.spec.names.kind.to_lowercase()));
        fs::write(page, describe(&definition)?)?;
    }
    Ok(())
}

fn describe(definition: &CustomResourceDefinition) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    let names = &definition.spec.names;
    for version in &definition.spec.versions {
        let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
            continue;
        };
        writeln!(page, "# {}\n", names.kind)?;
        let scope = if definition.spec.scope == "Namespaced" { "in a namespace" } else { "cluster-scoped" };
        let short = names.short_names.clone().unwrap_or_default().join(", ");
        writeln!(page, "`{}/{}`, {scope}, short name `{short}`.", definition.spec.group, version.name)?;
        for part in ["spec", "status"] {
            let Some(properties) = schema.properties.as_ref().and_then(|properties| properties.get(part)) else {
                continue;
            };
            if let Some(text) = &properties.description {
                writeln!(page, "\n## {part}\n\n{text}\n\n| Field | Type | Meaning |\n|---|---|---|")?;
            } else {
                writeln!(page, "\n## {part}\n\n| Field | Type | Meaning |\n|---|---|---|")?;
            }
            fields(&mut page, properties, part)?;
        }
    }
    Ok(page)
}

/// One line for each field below `parent`, depth first in the order of their names.
fn fields(page: &mut String, parent: &JSONSchemaProps, path: &str) -> std::fmt::Result {
    let required = parent.required.clone().unwrap_or_default();
    for (name, field) in parent.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let mut meaning = field.description.clone().unwrap_or_default();
        for rule in rules(field).chain(items(field).into_iter().flat_map(rules)) {
            write!(meaning, " **{rule}**")?;
        }
        let need = if required.contains(name) { ", required" } else { "" };
        let meaning = meaning.replace('\n', " ").replace('|', "\\|");
        writeln!(page, "| `{path}` | {}{need} | {meaning} |", kind_of(field))?;
        descend(page, field, &path)?;
    }
    Ok(())
}

fn descend(page: &mut String, field: &JSONSchemaProps, path: &str) -> std::fmt::Result {
    let (below, path) = match items(field) {
        Some(item) => (item, format!("{path}[]")),
        None => (field, path.to_owned()),
    };
    if KUBERNETES_TYPES.iter().any(|own| path.ends_with(&format!(".{own}"))) {
        return Ok(());
    }
    fields(page, below, &path)
}

fn rules(field: &JSONSchemaProps) -> impl Iterator<Item = String> {
    field.x_kubernetes_validations.iter().flatten().filter_map(|rule| rule.message.clone())
}

fn items(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// The type in words, with its bounds and the values it may have.
fn kind_of(field: &JSONSchemaProps) -> String {
    if let Some(values) = &field.enum_ {
        let values: Vec<String> =
            values.iter().filter_map(|value| value.0.as_str().map(|text| format!("`{text}`"))).collect();
        return values.join(", ");
    }
    if let Some(item) = items(field) {
        return format!("list of {}", kind_of(item));
    }
    if field.x_kubernetes_int_or_string == Some(true) {
        return "quantity".to_owned();
    }
    let Some(kind) = &field.type_ else { return "any JSON".to_owned() };
    match (field.minimum, field.maximum) {
        (Some(min), Some(max)) => format!("{kind}, {min} to {max}"),
        _ => kind.clone(),
    }
}
