//! Validated names and the ids of runs, tasks and attempts.
//!
//! Every id here is also one token of a bus subject, so it holds none of `.`, `*`, `>` and white space.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a text is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is empty or longer than the limit.
    #[error("{text:?} has {len} characters: write 1 to {max}")]
    Length {
        /// The refused text.
        text: String,
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The text holds a character that is not allowed.
    #[error("{text:?} holds {found:?}: use lower-case letters, digits and {extra}")]
    Character {
        /// The refused text.
        text: String,
        /// The first character that is not allowed.
        found: char,
        /// What is allowed beside letters and digits.
        extra: &'static str,
    },
    /// A task id that does not have the form `<run>/<path>/<attempt>`.
    #[error("{0:?} is no task id: it has the form <run>/<step>/<attempt>")]
    TaskId(String),
}

fn check(text: &str, max: usize, extra: &'static str) -> Result<(), Error> {
    if text.is_empty() || text.len() > max {
        return Err(Error::Length { text: text.to_owned(), len: text.len(), max });
    }
    match text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(*c))) {
        Some(found) => Err(Error::Character { text: text.to_owned(), found, extra }),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $max:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                check(text, $max, $extra)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                check(&text, $max, $extra)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Name of a Kubernetes object that is also a label: RFC 1123, at most 63 characters.
    Name, 63, "-"
);
id!(
    /// Id of a run, unique in its Domain: `<workflow>-<first characters of the uid>-<generation or request>`.
    RunId, 128, "-"
);
id!(
    /// Place of a task in its run: the step's name, and for the tasks of a composite step its parts joined by `:`,
    /// such as `classify:17`, `checks:branch-a:stage-1` or `classify:reduce`.
    TaskPath, 200, "-:"
);

impl Name {
    /// Stands where a pool would, for tasks that are runs. No object has a name that begins with a dash.
    pub fn of_runs() -> Self {
        Self("-run".to_owned())
    }
}

impl RunId {
    /// The run of `workflow` that an attempt of a step of another run begins: `<workflow>-c<hash>`. It follows from its parent, so
    /// beginning it twice is one run.
    pub fn of_child(workflow: &Name, parent: &Self, step: &Name, attempt: u32) -> Self {
        let digest = Sha256::digest(format!("{parent}/{step}/{attempt}"));
        let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        Self(format!("{workflow}-c{hash:016x}"))
    }
}

impl TaskPath {
    /// The only task of a task step.
    pub fn of_step(step: &Name) -> Self {
        Self(step.0.clone())
    }

    /// The task for one item of a map step, counted from 0.
    pub fn of_item(step: &Name, index: usize) -> Self {
        Self(format!("{step}:{index}"))
    }

    /// The task that reduces the outputs of a map step.
    pub fn of_reduce(step: &Name) -> Self {
        Self(format!("{step}:reduce"))
    }

    /// The task that reduces a group of outputs of a map step, on a level of its tree, both counted from 0.
    pub fn of_group(step: &Name, level: usize, group: usize) -> Self {
        Self(format!("{step}:reduce:{level}:{group}"))
    }

    /// The task that undoes a step of one task.
    pub fn of_compensation(step: &Name) -> Self {
        Self(format!("{step}:compensate"))
    }

    /// The task that judges the output of a step, counted from 1.
    pub fn of_judgement(step: &Name, round: u32) -> Self {
        Self(format!("{step}:judge:{round}"))
    }

    /// The task that plans a step, counted from 1.
    pub fn of_planning(step: &Name, round: u32) -> Self {
        Self(format!("{step}:plan:{round}"))
    }

    /// One stage of a pipeline step.
    pub fn of_stage(step: &Name, stage: &Name) -> Self {
        Self(format!("{step}:{stage}"))
    }

    /// One stage of a branch of a parallel step. Three names and two colons stay below the limit.
    pub fn of_branch(step: &Name, branch: &Name, stage: &Name) -> Self {
        Self(format!("{step}:{branch}:{stage}"))
    }

