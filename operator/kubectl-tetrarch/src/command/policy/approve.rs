//! `policy pending`, `approve` and `reject`: what waits for a person, and what the person says.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
};

use kube::{ResourceExt as _, core::DynamicObject};
use serde_json::{Value, json};
use tetrarch_plan::{
    admit::approval::{self, Held, Standing},
    names,
};

use crate::{
    args::policy::{Approve, Object, Pending, Reject},
    cluster::Cluster,
    command::serialized,
    exit::Exit,
    failure::Error,
    inventory::Inventory,
    screen::Screen,
    view::policy::pending,
};

/// Lists what is held.
pub async fn pending(cluster: &Cluster, args: &Pending) -> Result<Exit, Error> {
    let inventory = match Inventory::of_cluster(cluster).await {
        Ok(whole) => whole,
        Err(refused) => Inventory::of_namespace(cluster).await.map_err(|_| refused)?,
    };
    let namespace = (!args.all_namespaces).then_some(cluster.namespace.as_str());
    let waiting = pending::waiting(&inventory, namespace);
    let mut screen = Screen::stdout();
    let text = match args.format {
        Some(format) => serialized(&waiting, format == crate::args::Format::Yaml)?,
        None => pending::render(&waiting, screen.style()),
    };
    screen.print(&text)?;
    Ok(Exit::Success)
}

/// Approves what is held.
pub async fn approve(cluster: &Cluster, args: &Approve) -> Result<Exit, Error> {
    let (object, held) = held(cluster, &args.object).await?;
    if let Some(wanted) = args.generation.filter(|wanted| *wanted != held.generation) {
        return Err(Error::Request(format!(
            "{} has generation {} by now, not {wanted}: nothing was approved, look at it again with `kubectl tetrarch policy pending`",
            title(&object, &args.object),
            held.generation
        )));
    }
    let reason = args.reason.trim();
    if reason.is_empty() {
        return Err(Error::Request(
            "--reason is empty: write why this may run, it is kept with the approval".to_owned(),
        ));
    }
    let mut screen = Screen::stdout();
    screen.print(&shown(&object, &args.object, &held))?;
    if !args.yes && screen.live && !confirmed(held.generation)? {
        return Err(Error::Request("nothing was approved".to_owned()));
    }
    let annotations = json!({
        names::ANNOTATION_APPROVE: held.generation.to_string(),
        names::ANNOTATION_APPROVE_REASON: reason,
    });
    let written = cluster.annotate_any(args.object.kind, &object, &annotations).await?;
    let by = match approval::standing(&written.metadata) {
        Standing::Approved(approved) => format!(" by {}", approved.by),
        // The webhook is not installed, or it has not judged this object.
        _ => String::new(),
    };
    screen.print(&format!("generation {} is approved{by}\n", held.generation))?;
    Ok(Exit::Success)
}

/// Says no to what is held.
pub async fn reject(cluster: &Cluster, args: &Reject) -> Result<Exit, Error> {
    let (object, held) = held(cluster, &args.object).await?;
    let mut screen = Screen::stdout();
    screen.print(&shown(&object, &args.object, &held))?;
    let annotations = json!({
        names::ANNOTATION_REJECT: held.generation.to_string(),
        names::ANNOTATION_REJECT_REASON: args.reason.trim(),
    });
    cluster.annotate_any(args.object.kind, &object, &annotations).await?;
    screen.print(&format!("generation {} is rejected; it stays held until its spec is changed\n", held.generation))?;
    Ok(Exit::Success)
}

/// The object, if its present generation is held.
async fn held(cluster: &Cluster, asked: &Object) -> Result<(DynamicObject, Held), Error> {
    let object = cluster.get_any(asked.kind, &asked.name).await?;
    match approval::standing(&object.metadata) {
        Standing::Held(held) => Ok((object, held)),
        Standing::Approved(approved) => Err(Error::Request(format!(
            "{} is approved already: generation {} by {}",
            title(&object, asked),
            approved.generation,
            approved.by
        ))),
        Standing::Free => Err(Error::Request(format!(
            "nothing holds {}: see what waits with `kubectl tetrarch policy pending -A`",
            title(&object, asked)
        ))),
    }
}

fn title(object: &DynamicObject, asked: &Object) -> String {
    let place = object.namespace().map_or(String::new(), |namespace| format!(" in namespace {namespace:?}"));
    format!("{} {:?}{place}", asked.kind, asked.name)
}

/// What is about to be approved or rejected.
fn shown(object: &DynamicObject, asked: &Object, held: &Held) -> String {
    let mut text = format!("{}, generation {}, is held:\n", title(object, asked), held.generation);
    for finding in &held.findings {
        let _ = writeln!(text, "  {finding}");
    }
    if let Some(spec) = object.data.get("spec").filter(|spec| **spec != Value::Null) {
        let spec = serde_yaml::to_string(spec).unwrap_or_default();
        text.push_str("spec:\n");
        for line in spec.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn confirmed(generation: i64) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "approve generation {generation}? [y/N] ")?;
    stdout.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
