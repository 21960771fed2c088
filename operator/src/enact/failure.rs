//! Why an effect failed, in the classes that decide when to try again.

use std::{future::Future, time::Duration};

use tetrarch_plan::{object::Kind, outcome::FailureClass};

/// Longest time of one write.
const LONGEST_WRITE: Duration = Duration::from_secs(15);

/// Why an effect failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What kind of failure.
    pub class: FailureClass,
    /// What was said; never holds a secret.
    pub message: String,
}

impl Failed {
    /// A failure.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// A failure of a call to the API server about `what`. Of Secrets only the reason is told, because the server's
    /// message may quote what it refuses.
    pub fn of_api(what: &impl std::fmt::Display, kind: Option<Kind>, error: &kube::Error) -> Self {
        let class = classify(error);
        let said = match error {
            kube::Error::Api(status) if kind == Some(Kind::Secret) => format!("{} {}", status.code, status.reason),
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        };
        Self::new(class, format!("{what}: {said}"))
    }

    /// A failure of a call to the bus.
    pub fn of_bus(error: &crate::bus::Error) -> Self {
        Self::new(FailureClass::Bus, error.to_string())
    }
}

fn classify(error: &kube::Error) -> FailureClass {
    let kube::Error::Api(status) = error else { return FailureClass::Transient };
    match status.code {
        // A namespace that is going away refuses new objects; it comes to an end by itself.
        403 if status.message.contains("because it is being terminated") => FailureClass::Transient,
        401 | 403 => FailureClass::Forbidden,
        409 => FailureClass::Conflict,
        400 | 415 | 422 => FailureClass::Invalid,
        _ => FailureClass::Transient,
    }
}

/// Awaits a call to the API server, but not forever.
pub async fn within<T>(
    what: &impl std::fmt::Display,
    kind: Option<Kind>,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(LONGEST_WRITE, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failed::of_api(what, kind, &error)),
        Err(_) => Err(Failed::new(
            FailureClass::Transient,
            format!("{what}: no answer from the API server within {} s", LONGEST_WRITE.as_secs()),
        )),
    }
}

/// Whether the API server says that the object does not exist.
pub fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    fn error(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[rstest]
    #[case(403, "namespaces is forbidden", FailureClass::Forbidden)]
    #[case(403, "unable to create: because it is being terminated", FailureClass::Transient)]
    #[case(409, "the object has been modified", FailureClass::Conflict)]
    #[case(422, "spec.replicas: Invalid value", FailureClass::Invalid)]
    #[case(500, "etcd", FailureClass::Transient)]
    #[case(429, "too many requests", FailureClass::Transient)]
    fn classes(#[case] code: u16, #[case] message: &str, #[case] class: FailureClass) {
        assert_eq!(Failed::of_api(&"x", None, &error(code, message)).class, class);
    }

    #[test]
    fn a_refused_secret_is_not_quoted() {
        let failed = Failed::of_api(&"Secret ns/x", Some(Kind::Secret), &error(422, "invalid value: SUAHIDDEN"));
        assert!(!failed.message.contains("HIDDEN"), "{}", failed.message);
    }
}
