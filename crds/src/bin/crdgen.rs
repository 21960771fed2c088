//! Writes what is generated from the types: the definitions for kubectl, for the chart, and the reference of all fields.
//!
//! `crdgen <folder>` writes one file for each kind, `crdgen --helm <folder>` templates for the chart and
//! `crdgen --markdown <folder>` a page of all fields. Without arguments all definitions are printed as YAML documents.

use std::{error::Error, fs, io::Write, path::Path};

use tetrarch_crds::{manifest, reference, schema};

const USAGE: &str = "usage: crdgen [<folder> | --helm <folder> | --markdown <folder>]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let definitions = schema::definitions();
    let mut out = std::io::stdout().lock();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            for definition in &definitions {
                write!(out, "---\n{}", manifest::plain(definition)?)?;
            }
        }
        ["--markdown", folder] if !folder.starts_with('-') => {
            fs::create_dir_all(folder)?;
            for definition in &definitions {
                fs::write(Path::new(folder).join(reference::file_name(definition)), reference::page(definition))?;
            }
        }
        ["--helm", folder] if !folder.starts_with('-') => {
            fs::create_dir_all(folder)?;
            for definition in &definitions {
                fs::write(Path::new(folder).join(manifest::file_name(definition)), manifest::template(definition)?)?;
            }
        }
        [folder] if !folder.starts_with('-') => {
            fs::create_dir_all(folder)?;
            for definition in &definitions {
                fs::write(Path::new(folder).join(manifest::file_name(definition)), manifest::plain(definition)?)?;
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
