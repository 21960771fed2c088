//! `version`: this program, the operator in the cluster, and whether they fit.

use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde::Serialize;

use crate::{
    args::{Access, Format, Version},
    cluster,
    command::formatted,
    exit::Exit,
    failure::{Asked, Error},
    screen::Screen,
};

/// Labels of the operator's Deployment, as the chart sets them.
const OPERATOR: &str = "app.kubernetes.io/name=tetrarch,app.kubernetes.io/component=operator";

/// Versions of both sides.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operators: Vec<Operator>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One operator in the cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Operator {
    namespace: String,
    version: String,
    images: Vec<String>,
    ready_replicas: i32,
}

/// Prints the versions.
pub async fn version(access: &Access, args: &Version) -> Result<Exit, Error> {
    let client = env!("CARGO_PKG_VERSION");
    let mut versions = Versions { client, operators: Vec::new(), note: None };
    if !args.client {
        versions.operators = operators(access).await?;
        versions.note = note(client, &versions.operators);
    }
    let text = match args.format {
        Some(format @ (Format::Json | Format::Yaml)) => formatted(&versions, format)?,
        _ => render(&versions),
    };
    Screen::stdout().print(&text)?;
    Ok(Exit::Success)
}

async fn operators(access: &Access) -> Result<Vec<Operator>, Error> {
    let cluster = cluster::connect(access).await?;
    let asked = Asked { verb: "list", resource: "deployments", name: None, namespace: None };
    let deployments = Api::<Deployment>::all(cluster.client).list(&ListParams::default().labels(OPERATOR)).await;
    let found = deployments.map_err(|error| asked.explain(&error))?;
    Ok(found.items.iter().map(operator).collect())
}

fn operator(deployment: &Deployment) -> Operator {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    Operator {
        namespace: deployment.namespace().unwrap_or_default(),
        version: deployment.labels().get("app.kubernetes.io/version").cloned().unwrap_or_else(|| "unknown".to_owned()),
        images: template
            .iter()
            .flat_map(|spec| &spec.containers)
            .filter_map(|container| container.image.clone())
            .collect(),
        ready_replicas: deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0),
    }
}

/// What to know about the difference, if there is any.
fn note(client: &str, operators: &[Operator]) -> Option<String> {
    let minor =
        |version: &str| version.trim_start_matches('v').split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    if operators.is_empty() {
        return Some("no operator in this cluster: install it with `helm install tetrarch charts/tetrarch`".to_owned());
    }
    let other =
        operators.iter().find(|operator| operator.version != "unknown" && minor(&operator.version) != minor(client))?;
    Some(format!(
        "this program is {client} and the operator {}: use the program of the operator's minor version",
        other.version
    ))
}

fn render(versions: &Versions) -> String {
    let mut text = format!("client    {}\n", versions.client);
    for operator in &versions.operators {
        let images = operator.images.join(", ");
        let _ = writeln!(
            text,
            "operator  {} in {} ({} ready), {images}",
            operator.version, operator.namespace, operator.ready_replicas
        );
    }
    if let Some(note) = &versions.note {
        let _ = writeln!(text, "⚠ {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(version: &str) -> Vec<Operator> {
        vec![Operator {
            namespace: "tetrarch-system".to_owned(),
            version: version.to_owned(),
            images: vec!["tetrarch/operator:dev".to_owned()],
            ready_replicas: 2,
        }]
    }

    #[test]
    fn only_another_minor_version_is_worth_a_note() {
        assert_eq!(note("0.1.0", &running("0.1.7")), None);
        assert_eq!(note("0.1.0", &running("unknown")), None);
        assert!(note("0.1.0", &running("0.2.0")).unwrap().contains("the operator 0.2.0"));
        assert!(note("0.1.0", &[]).unwrap().contains("helm install"));
    }
}
