//! Rung 3: the table of admission, replayed by a real API server that asks three replicas of the webhook, word by word.
//!
//! The cases are those of `tests/data/admission`, the very files that the pure decision is tested with. Writes are dry runs
//! as the user of the case, so that cases do not see each other; only where capacity is counted they are real. What the
//! API server refuses by itself, before it asks anybody, it says in its own words: those are in `schema.yaml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tetrarch_plan::suite::{self, Case, Expect, Outcome, Suite};
use tetrarch_testkit::cluster::Cluster;
use tetrarch_tests::{
    replicas::Replicas,
    scene::{Scene, Told, documents, everybody_may_write, folders},
};

/// The folder whose cases are really written: a dry run takes no capacity.
const COUNTED: &str = "capacity";

/// How often, and how long apart, a refusal is looked at whose numbers may be those of a moment ago.
const LOOKS: usize = 40;
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What was tried, and what went wrong.
#[derive(Default)]
struct Tally {
    /// How many of which sort.
    sorts: BTreeMap<String, usize>,
    decided: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn count(&mut self, sort: impl Into<String>) {
        *self.sorts.entry(sort.into()).or_default() += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_the_table_is_decided_by_the_api_server_as_by_the_pure_decision() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let replicas = Replicas::start(&cluster, 3, &[]).await?;
    cluster.apply(&everybody_may_write())?;
    let mut tally = Tally::default();
    for folder in folders()? {
        if let Err(error) = replay(&cluster, &folder, &mut tally).await {
            tally.wrong.push(format!("{}: {error:#}", folder.display()));
        }
    }
    replicas.end().await?;
    for (sort, count) in &tally.sorts {
        println!("{count:5} {sort}");
    }
    println!("{:5} decided by the API server, {} wrongly", tally.decided, tally.wrong.len());
    ensure!(
        tally.wrong.is_empty(),
        "{} of {} cases:\n  {}",
        tally.wrong.len(),
        tally.decided,
        tally.wrong.join("\n  ")
    );
    ensure!(tally.decided >= 250, "only {} cases were decided", tally.decided);
    Ok(())
}

/// Tries the cases of one folder.
async fn replay(cluster: &Cluster, folder: &Path, tally: &mut Tally) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let suite: Suite = serde_yaml::from_str(&fs::read_to_string(folder.join("cases.yaml"))?)?;
    let hierarchy = documents(&folder.join("hierarchy.yaml"))?;
    let own_words = own_words(folder)?;
    let mut unused: BTreeSet<&str> = own_words.keys().map(String::as_str).collect();
    let mut scene = Scene::set(cluster, &hierarchy, name != COUNTED).await?;
    for case in &suite.tests {
        // The API server's clock cannot be set.
        if case.now.is_some() || suite.now.is_some() {
            tally.count("left out, for a time of day of their own");
            continue;
        }
        let change = suite::expand(&suite, case, &hierarchy)
            .map_err(|violations| anyhow::anyhow!("{}: {violations:?}", case.name))?;
        if !case.can.is_empty() {
            scene.grant(&change.user.name, &case.can).await?;
        }
        let own_words = own_words.get(&case.name).map(String::as_str);
        let mut outcome = scene.attempt(case, &change).await.with_context(|| case.name.clone())?;
        // A replica that knows another generation of the object than the ledger refuses all the same, but counts what the
        // object has as lost, and so names other numbers.
        for _ in 0..LOOKS {
            let is_late = outcome.verdict == Expect::Deny && difference(case, own_words, &outcome).is_some();
            if name != COUNTED || !is_late {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            outcome = scene.attempt(case, &change).await.with_context(|| case.name.clone())?;
        }
        if !case.can.is_empty() {
            scene.take_back(&change.user.name, &case.can).await?;
        }
        unused.remove(case.name.as_str());
        let object = change.new.as_ref().or(change.old.as_ref()).context("a change of nothing")?;
        tally.decided += 1;
        tally.count(format!("{:?} of {}", change.operation, object["kind"].as_str().unwrap_or_default()));
        tally.count(match Told::of(&outcome) {
            Told::Webhook(_) => "refused by the webhook",
            Told::Schema(_) => "refused by the definitions",
            Told::Warnings(_) if outcome.verdict == Expect::Hold => "held for an approval",
            Told::Warnings(_) if outcome.verdict == Expect::Warn => "admitted with a warning",
            Told::Warnings(_) => "admitted",
        });
        if let Some(difference) = difference(case, own_words, &outcome) {
            tally.wrong.push(format!("{name}: {}:\n    {difference}", case.name));
        }
        // A case that expects anything else must be seen to fail.
        let opposite = if outcome.verdict == Expect::Deny { Expect::Accept } else { Expect::Deny };
        ensure!(
            difference(&Case { expect: opposite, ..case.clone() }, own_words, &outcome).is_some(),
            "{}: the opposite passes too",
            case.name
        );
    }
    ensure!(unused.is_empty(), "schema.yaml names no case that is tried: {unused:?}");
    scene.clear().await
}

/// What the API server says by itself, by the name of the case.
fn own_words(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = folder.join("schema.yaml");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    Ok(serde_yaml::from_str(&fs::read_to_string(path)?)?)
}

/// In what the answer of the API server differs from what the case wants. What is only recorded nobody is told.
fn difference(case: &Case, own_words: Option<&str>, outcome: &Outcome) -> Option<String> {
    let wanted = if case.expect == Expect::Audit { Expect::Accept } else { case.expect };
    let told = outcome.messages.join("\n            ");
    if outcome.verdict != wanted {
        return Some(format!("wanted {wanted}, got {}: {told}", outcome.verdict));
    }
    let texts: Vec<&str> = match (own_words, case.expect) {
        (Some(words), _) => vec![words],
        (None, Expect::Audit | Expect::Accept) => Vec::new(),
        (None, _) => case.exact_message.0.iter().map(|text| text.trim()).collect(),
    };
    if Told::of(outcome).is_exactly(&texts) {
        return None;
    }
    Some(format!("wanted: {}\n    got:    {told}", texts.join("\n            ")))
}
