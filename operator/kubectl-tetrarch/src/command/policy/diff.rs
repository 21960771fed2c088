//! `policy diff`: what would follow if manifests were applied.

use jiff::Timestamp;

use crate::{
    args::{Access, Format, policy::Diff},
    cluster,
    command::serialized,
    exit::Exit,
    failure::Error,
    inventory::{self, Inventory},
    screen::Screen,
    view::policy::impact,
};

/// Compares what is there with what would be.
pub async fn diff(access: &Access, args: &Diff) -> Result<Exit, Error> {
    let applied = inventory::from_files(&args.files)?.inventory;
    if applied.items.is_empty() {
        let paths: Vec<String> = args.files.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::Unreadable(format!(
            "there is no manifest of ours in {}: name files or folders with Orchestrators, Domains, Supervisors, AgentPools or Workflows",
            paths.join(", ")
        )));
    }
    let before = if args.from.is_empty() {
        Inventory::of_cluster(&cluster::connect(access).await?).await?
    } else {
        inventory::from_files(&args.from)?.inventory
    };
    let impact = impact::impact(&before, &before.after(&applied, args.merge), Timestamp::now())?;
    let mut screen = Screen::stdout();
    let text = match args.format {
        Some(format) => serialized(&impact, format == Format::Yaml)?,
        None => impact::render(&impact, screen.style()),
    };
    screen.print(&text)?;
    Ok(if args.exit_code && impact.breaks() { Exit::Failure } else { Exit::Success })
}
