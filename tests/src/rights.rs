//! Which rights of a role were used, by the API server's own record: a right that nobody uses must not be granted.

use std::collections::BTreeSet;

use serde_json::Value;

/// One request that the API server has recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Verb, such as `patch`.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource with its subresource, such as `agentpools/status`.
    pub resource: String,
    /// Namespace; empty when the request is for no single one.
    pub namespace: String,
    /// Name; empty for lists, watches and creations.
    pub name: String,
}

/// The requests of one user, and those of them that were forbidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Requests that were allowed.
    pub allowed: BTreeSet<Request>,
    /// Requests that were refused for want of a right.
    pub forbidden: BTreeSet<Request>,
}

/// Reads what `user` did out of an audit log, one JSON object a line. A line that is still being written is left out.
pub fn record(log: &str, user: &str) -> Record {
    let mut record = Record::default();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if event["user"]["username"] != user || !event["objectRef"].is_object() {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let reference = &event["objectRef"];
        let mut resource = text(&reference["resource"]);
        if let Some(subresource) = reference["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        let request = Request {
            verb: text(&event["verb"]),
            group: text(&reference["apiGroup"]),
            resource,
            namespace: text(&reference["namespace"]),
            name: text(&reference["name"]),
        };
        match event["annotations"]["authorization.k8s.io/decision"].as_str() {
            Some("allow") => {
                // An apply that creates is checked as a creation too, inside the same request.
                if request.verb == "patch" && event["responseStatus"]["code"] == 201 {
                    record.allowed.insert(Request { verb: "create".to_owned(), ..request.clone() });
                }
                record.allowed.insert(request)
            }
            Some("forbid") => record.forbidden.insert(request),
            _ => false,
        };
    }
    record
}

/// One right: a verb on a resource, perhaps only under some names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Verb.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Resource with its subresource.
    pub resource: String,
    /// The only name it holds for; none means all.
    pub name: Option<String>,
    /// The only namespace it holds in; none means all.
    pub namespace: Option<String>,
}

impl Right {
    /// Whether the right allows the request, as RBAC decides it.
    pub fn allows(&self, request: &Request) -> bool {
        self.verb == request.verb
            && self.group == request.group
            && self.resource == request.resource
            && self.name.as_ref().is_none_or(|name| *name == request.name)
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == request.namespace)
    }
}

/// Why a role grants what it should not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A wildcard.
    #[error("rule {rule} has a wildcard: name each group, resource and verb")]
    Wildcard {
        /// Index of the rule.
        rule: usize,
    },
    /// A rule grants a right that was never used.
    #[error("rule {rule} grants {right:?}, which nothing uses: take it out")]
    Unused {
        /// Index of the rule.
        rule: usize,
        /// The right.
        right: Right,
    },
    /// Without the rule nothing would fail.
    #[error("without rule {rule} everything would still be allowed: take it out")]
    Needless {
        /// Index of the rule.
        rule: usize,
    },
    /// Something was forbidden that the program asked for.
    #[error("{0:?} was asked for and is not granted")]
    Missing(Request),
}

/// The rights of each rule of a role; `namespace` is that of a Role, none for a `ClusterRole` bound in the whole cluster.
fn rights(role: &Value, namespace: Option<&str>) -> Vec<Vec<Right>> {
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut all = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let names = list(&rule["resourceNames"]);
        let names: Vec<_> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        let mut rights = Vec::new();
        for verb in list(&rule["verbs"]) {
            for group in list(&rule["apiGroups"]) {
                for resource in list(&rule["resources"]) {
                    rights.extend(names.iter().map(|name| Right {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        namespace: namespace.map(str::to_owned),
                    }));
                }
            }
        }
        all.push(rights);
    }
    all
}

