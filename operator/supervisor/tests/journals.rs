//! Journals that versions of this program wrote, kept as files in the form in which the bus stores them: every later version must
//! replay them to the same state, and bring what is cut off of them to its end.
//!
//! `make journals` records the scenarios that this version has no file of yet, and never changes a file that is there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the steps of a test end it when they fail")]

#[path = "journals/continued.rs"]
mod continued;
#[path = "journals/scenarios.rs"]
mod scenarios;
mod world;

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;
use tetrarch_core::{
    id::RunId,
    workflow::{
        approval::Decision,
        definition::Definition,
        journal::{Entry, RunEvent},
        run::Run,
        stamp::Stamp,
    },
};
use tetrarch_protocol::{
    control::{Asked, Control},
    journal::Line,
    snapshot::StepDecision,
};
use tetrarch_supervisor::{
    build_summary, inspect,
    journal::{Body, read_line},
};
use world::{World, run_id};

/// One recorded run.
struct Golden {
    name: String,
    run: RunId,
    entries: Vec<(Entry, Timestamp)>,
    /// The summary that the version which recorded it told.
    expected: Value,
}

impl Golden {
    /// From where on it can be cut: nothing brings a run to the end that it had when its results are removed.
    fn first_cut(&self) -> usize {
        let position = |wanted: fn(&RunEvent) -> bool| {
            self.entries.iter().position(|(entry, _)| matches!(entry, Entry::Run(event) if wanted(event)))
        };
        let removed = position(|event| matches!(event, RunEvent::OutputsRemoved { .. }));
        let end = position(|event| matches!(event, RunEvent::Finished { .. }));
        removed.and(end).map_or(1, |end| end + 1)
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals")
}

fn golden() -> Vec<Golden> {
    let versions = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let files = versions.filter(|path| path.is_dir()).flat_map(|version| std::fs::read_dir(version).unwrap());
    let mut journals: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    journals.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    journals.sort();
    journals.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Golden {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records: Vec<_> = lines.iter().filter_map(read_line).collect();
    let run = records[0].run.clone();
    let entries = records
        .into_iter()
        .map(|record| match record.body {
            Body::Entry(entry) => (entry, record.at),
            Body::Unreadable(why) => panic!("{}: {why}", path.display()),
        })
        .collect();
    let expected = std::fs::read_to_string(path.with_extension("summary.json")).unwrap();
    let name = path.strip_prefix(directory()).unwrap().display().to_string();
    Golden { name, run, entries, expected: serde_json::from_str(&expected).unwrap() }
}

/// Where the value lacks or changes something of the expected one. What is new in it is welcome.
fn difference(expected: &Value, value: &Value, place: &str) -> Option<String> {
    match (expected, value) {
        (Value::Object(expected), Value::Object(value)) => expected.iter().find_map(|(key, expected)| {
            difference(expected, value.get(key).unwrap_or(&Value::Null), &format!("{place}.{key}"))
        }),
        (Value::Array(expected), Value::Array(value)) if expected.len() == value.len() => {
            let mut pairs = expected.iter().zip(value).enumerate();
            pairs.find_map(|(index, (expected, value))| difference(expected, value, &format!("{place}[{index}]")))
        }
        (expected, value) => (expected != value).then(|| format!("{place}: {value} instead of {expected}")),
    }
}

#[test]
fn recorded_journals_replay_to_the_state_they_had() {
    let journals = golden();
    assert!(journals.len() >= scenarios::all().len(), "some scenario has no file: run `make journals`");
    for golden in journals {
        let run = Run::replay(golden.run.clone(), golden.entries.clone()).unwrap();
        let summary = serde_json::to_value(build_summary(&run, None)).unwrap();
        assert_eq!(difference(&golden.expected, &summary, "summary"), None, "{}", golden.name);
    }
}

#[test]
fn recorded_journals_are_brought_to_their_end_from_wherever_they_are_cut() {
    for golden in golden() {
        for length in golden.first_cut()..golden.entries.len() {
            let run = continued::from(&golden.run, &golden.entries, length)
                .unwrap_or_else(|why| panic!("{} cut after {length} entries: {why}", golden.name));
            let summary = serde_json::to_value(build_summary(&run, None)).unwrap();
            for field in ["phase", "output"] {
                assert_eq!(summary[field], golden.expected[field], "{} cut after {length}: {field}", golden.name);
            }
        }
    }
}

/// A check that compares nothing would accept any journal.
#[test]
fn a_journal_that_means_something_else_is_noticed() {
    for golden in golden() {
        let is_result = |(entry, _): &(Entry, Timestamp)| matches!(entry, Entry::Result { .. });
        let Some(at) = golden.entries.iter().position(is_result) else { continue };
        let mut without = golden.entries.clone();
        without.remove(at);
        let run = Run::replay(golden.run.clone(), without).unwrap();
        let summary = serde_json::to_value(build_summary(&run, None)).unwrap();
        assert!(difference(&golden.expected, &summary, "summary").is_some(), "{} without entry {at}", golden.name);
    }
}

/// Records what this version has no file of. Run by `make journals`.
#[tokio::test]
#[ignore = "it writes the files that the other tests read"]
async fn record() {
    let version = directory().join(env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(&version).unwrap();
    let missing: Vec<_> = scenarios::all()
        .into_iter()
        .filter(|scenario| !version.join(scenario.name).with_extension("jsonl").exists())
        .collect();
    let mut world = World::start().await;
    world.configure(&["worker"], 100).await;
    world.want(&scenarios::inner(), &[]).await;
    let _agent = world.agent("worker", scenarios::agent()).await;
    let replica = world.replica("recorder").await;
    for scenario in missing {
        let definition = scenario.definition();
        let id = format!("{}-1", scenario.name);
        world.want(&definition, &[&id]).await;
        ask(&world, &definition, &id, scenario.asked).await;
        world.await_end(scenario.name, &id).await;
        let is_whole = definition.keep_outputs_for.is_none();
        let told = world.await_summary(scenario.name, |told| is_whole || told.outputs_removed_at.is_some()).await;
        while !is_whole && world.count(&format!("res.sup.*.{id}.>")).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut summary = serde_json::to_value(told).unwrap();
        assert_eq!(summary["phase"], scenario.ends, "{}: {summary:#}", scenario.name);
        let lines = inspect::read_journal(&world.bus, &world.supervisor, &run_id(&id)).await.unwrap();
        let mut journal = create(&version.join(scenario.name).with_extension("jsonl"));
        for line in lines {
            writeln!(journal, "{line}").unwrap();
        }
        // What is told beside the journal of the run, such as which runs of its Workflow are known.
        for beside in ["version", "accepted"] {
            summary.as_object_mut().unwrap().remove(beside);
        }
        for step in summary["steps"].as_array_mut().unwrap() {
            // Where the steps of a plan stand is told by its run.
            for planned in step.pointer_mut("/plan/steps").and_then(Value::as_array_mut).into_iter().flatten() {
                planned.as_object_mut().unwrap().remove("phase");
            }
        }
        let mut file = create(&version.join(scenario.name).with_extension("summary.json"));
        writeln!(file, "{summary:#}").unwrap();
    }
    replica.stop().await;
}

/// Asks of a run on its way what the scenario is about.
async fn ask(world: &World, definition: &Definition, id: &str, asked: scenarios::Asked) {
    let workflow = definition.workflow.as_str();
    let stamp = Stamp { by: "ada".to_owned(), at: Timestamp::UNIX_EPOCH };
    let by_ada = || vec![Asked { run: run_id(id), cause: "by ada".to_owned(), stamp: Some(stamp.clone()) }];
    if matches!(asked, scenarios::Asked::Cancel | scenarios::Asked::Terminate | scenarios::Asked::Pause) {
        world.await_summary(workflow, |summary| summary.ended > 0).await;
    }
    match asked {
        scenarios::Asked::Nothing => {}
        scenarios::Asked::Cancel => world.want_with(definition, &[id], &[id], false).await,
        scenarios::Asked::Terminate => {
            world.want_under(definition, &[id], Control { terminate: by_ada(), ..Control::default() }).await;
        }
        scenarios::Asked::Pause => {
            world.want_under(definition, &[id], Control { pause: by_ada(), ..Control::default() }).await;
            let is_paused = |message: &str| message.starts_with("paused since ");
            world.await_summary(workflow, |summary| summary.message.as_deref().is_some_and(is_paused)).await;
            world.want(definition, &[id]).await;
        }
        scenarios::Asked::Decision(approved) => {
            let summary = world.await_summary(workflow, |summary| !summary.waiting.is_empty()).await;
            let question = &summary.waiting[0];
            let reason = Some("seen".to_owned());
            let said = StepDecision {
                run: question.run.clone(),
                step: question.step.clone(),
                attempt: question.attempt,
                generation: question.generation,
                decision: Decision { approved, by: "ada".to_owned(), at: question.since, reason },
            };
            world.want_decided(definition, &[id], vec![said]).await;
        }
    }
}

fn create(path: &Path) -> File {
    OpenOptions::new().write(true).create_new(true).open(path).unwrap()
}
