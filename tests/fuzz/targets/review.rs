//! Any bytes as the body of an admission review: an answer, or a refusal to read it.
#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tetrarch_core::policy::Kind;
use tetrarch_plan::admit::{self, Index, Manifest, index::Member, wire};

/// The hierarchy of the seeds: every object that one of them creates, with policies of every sort.
static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let documents: Vec<Value> = serde_json::from_str(include_str!("../hierarchy.json")).unwrap_or_default();
    let members = documents.iter().filter_map(|document| {
        let kind = Kind::ALL.into_iter().find(|kind| document["kind"] == format!("{kind:?}"))?;
        match Manifest::read(kind, document).ok()? {
            Manifest::Orchestrator(object) => Some(Member::Orchestrator(object.into())),
            Manifest::Domain(object) => Some(Member::Domain(object.into())),
            Manifest::Supervisor(object) => Some(Member::Supervisor(object.into())),
            Manifest::AgentPool(object) => Some(Member::AgentPool(object.into())),
            Manifest::Workflow(object) => Some(Member::Workflow(object.into())),
            Manifest::Pod(_) => None,
        }
    });
    let index = Index::default().with(members);
    assert!(index.domain_of("compliance").is_some(), "the hierarchy of the seeds cannot be read");
    index
});

fuzz_target!(init: { LazyLock::force(&INDEX); std::panic::set_hook(Box::new(|_| {})) }, |body: &[u8]| {
    let Ok(incoming) = wire::read(body) else { return };
    let Some(review) = incoming.review else { return };
    let now = Timestamp::UNIX_EPOCH;
    let verdict = admit::decide(&review, &INDEX, now);
    for finding in verdict.denials.iter().chain(&verdict.held).chain(&verdict.warnings) {
        assert!(!finding.to_string().is_empty(), "a finding without words");
    }
    let _ = wire::answer(&incoming.uid, &verdict);
    let _ = wire::answer_mutation(&incoming.uid, &admit::mutate(&review, &INDEX, now));
});
