//! The bus against a real server: conditions, batches, large values, following through a crash.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the steps of a test end it when they fail")]

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tetrarch_bus::{
    Bus, Options, connect,
    domain::Settings,
    follow::{Delivered, Event, Follow, Start},
    keyvalue::key_of,
    write::{Error, Message, Written},
};
use tetrarch_protocol::{
    blob::{MAX_INLINE, Payload},
    stream::{CONFIG_BUCKET, LEASE_BUCKET, REPORT_BUCKET, WORK},
};
use tetrarch_testkit::nats::NatsServer;

async fn start() -> (NatsServer, Bus) {
    start_with(&Settings::default()).await
}

async fn start_with(settings: &Settings) -> (NatsServer, Bus) {
    let server = NatsServer::start().await.unwrap();
    let bus = connect(&Options { url: server.url(), name: "test".into(), ..Options::default() }).await.unwrap();
    bus.connected().await;
    bus.ensure_domain(settings).await.unwrap();
    (server, bus)
}

async fn next(follow: &mut Follow) -> Event {
    tokio::time::timeout(Duration::from_secs(20), follow.next()).await.expect("no event within 20 s")
}

async fn next_message(follow: &mut Follow) -> Delivered {
    loop {
        if let Event::Message(message) = next(follow).await {
            return message;
        }
    }
}

fn task(n: usize) -> String {
    format!("task.sup.pool.normal.run.step:{n}.1")
}

async fn count(bus: &Bus) -> u64 {
    bus.jetstream().get_stream(WORK).await.unwrap().cached_info().state.messages
}

#[tokio::test]
async fn a_message_is_written_once_however_often_it_is_tried() {
    let (_server, bus) = start().await;
    let first = bus.publish_new(task(1), "a").await.unwrap();
    assert!(matches!(first, Written::Fresh(1)), "{first:?}");
    assert_eq!(bus.publish_new(task(1), "b").await.unwrap(), Written::Exists);
    assert_eq!(count(&bus).await, 1);
}

#[tokio::test]
async fn of_two_writers_that_append_after_the_same_event_one_loses() {
    let (_server, bus) = start().await;
    let Written::Fresh(first) = bus.append("run.sup.r", 0, "1").await.unwrap() else { panic!("conflict") };
    assert!(matches!(bus.append("run.sup.r", first, "2").await.unwrap(), Written::Fresh(_)));
    assert_eq!(bus.append("run.sup.r", first, "2 too").await.unwrap(), Written::Exists);
}

#[tokio::test]
async fn a_batch_is_stored_in_order_and_tells_every_sequence() {
    let (_server, bus) = start().await;
    let messages: Vec<_> = (0..2500).map(|n| Message::new(task(n), n.to_string())).collect();
    let written = bus.publish_batch(&messages).await.unwrap();
    assert_eq!(written, (1..=2500).map(Written::Fresh).collect::<Vec<_>>());
    let stored = bus.jetstream().get_stream(WORK).await.unwrap().direct_get(1234).await.unwrap();
    assert_eq!(stored.subject.as_str(), task(1233));
}

#[tokio::test]
async fn a_batch_of_which_some_exist_stores_the_others() {
    let (_server, bus) = start().await;
    bus.publish_new(task(3), "before").await.unwrap();
    let messages: Vec<_> = (0..50).map(|n| Message::new(task(n), "batch")).collect();
    let written = bus.publish_batch(&messages).await.unwrap();
    let exist: Vec<_> = (0..50).filter(|n| written[*n] == Written::Exists).collect();
    assert_eq!(exist, [3]);
    assert_eq!(count(&bus).await, 50);
    // The same again: everything is there.
    assert!(bus.publish_batch(&messages).await.unwrap().iter().all(|w| *w == Written::Exists));
    assert_eq!(count(&bus).await, 50);
}

#[tokio::test]
async fn a_full_stream_refuses_and_says_so() {
    let (_server, bus) = start_with(&Settings { max_work_bytes: Some(256 * 1024), replicas: 1 }).await;
    let payload = vec![b'x'; 60 * 1024];
    let mut refused = None;
    for n in 0..10 {
        if let Err(error) = bus.publish_new(task(n), payload.clone()).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(Error::Full(_))), "{refused:?}");
    let batch: Vec<_> = (100..110).map(|n| Message::new(task(n), payload.clone())).collect();
    let refused = bus.publish_batch(&batch).await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    // More room lets it go on.
    bus.ensure_domain(&Settings { max_work_bytes: Some(8 * 1024 * 1024), replicas: 1 }).await.unwrap();
    assert!(bus.publish_batch(&batch).await.is_ok());
}

