//! A Domain's name and quota.

use tetrarch_core::id::Name;
use tetrarch_crds::{
    Domain,
    shared::{Subject, SubjectKind},
};

use crate::{
    parse::object_name,
    violation::{Violation, Violations},
};

/// A Domain that is valid in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Its name, which is also that of its bus account.
    pub name: Name,
    /// Limits on the requests of all pods; none when nothing is limited.
    pub quota: Option<Quota>,
}

/// Limits on requests, as quantities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// CPU.
    pub cpu: Option<String>,
    /// Memory.
    pub memory: Option<String>,
    /// GPUs.
    pub gpus: Option<i64>,
}

/// The Domain, or everything that is wrong with it.
pub fn domain(object: &Domain) -> Result<Parsed, Vec<Violation>> {
    let mut violations = Violations::default();
    let name = object_name(object, &mut violations);
    let quota = object.spec.quota.as_ref().map(|quota| Quota {
        cpu: quota.cpu.as_ref().map(|q| q.0.clone()),
        memory: quota.memory.as_ref().map(|q| q.0.clone()),
        gpus: quota.gpus,
    });
    super::quota::quota("spec.quota", object.spec.quota.as_ref(), &mut violations);
    check_subjects("spec.members.admins", &object.spec.members.admins, &mut violations);
    check_subjects("spec.members.approvers", &object.spec.members.approvers, &mut violations);
    check_subjects("spec.members.viewers", &object.spec.members.viewers, &mut violations);
    let quota = quota.filter(|q| q.cpu.is_some() || q.memory.is_some() || q.gpus.is_some());
    violations.finish(name.map(|name| Parsed { name, quota }))
}

pub(crate) fn check_subjects(path: &str, subjects: &[Subject], violations: &mut Violations) {
    for (index, subject) in subjects.iter().enumerate() {
        if subject.kind != SubjectKind::ServiceAccount && subject.namespace.is_some() {
            violations.add(
                format!("{path}[{index}].namespace"),
                "is set for a subject that has none: leave it out, or write kind: ServiceAccount",
            );
        }
    }
}