    /// The parts between the colons, the step's name first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(':')
    }
}

/// One attempt at one task of one run. It is also the agent's idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The run.
    pub run: RunId,
    /// The place in the run.
    pub path: TaskPath,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.path, self.attempt)
    }
}

impl FromStr for TaskId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next().map(str::parse), parts.next()) {
            (Some(run), Some(path), Some(Ok(attempt)), None) => {
                Ok(Self { run: run.parse()?, path: path.parse()?, attempt })
            }
            _ => Err(Error::TaskId(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Tests of ids: what they refuse, and that every one is a token of a subject.

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a")]
    #[case("licence-audit-2")]
    #[case("0")]
    fn names_are_read(#[case] text: &str) {
        assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
    }

    #[rstest]
    #[case("", "\"\" has 0 characters: write 1 to 63")]
    #[case(&"x".repeat(64), "has 64 characters: write 1 to 63")]
    #[case("a.b", "\"a.b\" holds '.': use lower-case letters, digits and -")]
    #[case("Abc", "holds 'A'")]
    #[case("a b", "holds ' '")]
    #[case("a>", "holds '>'")]
    #[case("a*", "holds '*'")]
    #[case("a:b", "holds ':'")]
    #[case("ä", "holds 'ä'")]
    fn other_texts_are_no_names(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<Name>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(serde_json::from_value::<Name>(text.into()).is_err());
    }

    #[rstest]
    #[case("run-1/classify:17/3", Some(("run-1", "classify:17", 3)))]
    #[case("run-1/classify", None)]
    #[case("run-1/classify/x", None)]
    #[case("run-1/classify/1/2", None)]
    #[case("run:1/classify/1", None)]
    fn task_ids_are_read(#[case] text: &str, #[case] expected: Option<(&str, &str, u32)>) {
        let read = text.parse::<TaskId>().ok();
        assert_eq!(read.as_ref().map(|id| (id.run.as_str(), id.path.as_str(), id.attempt)), expected);
        if let Some(id) = read {
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn the_run_of_a_step_has_an_id_that_follows_from_the_step() {
        let (workflow, step): (Name, Name) = ("x".repeat(63).parse().unwrap(), "review".parse().unwrap());
        let parent: RunId = "audit-1".parse().unwrap();
        let child = RunId::of_child(&workflow, &parent, &step, 1);
        assert_eq!(child.as_str().parse::<RunId>().as_ref(), Ok(&child));
        assert_eq!(child, RunId::of_child(&workflow, &parent, &step, 1));
        let others = [
            RunId::of_child(&workflow, &parent, &step, 2),
            RunId::of_child(&workflow, &"audit-2".parse().unwrap(), &step, 1),
            RunId::of_child(&workflow, &parent, &"sign".parse().unwrap(), 1),
        ];
        assert!(!others.contains(&child));
    }

    #[test]
    fn the_longest_names_make_valid_paths() {
        let long: Name = "x".repeat(63).parse().unwrap();
        let paths = [
            TaskPath::of_step(&long),
            TaskPath::of_item(&long, usize::MAX),
            TaskPath::of_reduce(&long),
            TaskPath::of_group(&long, usize::MAX, usize::MAX),
            TaskPath::of_compensation(&long),
            TaskPath::of_judgement(&long, u32::MAX),
            TaskPath::of_stage(&long, &long),
            TaskPath::of_branch(&long, &long, &long),
        ];
        for path in paths {
            assert_eq!(path.as_str().parse::<TaskPath>().as_ref(), Ok(&path));
            assert_eq!(path.parts().next(), Some(long.as_str()));
        }
    }

    proptest! {
        #[test]
        fn every_id_is_one_token_of_a_subject(text in ".{0,70}") {
            if let Ok(path) = text.parse::<TaskPath>() {
                prop_assert!(!path.as_str().contains(['.', '*', '>', ' ', '\t']) && !path.as_str().is_empty());
            }
        }
    }
}
