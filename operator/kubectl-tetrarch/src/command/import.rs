//! `import`: workflows of others as Workflows, with a report of what is not carried over.

use std::{
    io::{self, Read as _, Write as _},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    args::import::{Form, Import},
    exit::Exit,
    failure::Error,
    import::{self, Imported, Severity},
    manifest::{
        Problem,
        read::{self, Document},
    },
    screen::Screen,
};

/// Converts every document and prints what comes of it, unless one cannot be converted.
pub fn import(args: &Import, namespace: Option<&str>) -> Result<Exit, Error> {
    let documents = documents(&args.path)?;
    if documents.is_empty() {
        return Err(Error::Unreadable(format!("{} holds no document", args.path.display())));
    }
    let mut problems = Vec::new();
    let mut found: Vec<(&Document, Imported)> = Vec::new();
    for document in &documents {
        match import::import(&document.value, args.supervisor.as_deref()) {
            Ok(mut imported) => {
                if let Some(namespace) = namespace {
                    imported.workflow.metadata.namespace = Some(namespace.to_owned());
                }
                found.push((document, imported));
            }
            Err(import::Error::Source { path, message }) => problems.push(document.problem(path, message)),
            Err(error) => problems.push(document.problem("", error.to_string())),
        }
    }
    if !problems.is_empty() {
        return Err(Error::Files(problems));
    }
    Screen::stdout().print(&manifests(&found, args.format)?)?;
    report(&found)?;
    let fails = |severity: Severity| args.strict || severity == Severity::LeftOut;
    let is_whole = !found.iter().flat_map(|(_, imported)| &imported.findings).any(|finding| fails(finding.severity));
    Ok(if is_whole { Exit::Success } else { Exit::Failure })
}

fn documents(path: &Path) -> Result<Vec<Document>, Error> {
    if path != Path::new("-") {
        return Ok(read::documents(&[path.to_owned()])?);
    }
    let mut text = String::new();
    let name = Path::new("<stdin>");
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| vec![Problem::of_file(name, format!("cannot be read: {error}"))])?;
    Ok(read::of_text(name, &text).map_err(|problem| vec![problem])?)
}

fn manifests(found: &[(&Document, Imported)], form: Form) -> Result<String, Error> {
    let failed = |error: serde_yaml::Error| Error::Format(error.to_string());
    if form == Form::Yaml {
        let one = |(_, imported): &(&Document, Imported)| {
            let comments = import::comments(&imported.origin, &imported.findings);
            Ok(format!("{comments}{}", import::yaml(&imported.workflow).map_err(failed)?))
        };
        return Ok(found.iter().map(one).collect::<Result<Vec<_>, Error>>()?.join("---\n"));
    }
    let items = found.iter().map(|(_, imported)| import::manifest(&imported.workflow).map_err(failed));
    let mut items: Vec<Value> = items.collect::<Result<_, _>>()?;
    let whole = match items.len() {
        1 => items.remove(0),
        _ => json!({"apiVersion": "v1", "kind": "List", "items": items}),
    };
    super::serialized(&whole, false)
}

fn report(found: &[(&Document, Imported)]) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for (document, imported) in found {
        for finding in &imported.findings {
            let what = match finding.severity {
                Severity::LeftOut => "left out",
                Severity::Changed => "in another form",
            };
            let place = document.line_of(&finding.path.to_string());
            writeln!(stderr, "{place}: {what}: {}", finding.lines().join("\n    "))?;
        }
        writeln!(stderr, "{}: {}: {}", document.place, imported.origin, import::summary(&imported.findings))?;
    }
    Ok(())
}
