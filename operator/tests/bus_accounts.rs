//! Accounts of Domains on a real server: made, used, forgotten by the server, and removed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use tetrarch_bus::{Identity, Options};
use tetrarch_operator::{
    bus::{Account, BusPort, accounts::Accounts},
    clock::Clock,
    queue::Queue,
    telemetry::metrics::Metrics,
    trust::Root,
    world::World,
};
use tetrarch_plan::{admit::Index, effect::BusUser};
use tetrarch_protocol::stream::{CONFIG_BUCKET, REPORT_BUCKET};
use tetrarch_testkit::nats::{self, NatsServer};

struct Fixture {
    server: NatsServer,
    accounts: Accounts,
    root: Root,
    // Keeps the claims of the server.
    _claims: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let root = Root::generate(Timestamp::now()).unwrap();
    let claims = tempfile::tempdir().unwrap();
    let extra = root.server_config(claims.path().to_str().unwrap()).unwrap();
    let server = NatsServer::start_with(nats::Options { extra, ..nats::Options::default() }).await.unwrap();
    let metrics = Metrics::new();
    let (world, _writers) = World::new(Index::default());
    let queue = Queue::new(metrics.clone());
    let accounts = Accounts::new(server.url(), Clock::system(), queue, Arc::new(world), metrics);
    let entries = root.to_entries().unwrap();
    accounts.open(Root::from_entries(|key| entries.get(key).cloned()).unwrap()).await.unwrap();
    Fixture { server, accounts, root, _claims: claims }
}

fn account(domain: &str) -> Account {
    Account { domain: domain.parse().unwrap(), uid: format!("uid-of-{domain}"), created_at: 1_790_000_000 }
}

/// Tries until it works: connections are established in the background.
async fn ensured(accounts: &Accounts, account: &Account) {
    for _ in 0..100 {
        if accounts.ensure_account(account).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the account cannot be made: {:?}", accounts.ensure_account(account).await);
}

#[tokio::test]
async fn configuration_is_written_once_and_survives_the_server() {
    let mut fixture = fixture().await;
    let domain = account("compliance");
    ensured(&fixture.accounts, &domain).await;
    let value = Bytes::from_static(b"{}");
    assert!(fixture.accounts.publish(&domain, "supervisor.s", value.clone()).await.unwrap());
    assert!(!fixture.accounts.publish(&domain, "supervisor.s", value.clone()).await.unwrap(), "written twice");

    fixture.server.restart().await.unwrap();
    ensured(&fixture.accounts, &domain).await;
    assert!(!fixture.accounts.publish(&domain, "supervisor.s", value).await.unwrap(), "lost");
    assert!(fixture.accounts.retract(&domain, CONFIG_BUCKET, "supervisor.s").await.unwrap());
    assert!(!fixture.accounts.retract(&domain, CONFIG_BUCKET, "supervisor.s").await.unwrap());
}

#[tokio::test]
async fn a_supervisors_report_is_seen_with_the_credentials_that_it_gets() {
    let fixture = fixture().await;
    let domain = account("compliance");
    ensured(&fixture.accounts, &domain).await;
    let user = BusUser::Supervisor { supervisor: "licences".parse().unwrap() };
    let credentials = fixture.accounts.credentials(&domain, &user).unwrap();
    let options = Options { url: fixture.server.url(), name: "test".to_owned(), ..Options::default() };
    let identity = Identity { credentials: &credentials.user, ca: &credentials.authority };
    let supervisor = tetrarch_bus::connect_as(&options, identity).await.unwrap();
    supervisor.connected().await;
    supervisor.put(REPORT_BUCKET, "supervisor.licences", Bytes::from_static(b"7")).await.unwrap();
    for _ in 0..100 {
        if fixture.accounts.report(&domain, "supervisor.licences").is_some() {
            assert_eq!(fixture.accounts.report(&account("other"), "supervisor.licences"), None);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the report was not seen");
}

#[tokio::test]
async fn the_work_of_one_supervisor_is_removed_and_that_of_another_stays() {
    let fixture = fixture().await;
    let domain = account("compliance");
    ensured(&fixture.accounts, &domain).await;
    let key = fixture.root.account(&domain.uid).unwrap();
    let permissions = tetrarch_protocol::permission::operator();
    let credentials = key.credentials("test", &permissions, 1).unwrap();
    let options = Options { url: fixture.server.url(), name: "test".to_owned(), ..Options::default() };
    let identity = Identity { credentials: &credentials, ca: fixture.root.authority_certificate() };
    let bus = tetrarch_bus::connect_as(&options, identity).await.unwrap();
    bus.connected().await;
    for subject in ["run.a.r-1", "task.a.p.normal.r-1.s.1", "res.a.p.r-1.s.1", "run.ab.r-2"] {
        bus.publish_new(subject, Bytes::from_static(b"x")).await.unwrap();
    }
    fixture.accounts.remove_work(&domain, &"a".parse().unwrap()).await.unwrap();
    let mut work = bus.jetstream().get_stream("WORK").await.unwrap();
    assert_eq!(work.info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_removed_account_leaves_nothing_and_another_one_is_untouched() {
    let fixture = fixture().await;
    let (gone, kept) = (account("gone"), account("kept"));
    for domain in [&gone, &kept] {
        ensured(&fixture.accounts, domain).await;
        fixture.accounts.publish(domain, "supervisor.s", Bytes::from_static(b"{}")).await.unwrap();
    }
    fixture.accounts.remove_account(&gone).await.unwrap();
    // Again, as after a crash before the finalizer was removed.
    fixture.accounts.remove_account(&gone).await.unwrap();
    ensured(&fixture.accounts, &gone).await;
    let value = Bytes::from_static(b"{}");
    assert!(fixture.accounts.publish(&gone, "supervisor.s", value.clone()).await.unwrap(), "its data was kept");
    assert!(!fixture.accounts.publish(&kept, "supervisor.s", value).await.unwrap(), "the other's data was lost");
}

#[tokio::test]
async fn the_servers_read_their_configuration_again_and_stay_up() {
    let fixture = fixture().await;
    let domain = account("compliance");
    ensured(&fixture.accounts, &domain).await;
    let log = || std::fs::read_to_string(fixture.server.directory().join("server.log")).unwrap();
    assert!(!log().contains("Reloaded server configuration"));
    fixture.accounts.reload_servers().await.unwrap();
    assert!(log().contains("Reloaded server configuration"), "{}", log());
    ensured(&fixture.accounts, &domain).await;
}
