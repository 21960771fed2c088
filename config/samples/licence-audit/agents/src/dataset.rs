//! The dataset: packages with what they declare and the licence texts they ship.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

/// Name of the dataset's file in its folder.
pub const FILE: &str = "dataset.json";

/// Name of the folder beside it that holds the same files byte for byte, one folder for each package.
pub const TREE: &str = "tree";

/// Why a dataset cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; make it with `licence-agents gather --out {folder}`")]
    Read {
        /// The file.
        path: String,
        /// Its folder.
        folder: String,
        /// The cause.
        source: io::Error,
    },
    /// The file is not a dataset.
    #[error("{path} is not a dataset: {source}")]
    Parse {
        /// The file.
        path: String,
        /// The cause.
        source: serde_json::Error,
    },
}

/// All packages, sorted by name and version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// The packages.
    pub packages: Vec<Package>,
}

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name of the package.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// The licence expression of its manifest, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// Its licence files, sorted by name.
    #[serde(default)]
    pub files: Vec<LicenceFile>,
}

impl Package {
    /// `<name>-<version>`: the name of its folder in the tree.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// One licence file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenceFile {
    /// Path inside the package.
    pub name: String,
    /// Its text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl Dataset {
    /// Reads `dataset.json` of a folder.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let bytes = fs::read(&path).map_err(|source| Error::Read {
            path: path.display().to_string(),
            folder: folder.display().to_string(),
            source,
        })?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Parse { path: path.display().to_string(), source })
    }
}
