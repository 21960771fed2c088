//! URLs of the Kubernetes API.

use std::fmt;

use serde_json::Value;

/// Which object a URL means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Plural of the kind.
    pub plural: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Such as `status`.
    pub subresource: Option<String>,
}

impl Path {
    /// Reads a URL; of a collection the name is taken from the body.
    pub fn parse(url: &str, body: &Value) -> Option<Self> {
        let parts: Vec<&str> = url.trim_matches('/').split('/').collect();
        let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = parts.as_slice() else { return None };
        let owned = |text: &&str| (*text).to_owned();
        let body_name = body["metadata"]["name"].as_str().map(ToOwned::to_owned);
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                (Some(owned(namespace)), owned(plural), rest)
            }
            [plural, rest @ ..] => (None, owned(plural), rest),
            [] => return None,
        };
        let name = rest.first().map(owned).or(body_name)?;
        Some(Self { plural, namespace, name, subresource: rest.get(1).map(owned) })
    }

    /// The path of an object.
    pub fn of_object(plural: &str, object: &Value) -> Self {
        let text = |key: &str| object["metadata"][key].as_str().map(ToOwned::to_owned);
        Self {
            plural: plural.to_owned(),
            namespace: text("namespace"),
            name: text("name").unwrap_or_default(),
            subresource: None,
        }
    }

    /// The object itself.
    #[must_use]
    pub fn without_subresource(&self) -> Self {
        Self { subresource: None, ..self.clone() }
    }

    /// `<namespace>/<name>`, or the name alone.
    pub fn object(&self) -> String {
        self.namespace.as_ref().map_or_else(|| self.name.clone(), |namespace| format!("{namespace}/{}", self.name))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.plural, self.object())
    }
}
