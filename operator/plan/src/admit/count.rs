//! How many objects there may be below one parent.

use kube_core::ResourceExt;
use tetrarch_crds::AgentPool;

use super::{
    examine,
    finding::{Code, Finding},
    index::{Index, supervisor_name},
    place::Place,
    review::Manifest,
};
use crate::hierarchy::largest_size;

/// Notes when the write would exceed what the Orchestrator allows. What does not grow is not counted again.
pub(super) fn examine(new: &Manifest, old: Option<&Manifest>, place: &Place<'_>, index: &Index) -> Option<Finding> {
    let orchestrator = place.orchestrator?.object();
    let limits = &orchestrator.spec.hierarchy;
    let of = orchestrator.name_any();
    match (new, old) {
        (Manifest::Domain(object), None) => {
            let name = object.name_any();
            let others = index.living_domains(&of).len() - usize::from(index.has_living_domain(&of, &name));
            too_many(others, limits.max_domains).then(|| {
                let limit = limits.max_domains;
                Finding::denied(
                    Code::Hierarchy,
                    "spec.orchestratorRef.name",
                    format!(
                        "Orchestrator {of:?} takes {limit} Domains (its spec.hierarchy.maxDomains) and has {others}"
                    ),
                    "raise the limit, or delete a Domain",
                )
            })
        }
        (Manifest::Supervisor(object), None) => {
            let space = index.space(&object.namespace()?)?;
            let known = usize::from(space.supervisor(&object.name_any()).is_some());
            let others = space.living_supervisors().saturating_sub(known);
            let limit = limits.max_supervisors_per_domain;
            too_many(others, limit).then(|| {
                Finding::denied(
                    Code::Hierarchy,
                    "metadata.namespace",
                    format!(
                        "Domain {:?} takes {limit} Supervisors (spec.hierarchy.maxSupervisorsPerDomain of Orchestrator {of:?}) and has {others}",
                        space.owner().unwrap_or_default()
                    ),
                    "raise the limit, or delete a Supervisor",
                )
            })
        }
        (Manifest::AgentPool(object), old) => {
            let old = match old {
                Some(Manifest::AgentPool(old)) => Some(old.as_ref()),
                _ => None,
            };
            pool(object, old, &of, limits.max_agents_per_supervisor, index)
        }
        _ => None,
    }
}

fn too_many(others: usize, limit: i32) -> bool {
    usize::try_from(limit).is_ok_and(|limit| others >= limit)
}

/// Whether a pool may have so many agents.
pub(super) fn pool(
    object: &AgentPool,
    old: Option<&AgentPool>,
    orchestrator: &str,
    limit: i32,
    index: &Index,
) -> Option<Finding> {
    let supervisor = supervisor_name(object.spec.supervisor_ref.as_ref());
    let size = largest_size(&object.spec);
    let grows = old.is_none_or(|old| {
        size > largest_size(&old.spec) || supervisor != supervisor_name(old.spec.supervisor_ref.as_ref())
    });
    let space = index.space(&object.namespace()?)?;
    let counted = space.pool(&object.name_any()).map(|node| &node.object().spec);
    let counted = counted.filter(|spec| supervisor_name(spec.supervisor_ref.as_ref()) == supervisor);
    let others = space.agents_of(supervisor) - counted.map_or(0, |spec| i64::from(largest_size(spec)));
    if !grows || others + i64::from(size) <= i64::from(limit) {
        return None;
    }
    let field = examine::size_field(object);
    Some(Finding::denied(
        Code::Hierarchy,
        field,
        format!(
            "this pool may have {size} agents, but Supervisor {supervisor:?} takes {limit} in all (spec.hierarchy.maxAgentsPerSupervisor of Orchestrator {orchestrator:?}) and its other pools may have {others}"
        ),
        format!("lower {field} here or in another pool, or raise the limit"),
    ))
}

/// A warning when an Orchestrator takes fewer Domains than it has: the youngest are accepted no longer.
pub(super) fn lowered(new: &Manifest, index: &Index) -> Option<Finding> {
    let Manifest::Orchestrator(object) = new else { return None };
    let (limit, count) = (object.spec.hierarchy.max_domains, index.living_domains(&object.name_any()).len());
    usize::try_from(limit).is_ok_and(|limit| count > limit).then(|| {
        Finding::warned(
            Code::Hierarchy,
            "spec.hierarchy.maxDomains",
            format!("is {limit}, but there are {count} Domains, of which the youngest will be accepted no longer"),
            format!("write {count} or more, or delete Domains"),
        )
    })
}
