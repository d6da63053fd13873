//! Valkey through its service, on a real server: users that isolate, that are seen to drift, and that last.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::config::{Config, Server, ServerConfig};
use fred::types::{Builder, ClusterHash, CustomCommand, Value};
use nornplan::config::{PasswordSource, ValkeyConfig};
use nornplan::core::change::agree;
use nornplan::core::name::AppName;
use nornplan::core::plan::Level;
use nornplan::core::secret::Secret;
use nornplan::core::step::{Action, Part, Reason, Risk};
use nornplan::services::postgres::model::Credential;
use nornplan::services::valkey::Valkey;
use nornplan::services::valkey::model::{Access, OnDestroy, user_address};
use nornplan::services::{Ask, CredentialStatus, Model, Service, ServiceId, Verdict};
use nornplan::spec::model::{App, Kv};
use std::collections::BTreeSet;
use support::{World, variable};

/// A connection that is no part of what is tested.
struct Raw(Client);

impl Raw {
    async fn sign_in(user: &str, password: &str) -> Result<Self, String> {
        let port = variable("NORNPLAN_VALKEY_PORT").parse().unwrap();
        let server = ServerConfig::Centralized { server: Server::new(variable("NORNPLAN_VALKEY_HOST"), port) };
        let credentials = (!password.is_empty()).then(|| (user.to_owned(), password.to_owned()));
        let (username, password) = credentials.unzip();
        let config = Config { server, username, password, ..Config::default() };
        let client = Builder::from_config(config).build().unwrap();
        client.init().await.map_err(|error| error.details().to_owned())?;
        Ok(Self(client))
    }

    async fn admin() -> Self {
        Self::sign_in("default", &admin_password()).await.unwrap()
    }

    /// One command, as one writes it.
    async fn run(&self, line: &str) -> Result<Value, String> {
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        let command = CustomCommand::new(words.next().unwrap(), ClusterHash::FirstKey, false);
        self.0.custom(command, words.collect::<Vec<String>>()).await.map_err(|error| error.details().to_owned())
    }
}

/// Empty where everybody is let in.
fn admin_password() -> String {
    std::env::var("NORNPLAN_VALKEY_PASSWORD").unwrap_or_default()
}

fn world() -> World {
    World::new(ServiceId::Valkey, "valkey")
}

/// The users are named in commands, so their names are the same in every run.
fn name(app: &str) -> AppName {
    AppName::new(app).unwrap()
}

impl World {
    fn declare(&mut self, app: &str, access: Access, readers: &[&str]) {
        let kv = Kv {
            namespace: Some(app.to_owned()),
            user: app.to_owned(),
            access,
            db: 0,
            shared: false,
            commands: Vec::new(),
            keys: BTreeSet::new(),
            channels: BTreeSet::new(),
            readers: readers.iter().map(|reader| name(reader)).collect(),
            credential: Credential::Generate,
            on_destroy: OnDestroy::KeepKeys,
        };
        self.insert(App { kv: Some(kv), ..self.app(name(app)) });
    }

    async fn sign_in(&self, app: &str) -> Result<Raw, String> {
        Raw::sign_in(app, &self.password(&name(app))).await
    }
}

#[tokio::test]
async fn drift_is_seen_and_repaired_with_the_same_password() {
    let mut world = world();
    world.declare("t-drift", Access::Readwrite, &[]);
    world.converge().await;
    let admin = Raw::admin().await;
    admin.run("ACL SETUSER t-drift resetkeys ~* +flushall").await.unwrap();
    let steps = world.plan().await;
    assert_eq!(steps.len(), 1, "{steps:#?}");
    let step = &steps[0];
    assert_eq!((step.action, &step.reasons), (Action::Update, &BTreeSet::from([Reason::Drifted])));
    let fields: Vec<&str> = step.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["rules_in_words", "keys", "commands"]);
    assert!(step.risks.contains(&Risk::Interrupts), "{:?}", step.risks);
    let told = step.changes[0].before.to_string();
    assert_eq!(told, r#"["run flushall (delete the keys of all apps)","read and write all keys"]"#);
    let read = world.service().read(&BTreeSet::from([step.address.clone()]), &[step]).await.unwrap();
    // Whose the passwords are is not known to who only looks at the user again.
    let [now, before] = [read.get(&step.address), step.before.as_ref()].map(Option::unwrap);
    assert!(agree(before, now), "{now:?}");
    world.apply(steps.clone()).await;
    assert!(world.plan().await.is_empty());
    world.sign_in("t-drift").await.unwrap();
    let read = world.service().read(&BTreeSet::from([step.address.clone()]), &[step]).await.unwrap();
    let Some(Model::ValkeyUser(there)) = read.get(&step.address) else { panic!("gone") };
    let Some(Model::ValkeyUser(wanted)) = &step.after else { panic!("no form") };
    assert_eq!((&there.keys, &there.commands), (&wanted.keys, &wanted.commands));
    admin.run("ACL DELUSER t-drift").await.unwrap();
    let steps = world.plan().await;
    assert_eq!((steps[0].action, &steps[0].reasons), (Action::Create, &BTreeSet::from([Reason::Vanished])));
    world.converge().await;
    world.clean_up().await;
}

