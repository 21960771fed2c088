//! Rung 3: a real API server takes every sample, with strict validation of its fields, and refuses what is not in a schema.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tetrarch_testkit::cluster::Cluster;

const STRICT: [&str; 4] = ["apply", "--server-side", "--dry-run=server", "--validate=strict"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All manifests below a folder, except those of Cargo projects in it.
fn manifests(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            manifests(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

fn documents(text: &str) -> Result<Vec<Value>> {
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).context("not YAML")).collect()
}

#[tokio::test]
async fn every_sample_is_accepted_with_strict_validation() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    let mut samples = Vec::new();
    manifests(&repository().join("config/samples"), &mut samples)?;
    ensure!(samples.len() >= 10, "the samples are not where they are looked for: {samples:?}");
    let mut kinds = Vec::new();
    for sample in &samples {
        let text = fs::read_to_string(sample)?;
        let objects = documents(&text)?;
        // Tests of policies are read by the plugin, not by the API server.
        if objects.iter().any(|object| object["kind"] == "PolicyTests") {
            continue;
        }
        for object in objects.iter().filter(|object| !object.is_null()) {
            kinds.push(object["kind"].as_str().unwrap_or_default().to_owned());
            // In life the Domain makes it; nobody reconciles here.
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                let namespace =
                    format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#);
                cluster.apply(&namespace)?;
            }
        }
        let path = sample.to_str().context("the path is no text")?;
        let arguments: Vec<&str> = STRICT.into_iter().chain(["-f", path]).collect();
        cluster.kubectl(&arguments).with_context(|| format!("sample {path}"))?;
    }
    for kind in ["Orchestrator", "Domain", "Supervisor", "AgentPool", "Workflow"] {
        ensure!(kinds.iter().any(|found| found == kind), "no sample of kind {kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_field_that_no_schema_knows_is_refused_and_not_ignored() -> Result<()> {
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    let manifest = tempfile::NamedTempFile::new()?;
    fs::write(
        manifest.path(),
        "{apiVersion: tetrarch.dev/v1alpha1, kind: Orchestrator, metadata: {name: x}, spec: {hierarchy: {depths: 3}}}",
    )?;
    let path = manifest.path().to_str().context("the path is no text")?;
    let arguments: Vec<&str> = STRICT.into_iter().chain(["-f", path]).collect();
    let refusal = cluster.kubectl(&arguments).err().context("was accepted")?;
    ensure!(format!("{refusal:#}").contains("spec.hierarchy.depths"), "{refusal:#}");
    Ok(())
}
