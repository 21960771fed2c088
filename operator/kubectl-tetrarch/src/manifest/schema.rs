//! What the API server does with a manifest before admission: it fills in the defaults of the kind's schema and refuses what
//! does not fit it.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

/// A field that does not fit, and why.
pub type Misfit = (String, String);

static SCHEMAS: LazyLock<BTreeMap<String, JSONSchemaProps>> = LazyLock::new(|| {
    let schema = |version: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion| {
        version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.clone())
    };
    let definitions = tetrarch_crds::schema::definitions();
    definitions
        .iter()
        .filter_map(|found| Some((found.spec.names.kind.clone(), found.spec.versions.iter().find_map(schema)?)))
        .collect()
});

/// Fills in the defaults; the fields that do not fit the schema of the kind. Other kinds than our own always fit.
pub fn admit(object: &mut Value) -> Vec<Misfit> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let Some(schema) = SCHEMAS.get(kind) else { return Vec::new() };
    let mut misfits = Vec::new();
    let version = format!("{}/{}", tetrarch_crds::GROUP, tetrarch_crds::VERSION);
    if object["apiVersion"] != *version {
        misfits.push(("apiVersion".to_owned(), format!("is {}: write {version}", object["apiVersion"])));
    }
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        misfits.push(("metadata.name".to_owned(), "is missing: write the name of the object".to_owned()));
    }
    for (field, property) in schema.properties.iter().flatten() {
        match object.get_mut(field) {
            Some(value) if field == "spec" => check(value, property, field, &mut misfits),
            None if field == "spec" && required(schema).any(|name| name == field) => {
                misfits.push((field.clone(), "is missing".to_owned()));
            }
            _ => {}
        }
    }
    for field in object.as_object().into_iter().flat_map(Map::keys) {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&field.as_str()) {
            misfits.push((field.clone(), "is no field of a manifest: leave it out".to_owned()));
        }
    }
    misfits
}

fn required(schema: &JSONSchemaProps) -> impl Iterator<Item = &String> {
    schema.required.iter().flatten()
}

fn check(value: &mut Value, schema: &JSONSchemaProps, path: &str, misfits: &mut Vec<Misfit>) {
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) && schema.properties.is_none() {
        return;
    }
    let mut wrong = |message: String| misfits.push((path.to_owned(), message));
    if !has_type(value, schema) {
        wrong(format!("is {}: write {}", brief(value), wanted(schema)));
        return;
    }
    if let Some(values) = &schema.enum_
        && !values.iter().any(|known| known.0 == *value)
    {
        let known: Vec<&str> = values.iter().filter_map(|known| known.0.as_str()).collect();
        wrong(format!("is {}: write one of {}", brief(value), known.join(", ")));
    }
    if let Some(number) = value.as_f64() {
        let too_small = schema.minimum.filter(|least| number < *least).map(|least| format!("at least {least}"));
        let too_large = schema.maximum.filter(|most| number > *most).map(|most| format!("at most {most}"));
        if let Some(bound) = too_small.or(too_large) {
            wrong(format!("is {value}: write {bound}"));
        }
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), &schema.pattern)
        && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        wrong(format!("is {}: write what matches {pattern}", brief(value)));
    }
    let length = match value {
        Value::String(text) => Some((text.chars().count(), schema.min_length, schema.max_length, "characters")),
        Value::Array(list) => Some((list.len(), schema.min_items, schema.max_items, "entries")),
        _ => None,
    };
    if let Some((length, least, most, what)) = length {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        if least.is_some_and(|least| length < least) || most.is_some_and(|most| length > most) {
            let bound = if length < least.unwrap_or(0) { ("at least", least) } else { ("at most", most) };
            wrong(format!("has {length} {what}: write {} {}", bound.0, bound.1.unwrap_or_default()));
        }
    }
    match value {
        Value::Object(fields) => check_fields(fields, schema, path, misfits),
        Value::Array(list) => {
            if let Some(JSONSchemaPropsOrArray::Schema(inner)) = &schema.items {
                for (at, element) in list.iter_mut().enumerate() {
                    check(element, inner, &format!("{path}[{at}]"), misfits);
                }
            }
        }
        _ => {}
    }
}

