//! An open-loop load: requests start when they are due, whether or not earlier ones are answered, and their time runs from when they were due.
//!
//! So a server that stalls is charged for every request that would have come meanwhile (no coordinated omission). Connections are kept alive;
//! a request that finds none free waits, and that wait counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
};
use tokio_rustls::TlsConnector;

use crate::{cores::Core, quantile::Sample};

/// Where requests go.
#[derive(Clone)]
pub struct Target {
    /// Address of the server.
    pub address: SocketAddr,
    /// The trust, and the client's certificate if the server wants one.
    pub tls: Arc<ClientConfig>,
}

/// A request to send.
#[derive(Clone)]
pub struct Shot {
    /// Path and query.
    pub path: Arc<str>,
    /// A JSON body.
    pub body: Bytes,
}

/// How requests are let off.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// At this rate per second, the core of the load spinning between two of them, for rates of thousands.
    Spinning(f64),
    /// At this rate per second, asleep in between, when the servers need that core too.
    Sleeping(f64),
    /// As many as all connections can carry. There is no due time: the time of a request runs from its start.
    Saturating,
}

/// What to send, and for how long.
pub struct Plan {
    /// Where to.
    pub target: Target,
    /// What, over and over.
    pub shots: Arc<[Shot]>,
    /// How fast.
    pub pace: Pace,
    /// For how long requests become due.
    pub duration: Duration,
    /// Connections at once.
    pub connections: usize,
    /// What each answer must contain besides a status of success.
    pub expect: &'static str,
}

/// Answers that are still missing so long after the last request was due are given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// Number of the request and its time; missing answers have the time at which they were given up.
    pub times: Vec<(usize, Duration)>,
    /// Requests that failed or were answered otherwise than expected.
    pub wrong: usize,
    /// One of the wrong answers.
    pub example: Option<String>,
    /// Requests without an answer in the end.
    pub missing: usize,
    /// From the start to the last answer.
    pub elapsed: Duration,
}

impl Outcome {
    /// The times.
    pub fn sample(&self) -> Sample {
        self.times.iter().map(|(_, time)| *time).collect()
    }

    /// Right answers per second.
    pub fn rate(&self) -> f64 {
        let right = self.times.len().saturating_sub(self.missing + self.wrong);
        f64::from(u32::try_from(right).unwrap_or(u32::MAX)) / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Fails with an example when an answer was wrong.
    pub fn all_right(self) -> Result<Self> {
        match &self.example {
            Some(example) => {
                Err(anyhow!("{} of {} answers are wrong, such as: {example}", self.wrong, self.times.len()))
            }
            None => Ok(self),
        }
    }
}

#[derive(Clone, Copy)]
struct Job {
    number: usize,
    due: Instant,
}

struct Answer {
    number: usize,
    time: Duration,
    wrong: Option<String>,
}

/// Runs a load on a thread of its own, bound to that core if one is given.
pub async fn run(plan: Plan, core: Option<Core>) -> Result<Outcome> {
    tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                if let Some(core) = core {
                    core.bind()?;
                }
                // Sockets are looked at after every few polls, for a spinning task never lets the runtime rest.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(4).build()?;
                let outcome = runtime.block_on(drive(&plan));
                runtime.shutdown_background();
                outcome
            });
            thread.join().map_err(|_| anyhow!("the load ended with a panic"))?
        })
    })
    .await?
}

