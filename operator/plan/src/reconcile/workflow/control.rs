//! What people ask of runs that exist, in annotations.

use kube_core::ResourceExt;
use tetrarch_core::id::RunId;
use tetrarch_crds::Workflow;
use tetrarch_protocol::control::{Asked, Control};

use crate::names::{ANNOTATION_PAUSE, ANNOTATION_TERMINATE};

/// Everything that is asked, and what of it cannot be read. What can be read holds all the same.
pub(super) fn read(object: &Workflow) -> (Control, Vec<String>) {
    let mut refused = Vec::new();
    let mut runs = |annotation: &str| -> Vec<Asked> {
        let text = object.annotations().get(annotation).map(String::as_str).unwrap_or_default();
        let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
        let asked = ids.filter_map(|id| match id.parse::<RunId>() {
            Ok(run) => Some(Asked { run, cause: "request".to_owned() }),
            Err(error) => {
                refused.push(format!(
                    "metadata.annotations[{annotation}]: {error}: write run ids as status.run.id shows them, joined by commas"
                ));
                None
            }
        });
        asked.collect()
    };
    let control = Control { pause: runs(ANNOTATION_PAUSE), terminate: runs(ANNOTATION_TERMINATE) };
    (control, refused)
}
