//! Why a command could not be done, with what to do next.

use kube::core::Status;

use crate::{exit::Exit, manifest::Problem};

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error(
        "cannot read the kubeconfig: {0}\nchoose one with --kubeconfig or $KUBECONFIG, and a context of it with --context"
    )]
    Kubeconfig(String),
    /// The API server refused or could not be reached.
    #[error("{0}")]
    Cluster(String),
    /// A pod of the Supervisor could not be asked.
    #[error("{0}")]
    Pod(String),
    /// The request makes no sense for the object as it is.
    #[error("{0}")]
    Request(String),
    /// Somebody else wrote to the object since it was read.
    #[error("{0}")]
    Changed(String),
    /// What was given holds nothing to do.
    #[error("{0}")]
    Unreadable(String),
    /// Files that were given are wrong.
    #[error("{}", lines(.0))]
    Files(Vec<Problem>),
    /// The time was up.
    #[error("{0}")]
    Timeout(String),
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
    /// The answer cannot be written as JSON or YAML.
    #[error("cannot write the answer: {0}")]
    Format(String),
}

impl Error {
    /// The exit code of this failure.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Kubeconfig(_) | Self::Cluster(_) => Exit::Unreachable,
            Self::Timeout(_) => Exit::Timeout,
            Self::Files(_) | Self::Unreadable(_) => Exit::Unreadable,
            Self::Pod(_) | Self::Request(_) | Self::Changed(_) | Self::Write(_) | Self::Format(_) => Exit::Failure,
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n       ")
}

impl From<Vec<Problem>> for Error {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Files(problems)
    }
}

/// What was asked of the API server, for the error text.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What was to be done, such as `read`.
    pub verb: &'a str,
    /// Plural name of the kind.
    pub resource: &'a str,
    /// Name of the object.
    pub name: Option<&'a str>,
    /// Its namespace.
    pub namespace: Option<&'a str>,
}

impl Asked<'_> {
    fn place(&self) -> String {
        let object = self.name.map_or(String::new(), |name| format!(" {name:?}"));
        let namespace = self.namespace.map_or(String::new(), |namespace| format!(" in namespace {namespace:?}"));
        format!("{}{object}{namespace}", self.resource)
    }

    /// Explains an error of the API server.
    pub fn explain(&self, error: &kube::Error) -> Error {
        match error {
            kube::Error::Api(status) => self.explain_status(status),
            other => Error::Cluster(format!(
                "cannot reach the cluster: {}\nchoose the cluster with --context, and see whether `kubectl version` reaches it",
                causes(other)
            )),
        }
    }

    fn explain_status(&self, status: &Status) -> Error {
        let place = self.place();
        match status.code {
            401 => {
                Error::Cluster("you are not logged in to the cluster: renew the credentials of your context".to_owned())
            }
            403 => Error::Cluster(format!(
                "you may not {} {place}: {}\nask an admin of the Domain to list you under spec.members, or try another namespace with -n",
                self.verb, status.message
            )),
            404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => Error::Cluster(format!(
                "the cluster does not know {}.{}: Tetrarch's definitions are not installed\ninstall them with `helm install tetrarch-crds charts/tetrarch-crds`, or choose another cluster with --context",
                self.resource,
                tetrarch_crds::GROUP
            )),
            404 => {
                let namespace = self.namespace.map_or(String::new(), |namespace| format!(" -n {namespace}"));
                let inside = self.namespace.map_or(String::new(), |namespace| format!(" in namespace {namespace:?}"));
                let (one, name) = (self.resource.trim_end_matches('s'), self.name.unwrap_or_default());
                Error::Request(format!(
                    "there is no {one} {name:?}{inside}\nsee what there is with `kubectl tetrarch get {}{namespace}`, or look everywhere with -A",
                    if self.resource == "agentpools" { "pools" } else { self.resource }
                ))
            }
            _ => Error::Cluster(format!("cannot {} {place}: {}", self.verb, status.message)),
        }
    }
}

/// An error with all its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    fn said(code: u16, name: &str) -> String {
        let details = StatusDetails {
            name: name.to_owned(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        };
        let status = Status { code, message: "no".to_owned(), details: Some(details), ..Status::default() };
        let asked = Asked { verb: "read", resource: "workflows", name: Some("audit"), namespace: Some("compliance") };
        asked.explain(&kube::Error::Api(Box::new(status))).to_string()
    }

    #[test]
    fn each_refusal_says_what_to_do_next() {
        assert!(said(404, "").contains("helm install tetrarch-crds"));
        let missing = said(404, "audit");
        assert!(missing.starts_with("there is no workflow \"audit\" in namespace \"compliance\""), "{missing}");
        assert!(missing.contains("get workflows -n compliance"));
        assert!(said(403, "audit").contains("spec.members"));
        assert!(said(401, "").contains("renew the credentials"));
    }
}
