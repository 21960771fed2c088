//! The definitions (`CustomResourceDefinition`) of all kinds, in the order they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube_core::CustomResourceExt;

use crate::{AgentPool, Domain, Orchestrator, Supervisor, Workflow};

/// All five definitions, from the top level down.
pub fn definitions() -> [CustomResourceDefinition; 5] {
    let mut all = [Orchestrator::crd(), Domain::crd(), Supervisor::crd(), AgentPool::crd(), Workflow::crd()];
    for version in all.iter_mut().flat_map(|definition| &mut definition.spec.versions) {
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            root.title = None;
            tidy(root);
        }
    }
    all
}

/// A description longer than this is Kubernetes' own treatise on quantities.
const MUCH: usize = 1000;

/// Takes away what schemars derives and Kubernetes does not want: an optional field is one that is left out, so none may be
/// null. That keeps CEL's `has()` true to what people mean; the API server drops nulls that it is sent.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.x_kubernetes_int_or_string == Some(true) && schema.description.as_ref().is_some_and(|d| d.len() > MUCH) {
        schema.description = Some("A quantity, such as `250m`, `2` or `64Mi`.".to_owned());
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => tidy(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