/// Takes each rule of the roles away in turn, and each right of each rule, and reports those whose absence nothing would
/// have noticed. `unseen` are rights that are used without a request of their own, such as `bind`: the API server checks
/// them while it serves another request.
pub fn check(roles: &[(&Value, Option<&str>)], record: &Record, unseen: impl Fn(&Right) -> bool) -> Vec<Violation> {
    let granted: Vec<Vec<Right>> = roles.iter().flat_map(|(role, namespace)| rights(role, *namespace)).collect();
    let mut violations: Vec<Violation> = record.forbidden.iter().cloned().map(Violation::Missing).collect();
    for (index, rule) in granted.iter().enumerate() {
        if rule.iter().any(|right| [&right.verb, &right.group, &right.resource].iter().any(|part| part.contains('*'))) {
            violations.push(Violation::Wildcard { rule: index });
        }
        for right in rule {
            if !unseen(right) && !record.allowed.iter().any(|request| right.allows(request)) {
                violations.push(Violation::Unused { rule: index, right: right.clone() });
            }
        }
        let others = || granted.iter().enumerate().filter(|(other, _)| *other != index).flat_map(|(_, rights)| rights);
        let needed = record.allowed.iter().any(|request| {
            rule.iter().any(|right| right.allows(request)) && !others().any(|right| right.allows(request))
        });
        if !needed && !rule.iter().all(&unseen) {
            violations.push(Violation::Needless { rule: index });
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USER: &str = "system:serviceaccount:tetrarch-system:tetrarch-operator";

    fn log() -> String {
        let event = |user: &str, verb: &str, reference: Value, decision: &str| {
            json!({"user": {"username": user}, "verb": verb, "objectRef": reference,
                   "annotations": {"authorization.k8s.io/decision": decision}})
            .to_string()
        };
        [
            event(USER, "list", json!({"resource": "pods"}), "allow"),
            event(USER, "patch", json!({"resource": "domains", "subresource": "status", "apiGroup": "tetrarch.dev", "name": "a"}), "allow"),
            event(USER, "get", json!({"resource": "leases", "apiGroup": "coordination.k8s.io", "namespace": "tetrarch-system", "name": "tetrarch-operator"}), "allow"),
            event("somebody", "delete", json!({"resource": "pods", "namespace": "x", "name": "p"}), "allow"),
            "{\"half".to_owned(),
        ]
        .join("\n")
    }

    fn cluster_role() -> Value {
        json!({"rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": ["tetrarch.dev"], "resources": ["domains/status"], "verbs": ["patch"]},
        ]})
    }

    fn role() -> Value {
        json!({"rules": [
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["tetrarch-operator"], "verbs": ["get"]},
        ]})
    }

    fn checked(cluster_role: &Value, role: &Value) -> Vec<Violation> {
        check(&[(cluster_role, None), (role, Some("tetrarch-system"))], &record(&log(), USER), |right| {
            right.verb == "bind"
        })
    }

    #[test]
    fn exactly_what_is_used_passes() {
        assert_eq!(checked(&cluster_role(), &role()), []);
    }

    #[test]
    fn an_apply_that_creates_uses_the_right_to_create() {
        let apply = |code: u16| {
            let event = json!({"user": {"username": USER}, "verb": "patch", "responseStatus": {"code": code},
                "objectRef": {"resource": "namespaces", "name": "a"}, "annotations": {"authorization.k8s.io/decision": "allow"}});
            record(&event.to_string(), USER).allowed.into_iter().map(|request| request.verb).collect::<Vec<_>>()
        };
        assert_eq!(apply(201), ["create", "patch"]);
        assert_eq!(apply(200), ["patch"]);
    }

    #[test]
    fn a_right_of_somebody_else_does_not_count_as_used() {
        let mut doctored = cluster_role();
        doctored["rules"][0]["verbs"] = json!(["list", "delete"]);
        assert!(
            matches!(&checked(&doctored, &role())[..], [Violation::Unused { rule: 0, right }] if right.verb == "delete")
        );
    }

    #[test]
    fn a_rule_without_which_nothing_fails_is_found() {
        let mut doctored = cluster_role();
        if let Some(rules) = doctored["rules"].as_array_mut() {
            rules.push(json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}));
        }
        assert_eq!(checked(&doctored, &role()), [Violation::Needless { rule: 0 }, Violation::Needless { rule: 2 }]);
    }

    #[test]
    fn wildcards_are_found() {
        let mut doctored = cluster_role();
        doctored["rules"][0]["resources"] = json!(["*"]);
        assert!(checked(&doctored, &role()).contains(&Violation::Wildcard { rule: 0 }));
    }

    #[test]
    fn a_right_that_is_missing_is_found() {
        let forbidden = log().replace("\"allow\"", "\"forbid\"");
        let found = check(&[(&cluster_role(), None)], &record(&forbidden, USER), |_| false);
        assert!(
            found.iter().any(|violation| matches!(violation, Violation::Missing(request) if request.verb == "patch"))
        );
    }

    #[test]
    fn rights_used_while_another_request_is_served_are_not_called_unused() {
        let bind = json!({"rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["tetrarch-member-admin"], "verbs": ["bind"]}]});
        let found = check(&[(&bind, None)], &Record::default(), |right| right.verb == "bind");
        assert_eq!(found, []);
    }
}
