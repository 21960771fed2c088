//! Refuses to write over objects that someone else controls.

use kube::api::ObjectMeta;
use serde_json::Value;
use tetrarch_plan::{
    names,
    object::{Kind, Object},
    outcome::FailureClass,
};

use super::failure::Failed;

/// Kinds whose takeover is decided by the plan, which sees the object itself.
pub const fn is_decided_by_plan(kind: Kind) -> bool {
    matches!(kind, Kind::Namespace | Kind::Supervisor | Kind::AgentPool | Kind::Workflow)
}

/// Checks that an object that exists may be written.
pub fn check(object: &Object, existing: &ObjectMeta) -> Result<(), Failed> {
    let key = &object.key;
    if existing.deletion_timestamp.is_some() {
        return Err(Failed::new(FailureClass::Conflict, format!("{key} is being deleted; it is made anew afterwards")));
    }
    let owners = existing.owner_references.as_deref().unwrap_or_default();
    if let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)) {
        if Some(owner.uid.as_str()) == wanted_controller(object) {
            return Ok(());
        }
        let message = format!(
            "{key} exists and is controlled by {} {}: delete it or choose another name",
            owner.kind, owner.name
        );
        return Err(Failed::new(FailureClass::NotOwned, message));
    }
    let manager = existing.labels.as_ref().and_then(|labels| labels.get(names::LABEL_MANAGED_BY));
    if manager.is_some_and(|manager| manager == names::MANAGED_BY) {
        return Ok(());
    }
    let message = format!(
        "{key} exists and does not belong to Tetrarch: delete it, choose another name, or hand it over with the label {}={}",
        names::LABEL_MANAGED_BY,
        names::MANAGED_BY
    );
    Err(Failed::new(FailureClass::NotOwned, message))
}

/// The uid of the controller that the manifest names.
fn wanted_controller(object: &Object) -> Option<&str> {
    let owners = object.manifest.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner["controller"] == Value::Bool(true))?["uid"].as_str()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
    use rstest::rstest;
    use serde_json::json;
    use tetrarch_plan::object::ObjectKey;

    use super::*;

    fn wanted() -> Object {
        let owner = json!({"uid": "mine", "controller": true, "kind": "AgentPool", "name": "a"});
        let key = ObjectKey::namespaced(Kind::Service, "ns", "a-agents");
        Object::new(key, json!({"metadata": {"ownerReferences": [owner]}}))
    }

    fn existing(controller: Option<&str>, label: bool) -> ObjectMeta {
        let owner = |uid: &str| OwnerReference {
            uid: uid.to_owned(),
            controller: Some(true),
            kind: "StatefulSet".to_owned(),
            name: "db".to_owned(),
            ..OwnerReference::default()
        };
        ObjectMeta {
            owner_references: controller.map(|uid| vec![owner(uid)]),
            labels: label.then(|| [(names::LABEL_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned())].into()),
            ..ObjectMeta::default()
        }
    }

    #[rstest]
    #[case::ours(Some("mine"), true, None)]
    #[case::of_someone_else(Some("other"), true, Some("controlled by StatefulSet db"))]
    #[case::nobodys_with_our_label(None, true, None)]
    #[case::nobodys(None, false, Some("does not belong to Tetrarch"))]
    fn who_may_be_written_over(#[case] controller: Option<&str>, #[case] label: bool, #[case] refusal: Option<&str>) {
        match (check(&wanted(), &existing(controller, label)), refusal) {
            (Ok(()), None) => {}
            (Err(failed), Some(text)) => {
                assert_eq!(failed.class, FailureClass::NotOwned);
                assert!(failed.message.contains(text), "{}", failed.message);
            }
            (result, _) => panic!("{result:?}"),
        }
    }

    #[test]
    fn an_object_on_its_way_out_is_tried_again_later() {
        let meta =
            ObjectMeta { deletion_timestamp: Some(Time(jiff::Timestamp::UNIX_EPOCH)), ..existing(Some("mine"), true) };
        assert_eq!(check(&wanted(), &meta).unwrap_err().class, FailureClass::Conflict);
    }
}
