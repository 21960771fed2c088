//! Admission: how long a decision takes, how many reviews a second one core answers, and what a write to the API server pays for it,
//! side by side with the API server's own policies and with Gatekeeper, over growing numbers of Domains.

mod added;
mod api;
mod decision;
mod direct;
mod fleet;
mod floor;
mod gatekeeper;
mod load;
mod metrics;
mod rival;
mod table;
mod tetrarch;
mod tls;

use std::{net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use kube::{
    Client,
    client::ConfigExt,
    config::{KubeConfigOptions, Kubeconfig},
};
use tetrarch_testkit::cluster::Cluster;

use self::{
    direct::Server,
    fleet::Recorded,
    gatekeeper::Gatekeeper,
    load::Target,
    rival::{Ring, Rival},
    table::{AddedTable, DecisionTable, DirectTable, OURS},
    tetrarch::Tetrarch,
    tls::Identity,
};
use crate::cores;

/// Rounds of each measure of a server, of which the best counts: for everybody alike, so that what else runs on the machine decides nothing.
const ROUNDS: usize = 3;

/// What is measured.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "admission")]
pub struct Arguments {
    /// Numbers of Domains, growing.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 64, 1_024])]
    domains: Vec<usize>,
    /// Reviews per second of the direct measure.
    #[arg(long, default_value_t = 2_000.0)]
    reviews: f64,
    /// Creations per second on the API server.
    #[arg(long, value_delimiter = ',', default_values_t = [50.0, 100.0])]
    creations: Vec<f64>,
    /// Seconds for each figure.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Prints the tables of the admission.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let (server_core, load_core) = cores::split();
    println!(
        "## Admission\n\nmachine: {}; each webhook on {server_core}, decisions alone and the load of the direct measure on {load_core}; the API server, its store and its clients on any core\n",
        cores::machine()
    );
    let mut decisions = DecisionTable::default();
    for &domains in &arguments.domains {
        decisions.add(domains, decision::measure(domains, load_core).await?);
    }
    decisions.print();
    let each = Duration::from_secs_f64(arguments.seconds);
    let cluster = Cluster::connect().await?;
    cluster.install_definitions()?;
    let identity = Identity::new()?;
    let gatekeeper = Gatekeeper::start(&cluster, &identity, server_core).await?;
    let tetrarch = Tetrarch::start(&cluster, &identity, server_core).await?;
    let floor = Server {
        target: Target { address: floor::start(&identity, server_core)?, tls: identity.client()? },
        path: "/",
    };
    api::create(&cluster.client, rival::keeps_watching()).await?;
    let mut ring = Ring::new(cluster.client.clone());
    ring.ours = tetrarch.registrations(&identity);
    ring.gatekeeper.extend(gatekeeper.iter().map(|g| gatekeeper::registration(g, &identity)));
    let target = apiserver().await?;
    let (mut direct, mut added) = (DirectTable::default(), AddedTable::default());
    let figures = direct::measure(&floor, Recorded::Create, 64, arguments.reviews, each, load_core).await?;
    direct.add("a server that says yes unread", None, None, figures);
    let mut made = 0;
    for &domains in &arguments.domains {
        ensure!(domains > made, "the numbers of Domains must grow");
        grow(&cluster.client, gatekeeper.as_ref(), made..domains).await?;
        made = domains;
        eprintln!("measuring with {domains} Domains");
        let theirs = gatekeeper.as_ref().map(|g| ("Gatekeeper", &g.server, &g.process));
        for (name, server, process) in [(OURS, &tetrarch.server, &tetrarch.process)].into_iter().chain(theirs) {
            let figures = direct::measure(server, Recorded::Create, domains, arguments.reviews, each, load_core).await;
            direct.add(
                name,
                Some(domains),
                Some(process.resident()?),
                figures.with_context(|| format!("{name}, direct"))?,
            );
        }
        for rival in Rival::ALL.into_iter().filter(|rival| ring.has(*rival)) {
            ring.begin(rival, domains).await?;
            for &rate in &arguments.creations {
                let figures = added::measure(&cluster.client, &target, domains, rate, each).await;
                added.add(rival, domains, rate, figures.with_context(|| rival.name())?);
            }
            ring.stop(rival).await?;
        }
    }
    direct.print(arguments.reviews);
    added.print();
    Ok(())
}

/// Lets the department grow, and the rivals learn of it.
async fn grow(client: &Client, gatekeeper: Option<&Gatekeeper>, numbers: Range<usize>) -> Result<()> {
    api::create(client, fleet::orchestrators(numbers.end)).await?;
    api::create(client, numbers.clone().map(fleet::namespace)).await?;
    api::create(client, numbers.clone().map(fleet::domain_object)).await?;
    api::create(client, numbers.clone().map(fleet::supervisor)).await?;
    api::create(client, numbers.clone().map(fleet::pool)).await?;
    let policies = numbers.clone().flat_map(|number| Rival::PolicyBindings.of_domain(number));
    api::create(client, policies).await?;
    if gatekeeper.is_some() {
        gatekeeper::teach(client, numbers).await?;
    }
    Ok(())
}

/// The API server as a target of load, with the rights of the kubeconfig's user.
async fn apiserver() -> Result<Target> {
    let file = std::env::var("KUBECONFIG").context("KUBECONFIG is not set: run the benchmarks with `make bench`")?;
    let config =
        kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &KubeConfigOptions::default()).await?;
    let uri = config.cluster_url.clone();
    let address: SocketAddr = uri.authority().context("an API server without an address")?.as_str().parse()?;
    let mut tls = config.rustls_client_config()?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Target { address, tls: Arc::new(tls) })
}
