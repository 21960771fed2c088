//! Every sample is valid for the controllers, not only for the schema.

#![expect(clippy::unwrap_used, reason = "a sample that cannot be read fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use tetrarch_plan::{parse, violation::Violation};

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

fn violations(object: &Value) -> Option<Vec<Violation>> {
    let text = object.to_string();
    let result = match object["kind"].as_str()? {
        "Orchestrator" => {
            let object: tetrarch_crds::Orchestrator = serde_json::from_str(&text).unwrap();
            parse::orchestrator::priority_classes(&object.spec).map(drop)
        }
        "Domain" => parse::domain::domain(&serde_json::from_str(&text).unwrap()).map(drop),
        "Supervisor" => parse::supervisor::supervisor(&serde_json::from_str(&text).unwrap()).map(drop),
        "AgentPool" => parse::agent_pool::pool(&serde_json::from_str(&text).unwrap()).map(drop),
        "Workflow" => parse::workflow::definition(&serde_json::from_str(&text).unwrap()).map(drop),
        _ => return None,
    };
    Some(result.err().unwrap_or_default())
}

#[test]
fn every_sample_is_accepted() {
    let mut files = Vec::new();
    yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples"), &mut files);
    let mut seen = 0;
    for file in files {
        for document in serde_yaml::Deserializer::from_str(&fs::read_to_string(&file).unwrap()) {
            let Some(found) = violations(&Value::deserialize(document).unwrap()) else { continue };
            seen += 1;
            assert_eq!(found, Vec::new(), "{}", file.display());
        }
    }
    assert!(seen >= 5, "the samples are not where they are looked for");
}
