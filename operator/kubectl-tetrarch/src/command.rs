//! The commands: each reads what it needs, asks `view` for the text or `request` for the change, and says how it ended.

pub mod ask;
pub mod control;
pub mod decide;
pub mod follow;
pub mod history;
pub mod import;
pub mod logs;
pub mod plan;
pub mod policy;
pub mod reference;
pub mod show;
pub mod version;

use serde::Serialize;

use crate::{args::Format, failure::Error};

/// A value as YAML, or else as JSON.
pub fn serialized<T: Serialize>(value: &T, as_yaml: bool) -> Result<String, Error> {
    formatted(value, if as_yaml { Format::Yaml } else { Format::Json })
}

/// A value as JSON or YAML.
pub fn formatted<T: Serialize>(value: &T, format: Format) -> Result<String, Error> {
    let failed = |error: &dyn std::error::Error| Error::Format(error.to_string());
    match format {
        Format::Yaml => serde_yaml::to_string(value).map_err(|error| failed(&error)),
        Format::Json | Format::Wide => {
            serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| failed(&error))
        }
    }
}
