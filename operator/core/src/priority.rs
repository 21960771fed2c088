//! The four priority classes and the limits that an Orchestrator gives them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One of the four priority classes, ordered from the most to the least urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Pulled before everything else.
    Critical,
    /// Pulled before normal and low.
    High,
    /// The default.
    #[default]
    Normal,
    /// Pulled when nothing else waits.
    Low,
}

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The name used in subjects, metrics and manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl std::str::FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| UnknownClass(text.to_owned()))
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no priority class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no priority class: write critical, high, normal or low")]
pub struct UnknownClass(pub String);

/// Limits of one class for one Supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassLimits {
    /// Which class.
    pub class: Class,
    /// Runs of this class that a Supervisor drives at once.
    pub max_concurrent: u32,
    /// Longest time of a run that sets no timeout of its own, in milliseconds on the wire.
    #[serde(with = "crate::workflow::definition::millis")]
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    //! Tests of the classes: their order, their names, their limits on the wire.

    use super::*;

    #[test]
    fn classes_are_ordered_from_the_most_urgent() {
        assert!(Class::ALL.is_sorted());
        assert_eq!(Class::ALL.map(Class::as_str), ["critical", "high", "normal", "low"]);
        assert_eq!(Class::default(), Class::Normal);
    }

    #[test]
    fn every_class_is_read_from_its_name() {
        for class in Class::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        let unknown = "High".parse::<Class>().unwrap_err();
        assert_eq!(unknown.to_string(), "\"High\" is no priority class: write critical, high, normal or low");
    }

    #[test]
    fn limits_are_milliseconds_on_the_wire() {
        let limits = ClassLimits { class: Class::High, max_concurrent: 5, timeout: Duration::from_mins(30) };
        let wire = serde_json::json!({"class": "high", "maxConcurrent": 5, "timeout": 1_800_000});
        assert_eq!(serde_json::to_value(limits).unwrap(), wire);
        assert_eq!(serde_json::from_value::<ClassLimits>(wire).unwrap(), limits);
    }
}
