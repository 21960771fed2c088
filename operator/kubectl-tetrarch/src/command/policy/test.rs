//! `policy test`: every test of a folder is put to the decision that the webhook makes.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use tetrarch_plan::suite::{self, Case, Change, Expect, Outcome, Suite};

use crate::{
    args::policy::{Report, Test},
    command::serialized,
    exit::Exit,
    failure::Error,
    inventory::{self, Inventory},
    manifest::{Problem, read::Document, schema},
    screen::Screen,
    view::policy::{
        junit,
        test::{Folder, Results, Tested},
    },
};

/// A test file with where it was read.
struct Written {
    document: Document,
    suite: Suite,
}

/// Runs the tests.
pub fn test(args: &Test) -> Result<Exit, Error> {
    let folders = args.paths.iter().map(|path| folder(path, args.filter.as_deref()));
    let folders = folders.collect::<Result<Vec<_>, _>>()?;
    let results = Results::of(folders);
    if results.passed + results.failed == 0 {
        let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        let what = args.filter.as_ref().map_or(String::new(), |filter| format!(" whose name contains {filter:?}"));
        return Err(Error::Unreadable(format!(
            "there is no test{what} in {}: write a YAML file with kind: {} (docs/policy-testing.md)",
            paths.join(", "),
            suite::KIND
        )));
    }
    let mut screen = Screen::stdout();
    let text = match args.format {
        None => crate::view::policy::test::render(&results, screen.style()),
        Some(Report::Junit) => junit::render(&results),
        Some(report) => serialized(&results, report == Report::Yaml)?,
    };
    screen.print(&text)?;
    Ok(if results.failed == 0 { Exit::Success } else { Exit::Failure })
}

/// Runs the tests of one folder.
pub fn folder(path: &Path, filter: Option<&str>) -> Result<Folder, Vec<Problem>> {
    let mut files = inventory::from_files(&[path.to_owned()])?;
    let documents = std::mem::take(&mut files.tests);
    let mut problems = Vec::new();
    let mut tests = Vec::new();
    for document in documents {
        let ran = read(document).and_then(|written| run(&written, &files.inventory, filter));
        match ran {
            Ok(ran) => tests.extend(ran),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(Folder { path: path.to_owned(), tests }) } else { Err(problems) }
}

/// Reads a test file; each test by itself, so that a mistake is told with the test that has it.
fn read(document: Document) -> Result<Written, Vec<Problem>> {
    let mut value = document.value.clone();
    let tests = value["tests"].as_array().cloned();
    let Some(tests) = tests else {
        return Err(vec![document.problem("tests", "is missing: write a list of tests")]);
    };
    value["tests"] = Value::Array(Vec::new());
    let mut problems = Vec::new();
    if value["apiVersion"] != suite::API_VERSION {
        problems
            .push(document.problem("apiVersion", format!("is {}: write {}", value["apiVersion"], suite::API_VERSION)));
    }
    let suite = serde_json::from_value::<Suite>(value);
    let mut cases = Vec::new();
    for (at, test) in tests.into_iter().enumerate() {
        match serde_json::from_value::<Case>(test) {
            Ok(case) => cases.push(case),
            Err(error) => problems.push(document.problem(format!("tests[{at}]"), error.to_string())),
        }
    }
    match suite {
        Ok(suite) if problems.is_empty() => Ok(Written { document, suite: Suite { tests: cases, ..suite } }),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(document.problem("", error.to_string()));
            Err(problems)
        }
    }
}

fn run(written: &Written, hierarchy: &Inventory, filter: Option<&str>) -> Result<Vec<Tested>, Vec<Problem>> {
    let (document, suite) = (&written.document, &written.suite);
    let included;
    let hierarchy = if suite.include.is_empty() {
        hierarchy
    } else {
        included = include(document, suite, hierarchy)?;
        &included
    };
    let objects: Vec<Value> = hierarchy.items.iter().map(|item| item.value.clone()).collect();
    let index = hierarchy.index()?;
    let mut tested = Vec::new();
    let mut problems = Vec::new();
    for (at, case) in
        suite.tests.iter().enumerate().filter(|(_, case)| filter.is_none_or(|part| case.name.contains(part)))
    {
        let field = format!("tests[{at}]");
        let change = match suite::expand(suite, case, &objects) {
            Ok(change) => change,
            Err(violations) => {
                problems.extend(violations.into_iter().map(|violation| {
                    document.problem(format!("{field}.{}", violation.path).trim_end_matches('.'), violation.message)
                }));
                continue;
            }
        };
        let now = case.now.or(suite.now).unwrap_or_else(Timestamp::now);
        let outcome = match stored(&change) {
            Ok(change) => suite::judge(&index, &change, &case.can, now),
            Err(refused) => Ok(refused),
        };
        match outcome {
            Ok(outcome) => {
                let mismatches = case.compare(&outcome);
                tested.push(Tested {
                    name: case.name.clone(),
                    place: document.line_of(&field),
                    passed: mismatches.is_empty(),
                    expected: case.expect,
                    verdict: outcome.verdict,
                    messages: outcome.messages,
                    mismatches,
                });
            }
            Err(message) => problems.push(document.problem(field, message)),
        }
    }
    if problems.is_empty() { Ok(tested) } else { Err(problems) }
}

/// The hierarchy of a folder with the files that a test file names besides.
fn include(document: &Document, suite: &Suite, hierarchy: &Inventory) -> Result<Inventory, Vec<Problem>> {
    let beside = document.place.file.parent().unwrap_or(Path::new("."));
    let paths: Vec<PathBuf> = suite.include.iter().map(|path| beside.join(path)).collect();
    let mut all = inventory::from_files(&paths)?.inventory;
    for item in &hierarchy.items {
        if all.find_exactly(item.kind, &item.namespace, &item.name).is_none() {
            all.items.push(item.clone());
        }
    }
    Ok(all)
}

/// The change as the API server passes it on, with defaults, uid and generation; or how it refuses the object by itself.
fn stored(change: &Change) -> Result<Change, Outcome> {
    let mut stored = change.clone();
    let mut messages = Vec::new();
    if let Some(old) = &mut stored.old {
        schema::admit(old);
        fill(old, 1);
    }
    if let Some(new) = &mut stored.new {
        let misfits = schema::admit(new);
        messages.extend(misfits.into_iter().map(|(field, message)| format!("{field}: {message}")));
        let generation = stored.old.as_ref().map_or(1, |old| {
            let before = old["metadata"]["generation"].as_i64().unwrap_or(1);
            before + i64::from(old["spec"] != new["spec"])
        });
        new["metadata"]["generation"] = json!(generation);
        fill(new, generation);
    }
    if messages.is_empty() { Ok(stored) } else { Err(Outcome { verdict: Expect::Deny, messages }) }
}

fn fill(object: &mut Value, generation: i64) {
    let uid = format!("{}/{}/{}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]);
    let metadata = &mut object["metadata"];
    for (field, value) in [("generation", json!(generation)), ("uid", json!(uid))] {
        if metadata[field].is_null() {
            metadata[field] = value;
        }
    }
}
