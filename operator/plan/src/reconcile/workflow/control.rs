//! What people ask of runs that exist, in annotations.

use kube_core::ResourceExt;
use tetrarch_core::id::RunId;
use tetrarch_crds::Workflow;
use tetrarch_protocol::{
    control::{Asked, Control},
    request::Ask,
};

use crate::{
    names::{ANNOTATION_PAUSE, ANNOTATION_TERMINATE},
    request,
};

/// Everything that is asked, and what of it cannot be read. What can be read holds all the same.
pub(super) fn read(object: &Workflow) -> (Control, Vec<String>) {
    let mut refused = Vec::new();
    let stamped = request::stamped(object.metadata.annotations.as_ref());
    let mut runs = |annotation: &str, ask: Ask| -> Vec<Asked> {
        let text = object.annotations().get(annotation).map(String::as_str).unwrap_or_default();
        let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
        let asked = ids.filter_map(|id| match id.parse::<RunId>() {
            Ok(run) => {
                let stamp = request::stamp_of(&stamped, ask, id);
                Some(Asked { run, cause: request::cause("request", stamp.as_ref()), stamp })
            }
            Err(error) => {
                refused.push(format!(
                    "metadata.annotations[{annotation}]: {error}: write run ids as status.run.id shows them, joined by commas"
                ));
                None
            }
        });
        asked.collect()
    };
    let (pause, terminate) = (runs(ANNOTATION_PAUSE, Ask::Pause), runs(ANNOTATION_TERMINATE, Ask::Terminate));
    // Only the stamps know who took a run out of the list, and the snapshot lists those to be cancelled elsewhere.
    let by_stamp = |ask: Ask| {
        let of_ask = stamped.iter().filter(move |stamped| stamped.ask == ask);
        let asked = of_ask.filter_map(|stamped| {
            let stamp = Some(stamped.stamp.clone());
            Some(Asked { run: stamped.of.parse().ok()?, cause: request::cause("request", stamp.as_ref()), stamp })
        });
        asked.collect()
    };
    (Control { pause, terminate, cancel: by_stamp(Ask::Cancel), resume: by_stamp(Ask::Resume) }, refused)
}