fn check_fields(fields: &mut Map<String, Value>, schema: &JSONSchemaProps, path: &str, misfits: &mut Vec<Misfit>) {
    if let Some(JSONSchemaPropsOrBool::Schema(inner)) = &schema.additional_properties {
        for (key, value) in fields.iter_mut() {
            check(value, inner, &format!("{path}.{key}"), misfits);
        }
        return;
    }
    let Some(properties) = &schema.properties else { return };
    // The API server drops nulls where a field may be left out.
    fields.retain(|_, value| !value.is_null());
    for (name, property) in properties {
        if let (false, Some(default)) = (fields.contains_key(name), &property.default) {
            fields.insert(name.clone(), default.0.clone());
        }
    }
    for name in required(schema).filter(|name| !fields.contains_key(*name)) {
        misfits.push((format!("{path}.{name}"), "is missing: it is required".to_owned()));
    }
    for (name, value) in fields.iter_mut() {
        match properties.get(name) {
            Some(property) => check(value, property, &format!("{path}.{name}"), misfits),
            None if schema.x_kubernetes_preserve_unknown_fields == Some(true) => {}
            None => misfits.push((format!("{path}.{name}"), unknown(name, properties.keys()))),
        }
    }
}

fn has_type(value: &Value, schema: &JSONSchemaProps) -> bool {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema.type_.as_deref() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    }
}

fn wanted(schema: &JSONSchemaProps) -> String {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "a quantity such as 500m or 2Gi".to_owned();
    }
    match schema.type_.as_deref() {
        Some("object") => "fields and values",
        Some("array") => "a list",
        Some("string") => "a text, in quotes if it looks like a number",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number",
        _ => "another value",
    }
    .to_owned()
}

/// A value for a message, cut when it is long.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String> + Clone) -> String {
    let near = known.clone().filter(|other| distance(name, other) <= 2).min_by_key(|other| distance(name, other));
    match near {
        Some(near) => format!("is no field: write {near}"),
        None => format!("is no field: write one of {}", known.cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// Characters to change, add or leave out to get from one text to the other, whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, one) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (to, other) in b.iter().enumerate() {
            let cost = if one == other { diagonal } else { 1 + diagonal.min(row[to]).min(row[to + 1]) };
            diagonal = row[to + 1];
            row[to + 1] = cost;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn root(spec: &Value) -> Value {
        json!({"apiVersion": "tetrarch.dev/v1alpha1", "kind": "Orchestrator", "metadata": {"name": "acme"}, "spec": spec})
    }

    #[rstest::rstest]
    #[case(json!({"policies": [{"name": "a", "limts": {}}]}), "spec.policies[0].limts", "write limits")]
    #[case(json!({"policies": [{"name": "a", "limits": {"agents": 0}}]}), "spec.policies[0].limits.agents", "at least 1")]
    #[case(json!({"policies": [{"name": "a", "limits": {"agents": "5"}}]}), "spec.policies[0].limits.agents", "a whole number")]
    #[case(json!({"policies": [{"name": "a", "action": "deny"}]}), "spec.policies[0].action", "Audit, Warn, RequireApproval, Deny")]
    #[case(json!({"policies": [{"limits": {}}]}), "spec.policies[0].name", "required")]
    #[case(json!({"policies": [{"name": "A b"}]}), "spec.policies[0].name", "matches")]
    #[case(json!({"policies": {}}), "spec.policies", "a list")]
    #[case(json!({"policies": [{"name": "a", "allow": {"images": []}}]}), "spec.policies[0].allow.images", "at least 1")]
    fn a_misfit_is_told_with_its_field_and_the_remedy(#[case] spec: Value, #[case] field: &str, #[case] remedy: &str) {
        let misfits = admit(&mut root(&spec));
        assert!(misfits.iter().any(|(at, message)| at == field && message.contains(remedy)), "{misfits:?}");
    }

    #[test]
    fn defaults_are_filled_in_as_the_api_server_does() {
        let mut object = root(&json!({"policies": [{"name": "a"}]}));
        assert_eq!(admit(&mut object), []);
        assert_eq!(object["spec"]["currency"], "USD");
        assert_eq!(object["spec"]["hierarchy"]["maxDomains"], 20);
        assert_eq!(object["spec"]["policies"][0]["action"], "Deny");
    }

    #[test]
    fn what_is_not_ours_is_not_judged() {
        assert_eq!(admit(&mut json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"anything": 1}})), []);
    }
}
