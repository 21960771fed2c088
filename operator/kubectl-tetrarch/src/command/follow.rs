//! `watch`, and waiting for the end of a run: the Workflow object is watched, its status tells.

use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{WatchStreamExt as _, watcher},
};
use tetrarch_crds::{Workflow, workflow::RunStatus};
use tokio::time::{Instant, interval, sleep_until};

use crate::{
    args::Watch,
    cluster::Cluster,
    exit::{Exit, is_final},
    failure::Error,
    request::{is_settled, latest},
    screen::Screen,
    view::run,
};

/// Which run is followed.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The latest one; a later one is followed from then on, and one that is wanted but has not started is waited for.
    Latest,
    /// This one.
    Run(String),
    /// This one, when it was opened again so often.
    Again(String, i64),
}

/// What is shown meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Nothing.
    Nothing,
    /// On a terminal the whole run, drawn again and again; else one line for each change.
    Progress,
}

/// Follows the latest run of a Workflow.
pub async fn watch(cluster: &Cluster, args: &Watch) -> Result<Exit, Error> {
    cluster.workflow(&args.workflow).await?;
    let wanted = args.run.clone().map_or(Wanted::Latest, Wanted::Run);
    let ended = until_final(cluster, &args.workflow, &wanted, Show::Progress, args.timeout).await?;
    Ok(Exit::of(ended.phase))
}

/// Waits until the run has ended and returns its last state.
pub async fn until_final(
    cluster: &Cluster,
    name: &str,
    wanted: &Wanted,
    show: Show,
    timeout: Option<Duration>,
) -> Result<RunStatus, Error> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher(cluster.api::<Workflow>(), config).default_backoff();
    pin_mut!(events);
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut tick = interval(Duration::from_secs(1));
    let mut screen = Screen::stdout();
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(ended) = seen.take(event, name, wanted)? {
                        seen.show(&mut screen, show)?;
                        return Ok(ended);
                    }
                    seen.show(&mut screen, show)?;
                }
                Some(Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error))) if seen.object.is_none() => {
                    return Err(cluster.asked("watch", name).explain(&error));
                }
                // The connection is made again, with growing pauses; the deadline bounds it.
                Some(Err(_)) => {}
                None => return Err(Error::Cluster("the watch ended: try again".to_owned())),
            },
            _ = tick.tick(), if screen.live => seen.redraw(&mut screen, show)?,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return Err(seen.late(name)),
        }
    }
}

/// What was seen of the Workflow so far.
#[derive(Default)]
struct Seen {
    object: Option<Workflow>,
    followed: Option<RunStatus>,
    told: Option<RunStatus>,
}

impl Seen {
    /// Takes an event in; the run's last state when it has ended.
    fn take(
        &mut self,
        event: watcher::Event<Workflow>,
        name: &str,
        wanted: &Wanted,
    ) -> Result<Option<RunStatus>, Error> {
        let object = match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => object,
            watcher::Event::Delete(_) => {
                return Err(Error::Request(format!("the Workflow {name:?} was deleted, and its run with it")));
            }
            watcher::Event::Init | watcher::Event::InitDone => return Ok(None),
        };
        let run = latest(&object).cloned();
        let settled = !matches!(wanted, Wanted::Latest) || is_settled(&object);
        self.object = Some(object);
        match (wanted, run) {
            (Wanted::Latest, Some(run)) => self.followed = Some(run),
            (Wanted::Run(id), Some(run)) if run.id == *id => self.followed = Some(run),
            (Wanted::Again(id, times), Some(run)) if run.id == *id && run.retried >= Some(*times) => {
                self.followed = Some(run);
            }
            (Wanted::Run(id), Some(run)) if self.followed.is_some() => {
                return Err(Error::Request(format!(
                    "the run {id:?} is no longer the latest one, {:?} is: see `kubectl tetrarch journal {name} --run {id}` for how it ended",
                    run.id
                )));
            }
            _ => {}
        }
        Ok(self.followed.clone().filter(|run| settled && is_final(run.phase)))
    }

    fn show(&mut self, screen: &mut Screen, show: Show) -> Result<(), Error> {
        if screen.live {
            return self.redraw(screen, show);
        }
        if let (Show::Progress, Some(followed)) = (show, &self.followed) {
            let lines = run::changes(self.told.as_ref(), followed, Timestamp::now());
            if !lines.is_empty() {
                screen.print(&format!("{}\n", lines.join("\n")))?;
            }
            self.told = self.followed.clone();
        }
        Ok(())
    }

    fn redraw(&self, screen: &mut Screen, show: Show) -> Result<(), Error> {
        if let (Show::Progress, Some(object)) = (show, &self.object) {
            screen.redraw(&run::render(object, false, Timestamp::now(), screen.style()))?;
        }
        Ok(())
    }

    fn late(&self, name: &str) -> Error {
        let state = match &self.followed {
            Some(run) => format!("the run {:?} is {:?} and goes on", run.id, run.phase),
            None => "no run has started".to_owned(),
        };
        let namespace = self.object.as_ref().and_then(ResourceExt::namespace).unwrap_or_default();
        Error::Timeout(format!(
            "the time is up: {state}\nlook at it with `kubectl tetrarch get workflow {name} -n {namespace}`"
        ))
    }
}
