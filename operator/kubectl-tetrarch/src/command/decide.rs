//! `approve` and `reject`: what a person says about a step that waits.

use kube::ResourceExt as _;

use crate::{args::Decide, cluster::Cluster, decision, exit::Exit, failure::Error, screen::Screen};

/// Writes a decision, and says what the webhook has made of it.
pub async fn decide(cluster: &Cluster, args: &Decide, approved: bool) -> Result<Exit, Error> {
    let workflow = cluster.workflow(&args.workflow).await?;
    let question = decision::question(&workflow, args).map_err(Error::Request)?;
    let annotations = decision::request(question, &args.reason, approved).map_err(Error::Request)?;
    let mut screen = Screen::stdout();
    screen.print(&format!("{}\n", question.message))?;
    let written = cluster.annotate(&workflow, &annotations).await?;
    let said = decision::said(written.annotations(), &question.id);
    // Without the webhook nobody knows who it was, and nothing is handed over.
    let said = said.ok_or_else(|| {
        Error::Request(format!("{} was not decided: the webhook of Tetrarch has not seen it", question.id))
    })?;
    screen.print(&format!("{} was {said}\n", question.id))?;
    Ok(Exit::Success)
}
