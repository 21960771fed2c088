//! What the members of a Domain may do in its namespace: a Role and a RoleBinding for admins and for viewers.
//!
//! The operator holds few of these rights itself; it may grant them because its ClusterRole has the verbs `escalate` and
//! `bind` on Roles and RoleBindings.

use serde_json::{Value, json};
use tetrarch_crds::{
    domain::Members,
    shared::{Subject, SubjectKind},
};

use crate::{
    names,
    object::{Kind, Object, ObjectKey},
};

/// The Roles and RoleBindings that are wanted: none for a group of members that is empty.
pub fn roles(namespace: &str, labels: &Value, members: &Members) -> Vec<Object> {
    let mut objects = Vec::new();
    for (name, subjects, rules) in
        [(names::ROLE_ADMIN, &members.admins, admin_rules()), (names::ROLE_VIEWER, &members.viewers, viewer_rules())]
    {
        if subjects.is_empty() {
            continue;
        }
        objects.push(Object::new(
            ObjectKey::namespaced(Kind::Role, namespace, name),
            json!({ "metadata": { "labels": labels }, "rules": rules }),
        ));
        objects.push(Object::new(
            ObjectKey::namespaced(Kind::RoleBinding, namespace, name),
            json!({
                "metadata": { "labels": labels },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
                "subjects": subjects.iter().map(|s| subject(s, namespace)).collect::<Vec<_>>(),
            }),
        ));
    }
    objects
}

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

fn viewer_rules() -> Vec<Value> {
    vec![
        json!({ "apiGroups": [tetrarch_crds::GROUP], "resources": ["agentpools", "agentpools/scale", "agentpools/status", "supervisors", "supervisors/status", "workflows", "workflows/status"], "verbs": READ }),
        json!({ "apiGroups": [""], "resources": ["events", "limitranges", "pods", "pods/log", "resourcequotas", "services"], "verbs": READ }),
        json!({ "apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": READ }),
        json!({ "apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": READ }),
        json!({ "apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": READ }),
        json!({ "apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": READ }),
    ]
}

/// Admins may also run commands in pods: the plugin reads journals and large outputs that way. It gives them nothing new,
/// since whoever writes a pool decides what its containers run.
fn admin_rules() -> Vec<Value> {
    let mut rules = viewer_rules();
    rules.push(json!({ "apiGroups": [tetrarch_crds::GROUP], "resources": ["agentpools", "supervisors", "workflows"], "verbs": WRITE }));
    rules.push(
        json!({ "apiGroups": [tetrarch_crds::GROUP], "resources": ["agentpools/scale"], "verbs": ["patch", "update"] }),
    );
    rules.push(json!({ "apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"] }));
    rules
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
