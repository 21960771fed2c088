//! The real binary: probes, metrics, death, orderly end, and its answers to people.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the steps of a test end it when they fail")]

mod world;

use std::{
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tetrarch_protocol::summary::Phase;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use world::{World, echo, map, step, workflow};

struct Process {
    child: Child,
    port: u16,
}

impl Process {
    async fn serve(world: &World, replica: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let child = command(world, &["serve"])
            .env("POD_NAME", replica)
            .env("TETRARCH_HTTP_ADDR", format!("127.0.0.1:{port}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await.ok()?;
        Some(response)
    }

    async fn await_ready(&self) {
        for _ in 0..1000 {
            if self.get("/readyz").await.is_some_and(|response| response.starts_with("HTTP/1.1 200")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not ready: {:?}", self.get("/readyz").await);
    }

    /// Sends SIGTERM and waits for the end; its log.
    fn terminate(mut self) -> Vec<Value> {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tetrarch-supervisor"));
    command.args(arguments).env("TETRARCH_BUS_URL", world.replica_url()).env("TETRARCH_SUPERVISOR", "sup");
    command.env("TETRARCH_LOG", "info");
    command
}

async fn answer(world: &World, arguments: &[&'static str]) -> Output {
    let mut command = command(world, arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_killed_process_is_followed_by_one_that_finishes_its_run() {
    let world = World::start().await;
    let first = Process::serve(&world, "pod-1").await;
    first.await_ready().await;
    let definition = workflow("real", json!([map("each", 300, 10), step("last", &["each"], json!(["done"]))]));
    world.want(&definition, &["real-1"]).await;
    let _agent = world.agent("worker", echo()).await;
    for _ in 0..5000 {
        if world.count("res.>").await > 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.kill();
    let second = Process::serve(&world, "pod-2").await;
    second.await_ready().await;
    assert_eq!(world.await_end("real", "real-1").await.phase, Phase::Succeeded);
    world.assert_once("real-1").await;

    let metrics = second.get("/metrics").await.unwrap();
    for name in ["tetrarch_tasks_completed_total", "tetrarch_lease_partitions_held 8", "tetrarch_journal_lag_entries 0"]
    {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    assert!(second.get("/healthz").await.unwrap().starts_with("HTTP/1.1 200"));

    let output = answer(&world, &["output", "real-1"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!({"last": ["done"]}));
    let journal = answer(&world, &["journal", "real-1"]).await;
    let lines: Vec<Value> =
        String::from_utf8(journal.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["body"]["type"], "finished");
    let runs = String::from_utf8(answer(&world, &["runs"]).await.stdout).unwrap();
    assert!(runs.contains("real-1") && runs.contains("Succeeded"), "{runs}");
    let unknown = answer(&world, &["output", "nobody-1"]).await;
    assert!(!unknown.status.success());
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("there is no run nobody-1"));

    let log = second.terminate();
    let messages: Vec<_> = log.iter().map(|line| line["message"].as_str().unwrap_or_default()).collect();
    assert!(messages.contains(&"gave its leases back") && messages.contains(&"stopped"), "{messages:#?}");
    assert!(log.iter().any(|line| line["message"] == "run finished" && line["run"] == "real-1"), "{log:#?}");
}

#[tokio::test]
async fn a_replica_without_its_bus_is_alive_and_not_ready() {
    let mut world = World::start().await;
    let process = Process::serve(&world, "pod-1").await;
    process.await_ready().await;
    world.server.kill().unwrap();
    for _ in 0..500 {
        let response = process.get("/readyz").await.unwrap();
        if response.starts_with("HTTP/1.1 503") {
            assert!(response.contains("[-] bus connected"), "{response}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(process.get("/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
    world.server.restart().await.unwrap();
    process.await_ready().await;
    let log = tokio::task::spawn_blocking(|| process.terminate()).await.unwrap();
    assert!(!log.is_empty());
}

#[tokio::test]
async fn a_replica_that_never_met_its_bus_stops_when_it_is_told_to() {
    let mut world = World::start().await;
    world.server.kill().unwrap();
    let mut process = Process::serve(&world, "pod-1").await;
    // Only then does it hear signals; a line of its log says so.
    let mut log = std::io::BufReader::new(process.child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut log, &mut line).unwrap();
    assert!(line.contains("supervisor starts"), "{line}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let killed = Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    for _ in 0..1500 {
        if let Some(status) = process.child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.kill();
    panic!("still there after thirty seconds");
}