#[tokio::test]
async fn passwords_are_verified_found_wrong_and_rotated() {
    let mut world = world();
    world.declare("t-password", Access::Readwrite, &[]);
    world.converge().await;
    let address = user_address("t-password");
    assert_eq!(world.status(&address).await, Some(CredentialStatus::Verified));
    let admin = Raw::admin().await;
    admin.run("ACL SETUSER t-password >another-one").await.unwrap();
    assert_eq!(world.status(&address).await, Some(CredentialStatus::Verified));
    let steps = world.plan().await;
    assert_eq!((steps.len(), steps[0].action), (1, Action::Update), "{steps:#?}");
    assert!(steps[0].notes[0].contains("an extra password is accepted"), "{:?}", steps[0].notes);
    world.apply(steps).await;
    assert!(Raw::sign_in("t-password", "another-one").await.is_err());
    assert!(world.plan().await.is_empty());
    admin.run("ACL SETUSER t-password resetpass >another-one").await.unwrap();
    assert_eq!(world.status(&address).await, Some(CredentialStatus::Wrong));
    assert!(world.sign_in("t-password").await.is_err());
    let steps = world.plan().await;
    let parts: Vec<_> = steps.iter().map(|step| (step.part, step.action)).collect();
    assert_eq!(parts, [(Part::Credential, Action::Rotate), (Part::Close, Action::Rotate)]);
    world.apply(steps.clone()).await;
    assert_eq!(world.status(&address).await, Some(CredentialStatus::Verified));
    world.sign_in("t-password").await.unwrap();
    assert!(Raw::sign_in("t-password", "another-one").await.is_err());
    world.clean_up().await;
}

#[tokio::test]
async fn users_are_saved_where_the_server_keeps_them() {
    let mut world = world();
    world.declare("t-saved", Access::Readwrite, &[]);
    world.converge().await;
    let answer = Raw::admin().await.run("CONFIG GET aclfile").await.unwrap();
    let path = answer.into_array().into_iter().nth(1).and_then(Value::into_string).unwrap_or_default();
    // In a container the file is out of sight.
    if let Ok(text) = std::fs::read_to_string(path) {
        assert!(text.lines().any(|line| line.starts_with("user t-saved on ")), "not in the aclfile");
    }
    world.clean_up().await;
}

#[tokio::test]
async fn a_server_that_lets_everybody_in_is_an_alarm() {
    let world = world();
    let everybody = admin_password().is_empty();
    let observation = world.observe().await;
    assert_eq!(observation.notices.iter().any(|notice| notice.level == Level::Alarm), everybody);
    let checks = world.service().examine(&world.ask()).await;
    assert_eq!(checks.iter().any(|check| check.verdict == Verdict::Bad), everybody, "{checks:?}");
    assert_eq!(observation.identity.as_deref(), Some(world.config.valkey.endpoint().as_str()));
}

#[tokio::test]
async fn failures_name_their_cause_and_never_the_password() {
    let wrong = "canary-of-a-password";
    let sound = world().config.valkey;
    let config = || sound.clone();
    let given = |password: &str| PasswordSource::Given(Secret::new(password.to_owned()));
    let refused = ValkeyConfig { port: 1, password: given(wrong), ..config() };
    // Too long a name for any resolver to ask for.
    let no_host = format!("{}.invalid", "x".repeat(64));
    let unknown = ValkeyConfig { host: no_host, password: given(wrong), ..config() };
    let plain = ValkeyConfig { use_tls: true, password: given(wrong), ..config() };
    let stranger = ValkeyConfig { user: "t-nobody".to_owned(), password: given(wrong), ..config() };
    let mut cases = vec![
        (refused, "nothing listens there"),
        (unknown, "the host's name is not known"),
        (plain, "set tls = false under [valkey]"),
        (stranger, "does not accept this user name and password"),
    ];
    if !admin_password().is_empty() {
        cases.push((ValkeyConfig { password: PasswordSource::None, ..config() }, "asks for a password"));
    }
    for (config, cause) in cases {
        let error = Valkey::new(&config).unwrap().observe(&Ask::default()).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains(cause), "{cause}: {said}");
        assert!(!said.contains(wrong) && !format!("{error:?}").contains(wrong), "{said}");
        assert!(error.hint.is_some(), "{said}");
    }
}
