//! Prints the CustomResourceDefinitions of all kinds as YAML documents, from the top level down.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for definition in tetrarch_crds::schema::definitions() {
        writeln!(out, "---\n{}", serde_yaml::to_string(&definition)?)?;
    }
    Ok(())
}
