//! The independent opinion: Debian's `licensecheck`, which recognises licences by patterns and shares no code or data with us.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    process::{Command, Output},
};

use crate::expression;

/// Why there is no second opinion.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tool cannot be started.
    #[error("cannot run licensecheck: {0}; install it with `apt-get install --no-install-recommends licensecheck`")]
    Start(io::Error),
    /// The tool fails.
    #[error("licensecheck failed: {0}")]
    Failed(String),
}

/// What the tool says.
#[derive(Debug, Default)]
pub struct Opinion {
    /// The licences of each file, by its path in the tree; empty when the tool recognises none.
    pub files: BTreeMap<String, BTreeSet<String>>,
    /// All licences that the tool can recognise.
    pub known: BTreeSet<String>,
    /// Version of the tool.
    pub version: String,
}

/// Asks the tool about every file of a tree.
pub fn ask(tree: &Path) -> Result<Opinion, Error> {
    let version = text(&run(&["--version"], tree)?);
    let known = text(&run(&["--list-licenses", "--shortname-scheme=spdx"], tree)?);
    let files = text(&run(&["--recursive", "--check=.*", "--machine", "--shortname-scheme=spdx", "."], tree)?);
    Ok(Opinion {
        files: files.lines().filter_map(parse_line).collect(),
        known: known.lines().map(|line| line.trim().to_owned()).collect(),
        version: version.lines().next().unwrap_or_default().trim().to_owned(),
    })
}

fn run(args: &[&str], tree: &Path) -> Result<Output, Error> {
    let output = Command::new("licensecheck")
        .args(args)
        .current_dir(tree)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .map_err(Error::Start)?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(Error::Failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One line of the machine form: `<path>\t<licences>`, joined by `and`, `or`, `and/or`.
fn parse_line(line: &str) -> Option<(String, BTreeSet<String>)> {
    let (path, licences) = line.split_once('\t')?;
    let path = path.strip_prefix("./").unwrap_or(path).to_owned();
    let licences = licences.split('\t').next().unwrap_or_default();
    let ids = licences
        .split(" and/or ")
        .flat_map(|part| part.split(" or "))
        .flat_map(|part| part.split(" and "))
        .map(|id| id.trim_matches(['(', ')', ' ']))
        .filter(|id| !id.is_empty() && *id != "UNKNOWN")
        .map(canonical)
        .collect();
    Some((path, ids))
}

/// The SPDX spelling of an id where there is one.
fn canonical(id: &str) -> String {
    match expression::ids(id).into_iter().next() {
        Some(known) if spdx::license_id(id).is_some() => known,
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_machine_form() {
        let (path, ids) = parse_line("./encoding_rs-0.8.44/COPYRIGHT\tApache-2.0 or MIT and/or BSD-3-Clause").unwrap();
        assert_eq!(path, "encoding_rs-0.8.44/COPYRIGHT");
        assert_eq!(ids, ["Apache-2.0", "BSD-3-Clause", "MIT"].map(str::to_owned).into());
        assert!(parse_line("x/LICENSE\tUNKNOWN").unwrap().1.is_empty());
    }
}
