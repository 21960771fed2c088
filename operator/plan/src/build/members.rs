//! What the members of a Domain may do in its namespace: a `RoleBinding` each for admins, approvers and viewers.
//!
//! The rights themselves are three `ClusterRoles` of the installation, so that the operator may grant these and nothing else.

use serde_json::{Value, json};
use tetrarch_crds::{
    domain::Members,
    shared::{Subject, SubjectKind},
};

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
};

/// The `RoleBindings` that are wanted: none for a group of members that is empty.
pub fn role_bindings(namespace: &str, labels: &Value, members: &Members) -> Vec<Object> {
    let groups = [
        (names::BINDING_ADMIN, names::CLUSTER_ROLE_MEMBER_ADMIN, &members.admins),
        (names::BINDING_APPROVER, names::CLUSTER_ROLE_MEMBER_APPROVER, &members.approvers),
        (names::BINDING_VIEWER, names::CLUSTER_ROLE_MEMBER_VIEWER, &members.viewers),
    ];
    let inhabited = groups.into_iter().filter(|(_, _, subjects)| !subjects.is_empty());
    inhabited
        .map(|(name, role, subjects)| {
            Object::new(
                ObjectKey::namespaced(Kind::RoleBinding, namespace, name),
                json!({
                    "metadata": { "labels": labels },
                    "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
                    "subjects": subjects.iter().map(|s| subject(s, namespace)).collect::<Vec<_>>(),
                }),
            )
        })
        .collect()
}

fn subject(subject: &Subject, own_namespace: &str) -> Value {
    match subject.kind {
        SubjectKind::ServiceAccount => json!({
            "kind": "ServiceAccount",
            "name": subject.name,
            "namespace": subject.namespace.as_deref().unwrap_or(own_namespace),
        }),
        SubjectKind::User => json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": subject.name }),
        SubjectKind::Group => json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": subject.name }),
    }
}
