//! Makes the dataset: asks cargo for all dependencies of a workspace and collects the licence files of their sources.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::dataset::{Dataset, FILE, LicenceFile, Package, TREE};

/// Why the dataset cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cargo cannot be started or fails.
    #[error("`cargo metadata` for {manifest} failed: {reason}")]
    Cargo {
        /// The manifest.
        manifest: String,
        /// What cargo says.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The dataset cannot be written as JSON.
    #[error("the dataset cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<PathBuf>,
    source: Option<String>,
    manifest_path: PathBuf,
}

/// Writes `dataset.json` and `tree/` into `out` and returns the dataset. The same lock file always gives the same bytes.
pub fn gather(manifest: &Path, out: &Path) -> Result<Dataset, Error> {
    let mut found = cargo_metadata(manifest)?;
    found.packages.retain(|package| package.source.is_some());
    found.packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    let tree = out.join(TREE);
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(|source| at(&tree, source))?;
    }
    let mut dataset = Dataset::default();
    for package in &found.packages {
        dataset.packages.push(collect(package, &tree)?);
    }
    let path = out.join(FILE);
    fs::write(&path, serde_json::to_vec_pretty(&dataset)?).map_err(|source| at(&path, source))?;
    Ok(dataset)
}

fn cargo_metadata(manifest: &Path) -> Result<Metadata, Error> {
    let failed = |reason: String| Error::Cargo { manifest: manifest.display().to_string(), reason };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(manifest)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

fn collect(package: &MetadataPackage, tree: &Path) -> Result<Package, Error> {
    let source = package.manifest_path.parent().unwrap_or(Path::new("/"));
    let mut collected = Package {
        name: package.name.clone(),
        version: package.version.clone(),
        declared: package.license.clone(),
        files: Vec::new(),
    };
    for path in licence_files(source, package.license_file.as_deref())? {
        let bytes = fs::read(source.join(&path)).map_err(|error| at(&source.join(&path), error))?;
        let copy = tree.join(collected.folder()).join(&path);
        if let Some(folder) = copy.parent() {
            fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        }
        fs::write(&copy, &bytes).map_err(|error| at(&copy, error))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        collected.files.push(LicenceFile { name: path.display().to_string(), text });
    }
    Ok(collected)
}

/// Paths inside the package, sorted: files at its root that are named like licences, all in folders so named, and the one its manifest names.
fn licence_files(source: &Path, named: Option<&Path>) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in entries(source)? {
        let path = source.join(&entry);
        if path.is_file() && is_licence_name(&entry) {
            paths.push(PathBuf::from(entry));
        } else if path.is_dir() && is_licence_name(&entry) {
            let inner = entries(&path)?.into_iter().filter(|inner| path.join(inner).is_file());
            paths.extend(inner.map(|inner| Path::new(&entry).join(inner)));
        }
    }
    // A path that leaves the package is another package's file and is not part of this source.
    let inside = |path: &&Path| path.is_relative() && !path.starts_with("..") && source.join(path).is_file();
    paths.extend(named.filter(inside).map(Path::to_path_buf));
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn entries(folder: &Path) -> Result<Vec<String>, Error> {
    let read = fs::read_dir(folder).map_err(|error| at(folder, error))?;
    let names: Result<Vec<String>, io::Error> =
        read.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
    names.map_err(|error| at(folder, error))
}

fn is_licence_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    let starts =
        ["license", "licence", "copying", "copyright", "unlicense"].iter().any(|prefix| lower.starts_with(prefix));
    let is_code = [".rs", ".toml", ".json", ".py", ".sh", ".hbs"].iter().any(|ending| lower.ends_with(ending));
    starts && !is_code
}

fn at(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_what_is_named_like_a_licence_and_what_the_manifest_names() {
        let package = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = package.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        for name in
            ["LICENSE-MIT", "licence.txt", "COPYING", "LICENSES/Zlib.txt", "license.rs", "README.md", "docs/terms"]
        {
            write(name);
        }
        let paths = licence_files(package.path(), Some(Path::new("docs/terms"))).unwrap();
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(paths, ["COPYING", "LICENSE-MIT", "LICENSES/Zlib.txt", "docs/terms", "licence.txt"]);
    }

    #[test]
    fn a_licence_file_outside_the_package_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("member")).unwrap();
        fs::write(folder.path().join("LICENSE"), "x").unwrap();
        assert!(licence_files(&folder.path().join("member"), Some(Path::new("../LICENSE"))).unwrap().is_empty());
    }
}
