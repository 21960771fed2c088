//! Reads YAML and JSON files and folders into documents that know their lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use serde_json::Value;

use crate::manifest::{Place, Problem};

/// Deepest nesting of folders that is read.
const MAX_DEPTH: usize = 16;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it begins.
    pub place: Place,
    /// What it holds.
    pub value: Value,
    text: String,
}

impl Document {
    /// `kind` of the document, empty when there is none.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// The line where a field stands, or the nearest line above it that was found.
    pub fn line_of(&self, path: &str) -> Place {
        Place { line: self.place.line + locate(&self.text, path), ..self.place.clone() }
    }

    /// A problem of one of its fields.
    pub fn problem(&self, field: impl Into<String>, message: impl Into<String>) -> Problem {
        let field = field.into();
        Problem { place: self.line_of(&field), field, message: message.into() }
    }
}

/// All documents of the files, and of all YAML and JSON files in the folders and below, in the order of their paths.
pub fn documents(paths: &[PathBuf]) -> Result<Vec<Document>, Vec<Problem>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        if let Err(problem) = collect(path, MAX_DEPTH, &mut files) {
            problems.push(problem);
        }
    }
    let mut found = Vec::new();
    for file in &files {
        match fs::read_to_string(file) {
            Ok(text) => match split(file, &text) {
                Ok(documents) => found.extend(documents),
                Err(problem) => problems.push(problem),
            },
            Err(error) => problems.push(Problem::of_file(file, format!("cannot be read: {error}"))),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// All documents of a text that comes from somewhere else than a file.
pub fn of_text(name: &Path, text: &str) -> Result<Vec<Document>, Problem> {
    split(name, text)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let unreadable = |error: std::io::Error| Problem::of_file(path, format!("cannot be read: {error}"));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Err(Problem::of_file(path, format!("is nested more than {MAX_DEPTH} folders deep: name it itself")));
    }
    let mut inside: Vec<PathBuf> = fs::read_dir(path)
        .map_err(unreadable)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    inside.sort();
    for entry in inside {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let manifest =
            entry.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if !hidden && (manifest || entry.is_dir()) {
            collect(&entry, depth - 1, files)?;
        }
    }
    Ok(())
}

/// The documents of one file; the items of a `List` are documents of their own.
fn split(file: &Path, text: &str) -> Result<Vec<Document>, Problem> {
    let mut documents = Vec::new();
    for (line, text) in pieces(text) {
        let place = Place { file: file.to_owned(), line };
        let value = Value::deserialize(serde_yaml::Deserializer::from_str(&text)).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line().saturating_sub(1));
            let place = Place { line: place.line + line, ..place.clone() };
            Problem { place, field: String::new(), message: format!("is not YAML: {error}") }
        })?;
        match value {
            Value::Null => {}
            Value::Object(mut object) if object.get("kind").is_some_and(|kind| kind == "List") => {
                let items = object.remove("items");
                for value in items.as_ref().and_then(Value::as_array).into_iter().flatten() {
                    documents.push(Document { place: place.clone(), value: value.clone(), text: text.clone() });
                }
            }
            value => documents.push(Document { place, value, text }),
        }
    }
    Ok(documents)
}

/// The documents of a file as text, each with its first line that says something.
fn pieces(text: &str) -> Vec<(usize, String)> {
    let mut pieces = vec![(1, String::new())];
    for (at, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            pieces.push((at + 2, String::new()));
        } else if let Some((_, piece)) = pieces.last_mut() {
            piece.push_str(line);
            piece.push('\n');
        }
    }
    pieces
}

/// Lines above the one where a field stands: each key is looked for below the one before, elements of lists by their dashes.
fn locate(text: &str, path: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let mut at =
        lines.iter().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).unwrap_or(0);
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        let found = match step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
            Some(index) => element(&lines, at, index),
            None => lines.iter().skip(at).position(|line| holds_key(line, step)).map(|after| at + after),
        };
        let Some(found) = found else { break };
        at = found;
    }
    at
}

fn holds_key(line: &str, key: &str) -> bool {
    let quoted = format!("\"{key}\":");
    let plain = format!("{key}:");
    line.contains(&quoted)
        || line.match_indices(&plain).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|before| matches!(before, ' ' | '{' | ',' | '-'))
        })
}

fn element(lines: &[&str], from: usize, index: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let dash = |line: &str| line.trim_start().starts_with("- ");
    let first = lines.iter().skip(from).position(|line| dash(line)).map(|after| from + after)?;
    let (level, own) = (indent(lines[first]), indent(lines[from]));
    if level < own {
        return None;
    }
    let ends = |line: &str| !line.trim().is_empty() && indent(line) < level;
    let list = lines.iter().enumerate().skip(first).take_while(|(_, line)| !ends(line));
    list.filter(|(_, line)| dash(line) && indent(line) == level).map(|(at, _)| at).nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# what it is\nkind: A\nspec:\n  policies:\n    - name: x\n      limits: {agents: 1}\n    - name: y\n      limits:\n        agents: 2\n---\n\n# second\nkind: B\n";

    #[test]
    fn documents_and_fields_know_their_lines() {
        let documents = split(Path::new("a.yaml"), TWO).unwrap();
        let kinds: Vec<&str> = documents.iter().map(Document::kind).collect();
        assert_eq!(kinds, ["A", "B"]);
        assert_eq!(documents[0].line_of("spec.policies[0].limits.agents").line, 6);
        assert_eq!(documents[0].line_of("spec.policies[1].limits.agents").line, 9);
        assert_eq!(documents[1].line_of("").to_string(), "a.yaml:13");
    }

    #[test]
    fn text_that_is_not_yaml_is_told_with_its_line() {
        let problem = split(Path::new("a.yaml"), "kind: A\n---\nkind: [\n").unwrap_err();
        assert!(problem.to_string().starts_with("a.yaml:4: is not YAML"), "{problem}");
    }

    #[test]
    fn a_list_is_what_it_holds() {
        let documents =
            split(Path::new("a.json"), r#"{"kind": "List", "items": [{"kind": "A"}, {"kind": "B"}]}"#).unwrap();
        assert_eq!(documents.iter().map(Document::kind).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let problems = documents(&[PathBuf::from("no-such-folder")]).unwrap_err();
        assert!(problems[0].to_string().starts_with("no-such-folder:1: cannot be read"), "{}", problems[0]);
    }
}
