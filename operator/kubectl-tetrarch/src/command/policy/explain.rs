//! `policy explain`: what holds for an object, who says so, and whether it complies.

use crate::{
    args::{Access, Format, policy::Explain},
    cluster,
    command::serialized,
    exit::Exit,
    failure::Error,
    inventory::{self, Inventory},
    screen::Screen,
    view::policy::effective,
};

/// Explains what holds for an object.
pub async fn explain(access: &Access, args: &Explain) -> Result<Exit, Error> {
    let (inventory, namespace) = if args.files.is_empty() {
        let cluster = cluster::connect(access).await?;
        (Inventory::of_cluster(&cluster).await?, Some(cluster.namespace))
    } else {
        (inventory::from_files(&args.files)?.inventory, access.namespace.clone())
    };
    let item = inventory.find(&args.object, namespace.as_deref())?;
    let explained = effective::explained(&inventory.index()?, item);
    let mut screen = Screen::stdout();
    let text = match args.format {
        Some(format @ (Format::Json | Format::Yaml)) => serialized(&explained, format == Format::Yaml)?,
        wide => effective::render(&explained, wide.is_some(), screen.style()),
    };
    screen.print(&text)?;
    Ok(Exit::Success)
}
