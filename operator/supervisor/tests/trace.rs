//! Runs as traces: through a real bus, with a real sidecar, an agent over HTTP and a collector.

#![expect(clippy::unwrap_used, reason = "the steps of a test end it when they fail")]

mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use serde_json::{Value, json};
use tetrarch_agent_sidecar::{
    metrics::Metrics,
    service::{Options, Service},
};
use tetrarch_core::trace::TraceId;
use tetrarch_protocol::{otlp, snapshot::TelemetrySnapshot, stream::ACK_WAIT, summary::Phase};
use world::{World, map, run_id, step, workflow};

type Shared<T> = Arc<Mutex<Vec<T>>>;

/// Serves on a free port of this machine.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A collector that keeps what it gets.
async fn collector() -> (String, Shared<otlp::Request>) {
    let received: Shared<otlp::Request> = Arc::default();
    let take = async |State(received): State<Shared<otlp::Request>>, Json(request): Json<otlp::Request>| {
        received.lock().unwrap().push(request);
        Json(json!({}))
    };
    (serve(Router::new().route(otlp::PATH, post(take)).with_state(received.clone())).await, received)
}

/// An agent that answers with its input, with its sidecar; and the trace contexts it is called with.
async fn agent(world: &World) -> Shared<String> {
    let contexts: Shared<String> = Arc::default();
    let work = async |State(contexts): State<Shared<String>>, headers: HeaderMap, Json(request): Json<Value>| {
        let context = headers.get("traceparent").map(|context| context.to_str().unwrap_or_default().to_owned());
        contexts.lock().unwrap().extend(context);
        Json(json!({"output": request["input"]}))
    };
    let router = Router::new().route("/tasks", post(work)).route("/health", get(async || "well"));
    let url = serve(router.with_state(contexts.clone())).await;
    let options = Options {
        supervisor: world.supervisor.clone(),
        pool: world::name("worker"),
        agent: "worker-0".to_owned(),
        slots: 4,
        agent_url: format!("{url}/tasks"),
        health_url: format!("{url}/health"),
        drain_timeout: Duration::from_secs(1),
        max_response: 1024 * 1024,
        ack_wait: ACK_WAIT,
    };
    let bus = world::connect(&world.server, "worker-0").await;
    let (service, handle) = Service::new(options, bus, Metrics::new().unwrap()).await.unwrap();
    // The handle lives as long as the agent.
    tokio::spawn(async move {
        service.run().await.ok();
        drop(handle);
    });
    contexts
}

async fn traced(endpoint: String, sampling_percent: u32) -> World {
    let mut world = World::start().await;
    world.telemetry = Some(TelemetrySnapshot { otlp_endpoint: endpoint, sampling_percent });
    world.configure(&["worker"], 10).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_connected_trace_down_to_the_agent() {
    let (endpoint, received) = collector().await;
    let world = traced(endpoint, 100).await;
    let contexts = agent(&world).await;
    world.want(&workflow("traced", json!([step("first", &[], json!(1)), map("each", 3, 3)])), &["traced-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("traced", "traced-1").await.phase, Phase::Succeeded);
    replica.stop().await;

    let mut spans: BTreeMap<String, otlp::Span> = BTreeMap::new();
    let mut services = BTreeSet::new();
    for of_service in received.lock().unwrap().drain(..).flat_map(|request| request.resource_spans) {
        services.insert(format!("{:?}", of_service.resource.attributes[0].value));
        for span in of_service.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let before = spans.insert(span.span_id.clone(), span);
            assert_eq!(before, None, "each span is sent once");
        }
    }
    assert_eq!(services.len(), 3, "operator, supervisor and sidecar: {services:?}");
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for span in spans.values() {
        *names.entry(&span.name).or_default() += 1;
    }
    let expected = [
        ("agent", 4),
        ("attempt", 4),
        ("hand-over", 1),
        ("place", 1),
        ("queue", 4),
        ("run traced", 1),
        ("step each", 1),
        ("step first", 1),
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);

    let trace = TraceId::of_run(&run_id("traced-1")).to_string();
    let mut roots = Vec::new();
    for span in spans.values() {
        assert_eq!(span.trace_id, trace);
        let nanos = |text: &str| text.parse::<u128>().unwrap();
        assert!(nanos(&span.start_time_unix_nano) <= nanos(&span.end_time_unix_nano), "{span:?}");
        match &span.parent_span_id {
            None => roots.push(span.name.clone()),
            Some(parent) => assert!(spans.contains_key(parent), "{span:?} has no parent"),
        }
    }
    assert_eq!(roots, ["run traced"]);

    let contexts = contexts.lock().unwrap().clone();
    assert_eq!(contexts.len(), 4);
    for context in contexts {
        let [_, of_trace, parent, flags] = context.split('-').collect::<Vec<_>>()[..] else { panic!("{context}") };
        assert_eq!((of_trace, flags), (trace.as_str(), "01"));
        assert_eq!(spans[parent].name, "agent", "what the agent traces hangs below its call");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_runs_go_on_and_spans_are_counted_as_lost() {
    let world = traced("http://127.0.0.1:1".to_owned(), 100).await;
    let _contexts = agent(&world).await;
    world.want(&workflow("lonely", json!([step("only", &[], json!(1))])), &["lonely-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("lonely", "lonely-1").await.phase, Phase::Succeeded);
    let metrics = replica.metrics().clone();
    replica.stop().await;
    let text = metrics.render().unwrap();
    assert!(text.contains("tetrarch_spans_total{result=\"refused\"} 7"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_sampled_says_so_to_the_agent_and_sends_nothing() {
    let (endpoint, received) = collector().await;
    let world = traced(endpoint, 0).await;
    let contexts = agent(&world).await;
    world.want(&workflow("quiet", json!([step("only", &[], json!(1))])), &["quiet-1"]).await;
    let replica = world.replica("one").await;
    assert_eq!(world.await_end("quiet", "quiet-1").await.phase, Phase::Succeeded);
    replica.stop().await;
    assert!(received.lock().unwrap().is_empty());
    let contexts = contexts.lock().unwrap().clone();
    assert!(contexts.len() == 1 && contexts[0].ends_with("-00"), "{contexts:?}");
}