#[tokio::test]
async fn a_domain_that_is_as_it_should_be_is_not_touched() {
    let (_server, bus) = start().await;
    let before = bus.jetstream().get_stream(WORK).await.unwrap().cached_info().clone();
    bus.ensure_domain(&Settings::default()).await.unwrap();
    let after = bus.jetstream().get_stream(WORK).await.unwrap().cached_info().clone();
    assert_eq!(before.config, after.config);
    assert!(before.config.allow_atomic_publish && before.config.allow_direct);
}

#[tokio::test]
async fn a_work_stream_of_an_older_version_takes_events_and_marks() {
    let (_server, bus) = start().await;
    let mut config = bus.jetstream().get_stream(WORK).await.unwrap().cached_info().config.clone();
    bus.jetstream().delete_stream(WORK).await.unwrap();
    config.subjects = ["task.>", "try.>", "res.>", "run.>", "dead.>"].map(str::to_owned).to_vec();
    config.allow_message_ttl = false;
    bus.jetstream().create_stream(config).await.unwrap();
    bus.ensure_domain(&Settings::default()).await.unwrap();
    let sequence = bus.jetstream().publish("event.sup.orders", "{}".into()).await.unwrap().await.unwrap().sequence;
    assert!(bus.has(WORK, "event.sup.orders").await.unwrap());
    bus.remove(WORK, sequence).await.unwrap();
    bus.remove(WORK, sequence).await.unwrap();
    assert!(!bus.has(WORK, "event.sup.orders").await.unwrap());
    let day = Duration::from_hours(24);
    assert!(matches!(bus.mark("seen.sup.r-1", day).await.unwrap(), Written::Fresh(_)));
    assert_eq!(bus.mark("seen.sup.r-1", day).await.unwrap(), Written::Exists);
    bus.mark("seen.sup.r-2", Duration::from_secs(1)).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while bus.has(WORK, "seen.sup.r-2").await.unwrap() {
        assert!(tokio::time::Instant::now() < deadline, "a mark stays for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(bus.has(WORK, "seen.sup.r-1").await.unwrap());
}

#[tokio::test]
async fn values_of_any_size_come_back_as_they_were() {
    let (_server, bus) = start().await;
    let small = json!({"n": 1});
    assert_eq!(bus.store_payload("r/s/1/in", small.clone()).await.unwrap(), Payload::Inline(small));
    let large = Value::String("ü".repeat(MAX_INLINE * 2));
    let one = bus.store_payload("r/s/1/out", large.clone()).await.unwrap();
    // A second writer for the same place, such as a sidecar that lost: the first reference stays what it was.
    bus.store_payload("r/s/1/out", Value::String("x".repeat(MAX_INLINE * 2))).await.unwrap();
    assert!(matches!(one, Payload::Blob(_)));
    assert_eq!(bus.load_payload(one.clone()).await.unwrap(), large);
    assert_eq!(bus.delete_payloads(|name| name.starts_with("other/")).await.unwrap(), 0);
    assert_eq!(bus.delete_payloads(|name| name.starts_with("r/")).await.unwrap(), 2);
    assert!(matches!(bus.load_payload(one).await, Err(tetrarch_bus::blob::Error::Missing(_))));
    let left = bus.jetstream().get_stream("OBJ_BLOB").await.unwrap().cached_info().state.messages;
    assert_eq!(left, 0, "chunks or markers stay behind");
}

#[tokio::test]
async fn a_value_is_set_read_replaced_under_its_revision_and_deleted() {
    let (_server, bus) = start().await;
    assert_eq!(bus.get(REPORT_BUCKET, "a.b").await.unwrap(), None);
    let revision = bus.put(REPORT_BUCKET, "a.b", "1").await.unwrap();
    assert_eq!(bus.get(REPORT_BUCKET, "a.b").await.unwrap().unwrap().revision, revision);
    assert!(matches!(bus.put_if(REPORT_BUCKET, "a.b", revision, "2").await.unwrap(), Written::Fresh(_)));
    assert_eq!(bus.put_if(REPORT_BUCKET, "a.b", revision, "3").await.unwrap(), Written::Exists);
    assert_eq!(bus.put_if(LEASE_BUCKET, "new", 0, "x").await.map(|w| w == Written::Exists), Ok(false));
    assert_eq!(&bus.get(REPORT_BUCKET, "a.b").await.unwrap().unwrap().value[..], b"2");
    bus.delete(REPORT_BUCKET, "a.b").await.unwrap();
    assert_eq!(bus.get(REPORT_BUCKET, "a.b").await.unwrap(), None);
}

#[tokio::test]
async fn a_follower_misses_and_repeats_nothing_when_the_server_is_killed() {
    let (mut server, bus) = start().await;
    let mut follow = bus.follow(WORK, vec!["task.sup.>".into(), "run.sup.>".into()], Start::After(0));
    assert_eq!(next(&mut follow).await, Event::CaughtUp);
    for n in 0..20 {
        bus.publish_new(task(n), "x").await.unwrap();
        bus.publish_new(format!("task.other.pool.normal.run.step.{n}"), "not ours").await.unwrap();
    }
    for n in 0..10 {
        assert_eq!(next_message(&mut follow).await.subject, task(n));
    }
    server.restart().await.unwrap();
    bus.connected().await;
    let mut written = 20;
    while written < 30 {
        if matches!(bus.publish_new(task(written), "x").await, Ok(Written::Fresh(_) | Written::Exists)) {
            written += 1;
        }
    }
    for n in 10..30 {
        assert_eq!(next_message(&mut follow).await.subject, task(n));
    }
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// More than are fetched ahead, so that some are still with the server when all are purged.
#[tokio::test]
async fn a_follower_has_caught_up_when_what_was_to_come_is_purged() {
    let (_server, bus) = start().await;
    let messages: Vec<_> = (0..2500).map(|n| Message::new(task(n), n.to_string())).collect();
    bus.publish_batch(&messages).await.unwrap();
    let mut follow = bus.follow(WORK, vec!["task.>".to_owned()], Start::After(0));
    let mut last = next_message(&mut follow).await;
    assert_eq!((last.sequence, last.pending), (1, 2499));
    let stream = bus.jetstream().get_stream(WORK).await.unwrap();
    stream.purge().filter("task.>").await.unwrap();
    loop {
        match next(&mut follow).await {
            Event::Message(message) => last = message,
            event => break assert_eq!(event, Event::CaughtUp),
        }
    }
    assert!(last.pending > 0, "everything came before the purge: the test shows nothing");
    bus.publish_new(task(2500), "later").await.unwrap();
    assert_eq!(next_message(&mut follow).await.sequence, 2501);
}

#[tokio::test]
async fn a_follower_notices_a_stream_that_went_back_also_when_it_has_grown_again() {
    for growth in [0, 2, 30] {
        let (mut server, bus) = start().await;
        let mut follow = bus.follow(WORK, vec!["task.sup.>".into()], Start::After(0));
        assert_eq!(next(&mut follow).await, Event::CaughtUp);
        for n in 0..5 {
            bus.publish_new(task(n), "x").await.unwrap();
        }
        let (store, before) = (server.directory().join("store"), server.directory().join("before"));
        server.kill().unwrap();
        copy(&store, &before);
        server.restart().await.unwrap();
        bus.connected().await;
        for n in 5..10 {
            bus.publish_new(task(n), "x").await.unwrap();
        }
        for n in 0..10 {
            assert_eq!(next_message(&mut follow).await.subject, task(n));
        }
        // The power fails, and the second half was never on the disk.
        server.kill().unwrap();
        std::fs::remove_dir_all(&store).unwrap();
        copy(&before, &store);
        server.restart().await.unwrap();
        bus.connected().await;
        for n in 20..20 + growth {
            bus.publish_new(task(n), "x").await.unwrap();
        }
        assert_eq!(next(&mut follow).await, Event::Restarted, "grown by {growth}");
        for n in (0..5).chain(20..20 + growth) {
            assert_eq!(next_message(&mut follow).await.subject, task(n), "grown by {growth}");
        }
    }
}

#[tokio::test]
async fn a_watch_tells_present_values_changes_and_deletions() {
    let (mut server, bus) = start().await;
    bus.put(CONFIG_BUCKET, "workflow.sup.a", "1").await.unwrap();
    bus.put(CONFIG_BUCKET, "workflow.sup.a", "2").await.unwrap();
    bus.put(CONFIG_BUCKET, "workflow.other.a", "x").await.unwrap();
    let mut watch = bus.watch(CONFIG_BUCKET, &["supervisor.sup".into(), "workflow.sup.*".into()]);
    let message = next_message(&mut watch).await;
    assert_eq!(key_of(CONFIG_BUCKET, &message.subject), Some("workflow.sup.a"));
    assert_eq!((&message.payload[..], message.pending), (&b"2"[..], 0));
    bus.put(CONFIG_BUCKET, "supervisor.sup", "s").await.unwrap();
    assert_eq!(key_of(CONFIG_BUCKET, &next_message(&mut watch).await.subject), Some("supervisor.sup"));
    bus.delete(CONFIG_BUCKET, "workflow.sup.a").await.unwrap();
    assert!(next_message(&mut watch).await.deleted);
    server.restart().await.unwrap();
    assert_eq!(next(&mut watch).await, Event::Restarted);
    assert_eq!(key_of(CONFIG_BUCKET, &next_message(&mut watch).await.subject), Some("supervisor.sup"));
}
