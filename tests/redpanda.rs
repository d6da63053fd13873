//! The client of Redpanda's Admin API against the exchanges of testdata/redpanda: no Redpanda can run here.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::certificates::{certificate, signed};
use common::http::{Nodes, Recorded, listeners, server_tls};
use common::own_postgres::free_port;
use nornplan::config::{self, Source};
use nornplan::core::plan::Level;
use nornplan::core::secret::Secret;
use nornplan::error::Diagnostic;
use nornplan::services::kafka::redpanda::AdminApi;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A client as the workspace's variables make it.
fn client(urls: &str, more: &[(&str, &str)]) -> AdminApi {
    let given = [("ADMIN_URL", urls), ("ADMIN_USER", "norn"), ("ADMIN_PASSWORD", "p@ss:word")];
    let variables =
        given.iter().chain(more).map(|(name, value)| (format!("NORNPLAN_KAFKA_{name}"), (*value).to_owned()));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = Source {
        working_directory: directory.path().to_owned(),
        variables: variables.collect::<BTreeMap<_, _>>(),
        ..Source::default()
    };
    AdminApi::new(&config::load(&source).expect("a configuration").kafka).expect("an admin_url")
}

fn password() -> Secret {
    Secret::new("momorocks".to_owned())
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[track_caller]
fn fails<T>(result: Result<T, Diagnostic>) -> Diagnostic {
    let error = result.err().expect("it fails");
    let told = format!("{error} {error:?}");
    assert!(!told.contains("momorocks") && !told.contains("p@ss:word") && !told.contains("bm9ybj"), "{told}");
    assert!(error.hint.is_some(), "{told}");
    error
}

#[tokio::test]
async fn one_node_is_asked_directly() {
    let redpanda = Recorded::play("one-node.http", None);
    let api = client(&redpanda.urls("http", 1), &[]);
    assert_eq!(api.users().await.unwrap(), names(&["Joss", "jeff", "lola", "tobias"]));
    api.set_user("Joss", &password(), "SCRAM-SHA-256").await.unwrap();
    api.delete_user("Milo").await.unwrap();
    api.delete_user("a/b?#").await.unwrap();
    redpanda.finish();
}

#[tokio::test]
async fn a_user_that_exists_is_updated() {
    let redpanda = Recorded::play("exists.http", None);
    client(&redpanda.urls("http", 1), &[]).set_user("Joss", &password(), "SCRAM-SHA-512").await.unwrap();
    redpanda.finish();
}

#[tokio::test]
async fn of_several_nodes_the_leader_is_written_to() {
    let redpanda = Recorded::play("three-nodes.http", None);
    let api = client(&redpanda.urls("http", 3), &[]);
    api.set_user("Joss", &password(), "SCRAM-SHA-256").await.unwrap();
    api.delete_user("Lola").await.unwrap();
    redpanda.finish();
}

#[tokio::test]
async fn reads_go_to_whichever_node_is_up() {
    let redpanda = Recorded::play("tls.http", None);
    let address = format!("127.0.0.1:{}", free_port());
    let urls = format!("http://{address},{}", redpanda.urls("http", 1));
    assert_eq!(client(&urls, &[]).users().await.unwrap(), names(&["Joss"]));
    redpanda.finish();
    let error = fails(client(&format!("http://{address}"), &[]).users().await);
    assert!(error.message.contains("cannot be reached") && error.may_pass, "{error}");
}

#[tokio::test]
async fn redirects_are_followed_with_body_and_sign_in() {
    let redpanda = Recorded::play("redirects.http", None);
    let since = Instant::now();
    client(&redpanda.urls("http", 1), &[]).set_user("Joss", &password(), "SCRAM-SHA-256").await.unwrap();
    assert!(since.elapsed() >= Duration::from_secs(1), "Retry-After");
    redpanda.finish();
}

#[tokio::test]
async fn redirects_to_strangers_and_without_end_are_not_followed() {
    let redpanda = Recorded::play("astray.http", None);
    let error = fails(client(&redpanda.urls("http", 1), &[]).delete_user("Lola").await);
    assert!(error.message.contains("10.255.255.1:9644"), "{error}");
    assert!(error.hint.unwrap().contains("every node"));
    redpanda.finish();

    let redpanda = Recorded::play("round.http", None);
    let error = fails(client(&redpanda.urls("http", 1), &[]).delete_user("Lola").await);
    assert!(error.message.contains("one redirect too many"), "{error}");
    redpanda.finish();
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_what_to_do() {
    let redpanda = Recorded::play("refusals.http", None);
    let api = client(&redpanda.urls("http", 1), &[]);
    for (text, hint) in [
        ("refuses the sign-in of norn: Unauthorized", "kafka.admin_user"),
        ("norn may not use the Admin API", "superusers"),
        ("does not know this call: Not found", "9644"),
        ("is not Redpanda's Admin API", "9644"),
    ] {
        let error = fails(api.users().await);
        assert!(error.message.contains(text), "{error}");
        assert!(error.hint.as_ref().unwrap().contains(hint), "{error}");
        assert!(error.to_string().contains("while: GET /v1/security/users"), "{error}");
    }
    // The server repeats the password.
    let error = fails(api.set_user("Joss", &password(), "SCRAM-SHA-256").await);
    assert!(error.message.contains("invalid control characters: …"), "{error}");
    let error = fails(api.set_user("Joss", &password(), "SCRAM-SHA-256").await);
    assert!(error.message.contains("no leader controller"), "{error}");
    redpanda.finish();
}

#[tokio::test]
async fn what_may_pass_is_tried_again_for_a_while() {
    let redpanda = Recorded::play("busy.http", None);
    let api = client(&redpanda.urls("http", 1), &[]);
    assert!(api.users().await.unwrap().is_empty());
    api.delete_user("Lola").await.unwrap();
    let error = fails(api.delete_user("Milo").await);
    assert!(error.may_pass && error.message.contains("Timeout"), "{error}");
    redpanda.finish();
}

#[tokio::test]
async fn credentials_tell_when_a_password_was_set_where_they_can() {
    let redpanda = Recorded::play("credentials.http", None);
    let api = client(&redpanda.urls("http", 1), &[]);
    let told = api.credentials().await.unwrap().expect("credentials");
    assert_eq!(told["Joss"].mechanism.as_deref(), Some("SCRAM-SHA-256"));
    assert_eq!(told["Joss"].set_at.as_deref(), Some("2026-05-01T10:00:00Z"));
    assert_eq!(told["Lola"].mechanism.as_deref(), Some("SCRAM-SHA-512"));
    assert_eq!(api.credentials().await.unwrap(), None, "before 26.1");
    assert_eq!(api.credentials().await.unwrap(), None, "not implemented");
    redpanda.finish();
}

#[tokio::test]
async fn a_look_shows_what_isolates_and_what_does_not() {
    let users = BTreeSet::from(["Joss", "Lola"]);
    let redpanda = Recorded::play("closed.http", None);
    let look = client(&redpanda.urls("http", 1), &[]).look(&users).await;
    assert_eq!(look.notices(), Vec::new());
    assert_eq!((look.authorization(), look.version.as_deref()), (Some(true), Some("24.2.9")));
    assert!(look.facts.unwrap().nodelete_topics.unwrap().contains("_schemas"));
    redpanda.finish();

    let redpanda = Recorded::play("open.http", None);
    let look = client(&redpanda.urls("http", 1), &[]).look(&users).await;
    let told: Vec<(Level, String)> = look.notices().into_iter().map(|notice| (notice.level, notice.text)).collect();
    for (level, text) in [
        (Level::Alarm, "is open: whoever reaches it is a superuser"),
        (Level::Alarm, "user Joss is one of Redpanda's superusers"),
        (Level::Alarm, "does not check ACLs"),
        (Level::Warning, "user Lola has more rights than its ACLs show, by Redpanda's roles: ops team"),
    ] {
        assert!(told.iter().any(|(one, said)| *one == level && said.contains(text)), "{text} in {told:#?}");
    }
    assert_eq!(told.len(), 4, "{told:#?}");
    redpanda.finish();
}

#[tokio::test]
async fn tls_is_spoken_and_its_lack_is_told() {
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path(), "authority", &[]);
    signed(directory.path(), "redpanda", "IP:127.0.0.1");
    let file = directory.path().join("authority.crt").display().to_string();
    let ours = [("ADMIN_CA_FILE", file.as_str())];

    let redpanda = Recorded::play("tls.http", Some(server_tls(directory.path(), "redpanda")));
    let [tls, plain] = ["https", "http"].map(|scheme| redpanda.urls(scheme, 1));
    let unknown = fails(client(&tls, &[]).users().await);
    assert!(unknown.message.contains("no TLS with") && unknown.hint.unwrap().contains("admin_ca_file"));
    let without = fails(client(&plain, &[]).users().await);
    assert!(without.message.contains("it may expect a TLS connection"), "{without}");
    assert_eq!(client(&tls, &ours).users().await.unwrap(), names(&["Joss"]));
    redpanda.finish();

    let redpanda = Recorded::play("silent.http", None);
    let error = fails(client(&redpanda.urls("http", 1), &[]).users().await);
    assert!(error.message.contains("hung up") && error.message.contains("TLS"), "{error}");
    assert!(error.hint.unwrap().contains("https://"));
    let error = fails(client(&redpanda.urls("https", 1), &ours).users().await);
    assert!(error.hint.as_ref().unwrap().contains("http://"), "{error}");
    redpanda.finish();
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let endless = Nodes::serve(listeners(1), None, |_, _| {
        let size = 17 << 20;
        Some(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size)))
    });
    let error = fails(client(&format!("http://{}", endless.addresses[0]), &[]).users().await);
    assert!(error.message.contains("more than can be right"), "{error}");
}
