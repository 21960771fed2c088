//! The agents behind the HTTP agent protocol: each takes the input of a task and answers with its output.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tetrarch_protocol::agent::Response;

use crate::{
    classify::{self, Classification},
    copyleft,
    dataset::{self, Dataset, Package},
    detect::Detector,
    report,
};

/// Why a task is refused for good.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input has another shape.
    #[error("the input is not what this agent takes: {0}")]
    Input(serde_json::Error),
    /// The task itself asks for a refusal.
    #[error("{0}")]
    Refused(String),
    /// The output cannot be written as JSON.
    #[error("the output cannot be written as JSON: {0}")]
    Output(serde_json::Error),
}

/// One of the agents.
pub enum Agent {
    /// Serves the dataset.
    Inventory(Dataset),
    /// Recognises licences.
    Classify(Box<Detector>),
    /// Reduces classifications to a report.
    Report,
    /// Looks for copyleft.
    Copyleft,
    /// Answers with its input, refuses it for the reason that is given as `refuse`, or hands it over as `handOver` says.
    Echo,
}

/// Which part of the dataset is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Page {
    /// Packages that are left out at the start.
    offset: usize,
    /// Packages at most; all when left out.
    limit: Option<usize>,
}

/// Input of the classifier.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageInput {
    package: Package,
}

/// Input of the reporters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassificationsInput {
    classifications: Vec<Classification>,
}

impl Agent {
    /// The agent that serves the dataset of a folder.
    pub fn inventory(folder: &Path) -> Result<Arc<Self>, dataset::Error> {
        Ok(Arc::new(Self::Inventory(Dataset::read(folder)?)))
    }

    /// The agent that recognises licences.
    pub fn classify() -> Arc<Self> {
        Arc::new(Self::Classify(Box::new(Detector::spdx())))
    }

    /// Answers one task.
    pub fn answer(&self, input: Value) -> Result<Response, Error> {
        let named = input.get("handOver").filter(|named| matches!(self, Self::Echo) && !named.is_null());
        Ok(match named {
            Some(named) => Response { output: None, hand_over: Some(parse(named.clone())?), error: None },
            None => Response { output: Some(self.work(input)?), hand_over: None, error: None },
        })
    }

    /// Does one task. The same input always gives the same output.
    pub fn work(&self, input: Value) -> Result<Value, Error> {
        match self {
            Self::Echo => match input.get("refuse").and_then(Value::as_str) {
                Some(reason) => Err(Error::Refused(reason.to_owned())),
                None => Ok(input),
            },
            Self::Inventory(dataset) => {
                let page: Page = if input.is_null() { Page::default() } else { parse(input)? };
                let packages = dataset.packages.iter().skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
                let packages: Vec<&Package> = packages.collect();
                Ok(serde_json::json!({ "total": dataset.packages.len(), "packages": packages }))
            }
            Self::Classify(detector) => {
                let PackageInput { package } = parse(input)?;
                write(&classify::classify(detector, &package))
            }
            Self::Report => write(&report::report(&parse::<ClassificationsInput>(input)?.classifications)),
            Self::Copyleft => write(&copyleft::find_copyleft(&parse::<ClassificationsInput>(input)?.classifications)),
        }
    }
}

fn parse<T: DeserializeOwned>(input: Value) -> Result<T, Error> {
    serde_json::from_value(input).map_err(Error::Input)
}

fn write<T: serde::Serialize>(output: &T) -> Result<Value, Error> {
    serde_json::to_value(output).map_err(Error::Output)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn three() -> Agent {
        let named = |name: &str| Package { name: name.to_owned(), version: "1.0.0".to_owned(), ..Package::default() };
        Agent::Inventory(Dataset { packages: ["a", "b", "c"].map(named).to_vec() })
    }

    #[test]
    fn inventory_serves_all_or_a_page() {
        let all = three().work(Value::Null).unwrap();
        assert_eq!((all["total"].as_u64(), all["packages"].as_array().map(Vec::len)), (Some(3), Some(3)));
        let page = three().work(json!({"offset": 1, "limit": 1})).unwrap();
        assert_eq!((page["total"].as_u64(), page["packages"][0]["name"].as_str()), (Some(3), Some("b")));
    }

    #[test]
    fn echo_answers_with_its_input() {
        assert_eq!(Agent::Echo.work(json!({"a": [1, null]})).unwrap(), json!({"a": [1, null]}));
    }

    #[test]
    fn echo_refuses_when_it_is_told_to() {
        let error = Agent::Echo.work(json!({"refuse": "no room"})).unwrap_err();
        assert_eq!(error.to_string(), "no room");
        assert!(Agent::Echo.work(json!({"refuse": null})).is_ok());
    }

    #[test]
    fn echo_hands_over_when_it_is_told_to() {
        let answer =
            Agent::Echo.answer(json!({"handOver": {"capability": "billing", "input": {"amount": 12}}})).unwrap();
        let hand_over = answer.hand_over.unwrap();
        assert_eq!((hand_over.capability.as_str(), hand_over.input), ("billing", Some(json!({"amount": 12}))));
        assert_eq!(Agent::Echo.answer(json!(1)).unwrap().output, Some(json!(1)));
        assert!(Agent::Echo.answer(json!({"handOver": {}})).is_err());
    }

    #[test]
    fn a_wrong_input_is_refused_with_the_field() {
        let error = Agent::Report.work(json!({"results": []})).unwrap_err();
        assert!(error.to_string().contains("unknown field `results`, expected `classifications`"), "{error}");
    }
}