async fn drive(plan: &Plan) -> Result<Outcome> {
    let (jobs, queue) = mpsc::unbounded_channel();
    let queue = Arc::new(Mutex::new(queue));
    let (answers, mut answered) = mpsc::unbounded_channel();
    let sent = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        connections.push(Connection::open(&plan.target).await?);
    }
    let begin = Instant::now() + Duration::from_millis(20);
    let end = begin + plan.duration;
    for mut connection in connections {
        let (queue, answers, sent) = (queue.clone(), answers.clone(), sent.clone());
        let (shots, expect, saturate) = (plan.shots.clone(), plan.expect, matches!(plan.pace, Pace::Saturating));
        tokio::spawn(async move {
            loop {
                let job = if saturate {
                    let due = Instant::now();
                    (due < end).then(|| Job { number: sent.fetch_add(1, Ordering::Relaxed), due })
                } else {
                    queue.lock().await.recv().await
                };
                let Some(job) = job else { break };
                let wrong = connection.send(&shots[job.number % shots.len()], expect).await.err();
                let answer =
                    Answer { number: job.number, time: job.due.elapsed(), wrong: wrong.map(|e| format!("{e:#}")) };
                if answers.send(answer).is_err() {
                    break;
                }
            }
        });
    }
    drop(answers);
    let count = let_off(plan.pace, begin, plan.duration, jobs);
    let collector = async {
        let mut outcome = Outcome::default();
        let mut seen = std::collections::BTreeSet::new();
        let give_up = tokio::time::sleep_until((end + PATIENCE).into());
        tokio::pin!(give_up);
        loop {
            tokio::select! {
                answer = answered.recv() => {
                    let Some(answer) = answer else { break };
                    outcome.elapsed = begin.elapsed();
                    outcome.times.push((answer.number, answer.time));
                    seen.insert(answer.number);
                    if let Some(wrong) = answer.wrong {
                        outcome.wrong += 1;
                        outcome.example.get_or_insert(wrong);
                    }
                }
                () = &mut give_up => break,
            }
        }
        (outcome, seen)
    };
    let (count, (mut outcome, seen)) = tokio::join!(count, collector);
    for number in (0..count).filter(|number| !seen.contains(number)) {
        outcome.missing += 1;
        outcome.times.push((number, due(plan.pace, begin, number).elapsed()));
    }
    Ok(outcome)
}

fn due(pace: Pace, begin: Instant, number: usize) -> Instant {
    match pace {
        Pace::Spinning(rate) | Pace::Sleeping(rate) => {
            begin + Duration::from_secs_f64(f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / rate)
        }
        Pace::Saturating => begin,
    }
}

/// Puts every request into the queue when it is due, and returns how many they were.
async fn let_off(pace: Pace, begin: Instant, duration: Duration, jobs: mpsc::UnboundedSender<Job>) -> usize {
    let end = begin + duration;
    match pace {
        Pace::Saturating => 0,
        Pace::Spinning(_) => {
            let mut number = 0;
            loop {
                let now = Instant::now();
                while due(pace, begin, number) <= now {
                    if due(pace, begin, number) >= end
                        || jobs.send(Job { number, due: due(pace, begin, number) }).is_err()
                    {
                        return number;
                    }
                    number += 1;
                }
                tokio::task::yield_now().await;
            }
        }
        Pace::Sleeping(_) => {
            // The runtime's own timer counts in milliseconds; a sleeping thread is exact to some 50 µs.
            let sleeper = tokio::task::spawn_blocking(move || {
                let mut number = 0;
                loop {
                    let due = due(pace, begin, number);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    if due >= end || jobs.send(Job { number, due }).is_err() {
                        return number;
                    }
                    number += 1;
                }
            });
            sleeper.await.unwrap_or_default()
        }
    }
}

/// One connection that is kept alive, and opened again after a failure.
struct Connection {
    target: Target,
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn open(target: &Target) -> Result<Self> {
        let sender = Self::handshake(target).await?;
        Ok(Self { target: target.clone(), host: target.address.to_string(), sender })
    }

    async fn handshake(target: &Target) -> Result<SendRequest<Full<Bytes>>> {
        let stream =
            TcpStream::connect(target.address).await.with_context(|| format!("cannot reach {}", target.address))?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(target.address.ip().into());
        let stream = TlsConnector::from(target.tls.clone()).connect(name, stream).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Whoever sends the next request learns of the failure.
            let _ = connection.await;
        });
        Ok(sender)
    }

    async fn send(&mut self, shot: &Shot, expect: &str) -> Result<()> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&*shot.path)
            .header(http::header::HOST, &self.host)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .body(Full::new(shot.body.clone()))?;
        let answer = match self.sender.send_request(request).await {
            Ok(answer) => answer,
            Err(error) => {
                self.sender = Self::handshake(&self.target).await?;
                return Err(error.into());
            }
        };
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let right = matches!(status, StatusCode::OK | StatusCode::CREATED)
            && (expect.is_empty() || body.windows(expect.len()).any(|window| window == expect.as_bytes()));
        if right { Ok(()) } else { Err(anyhow!("{status}: {}", String::from_utf8_lossy(&body))) }
    }
}
