//! The native admin calls against a real broker: what each answers, and that none holds on to anything.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/kafka.rs"]
mod kafka;
mod support;

use common::own_kafka::{self, Access, Setup};
use common::settled::settled;
use futures_util::FutureExt;
use kafka::{new, remove, until_gone, until_visible};
use nornplan::config::PasswordSource;
use nornplan::core::secret::Secret;
use nornplan::services::kafka::Kafka;
use nornplan::services::kafka::admin::PATIENCE;
use nornplan::services::kafka::client::connect::{Connection, sign_in};
use nornplan::services::kafka::client::native::{
    Alteration, Change, ConfigSource, NewTopic, Offset, OwnedBinding, Resource,
};
use nornplan::services::kafka::client::trouble::Cause;
use nornplan::services::kafka::model::{Binding, TOPIC, acl_address};
use nornplan::services::{Model, Outcome, Service, ServiceId};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::{World, variable};

fn admins_settings() -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", variable("NORNPLAN_KAFKA_BROKERS"))
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .set("sasl.username", variable("NORNPLAN_KAFKA_USER"))
        .set("sasl.password", variable("NORNPLAN_KAFKA_PASSWORD"));
    settings
}

#[tokio::test]
async fn topics_answer_one_by_one_in_the_order_asked_and_in_the_brokers_words() {
    let world = World::new(ServiceId::Kafka, "each");
    let admin = world.by_hand().await;
    let (plain, one, two) = (BTreeMap::new(), world.topic("one"), world.topic("two"));
    let wrong = BTreeMap::from([("no.such.config".to_owned(), "1".to_owned())]);
    let short = BTreeMap::from([("segment.bytes".to_owned(), "14".to_owned())]);
    let (named, sized) = (world.topic("named"), world.topic("sized"));

    // Only tried: nothing is made.
    let tried = admin.create_topics(&[new(&one, 1, &plain), new(&named, 1, &wrong)], true).await.unwrap();
    assert!(tried[0].is_ok(), "{tried:?}");
    assert_eq!(tried[1].as_ref().unwrap_err().message, "Unknown topic config name: no.such.config");
    let there = admin.describe_topics(&[&one]).await.unwrap();
    assert_eq!(there[0].1.as_ref().unwrap_err().cause, Cause::Absent);

    let asked = [
        new(&named, 1, &wrong),
        new(&one, 2, &plain),
        new(&sized, 1, &short),
        new(&two, 1, &plain),
        NewTopic { replication: Some(3), ..new("a b", 1, &plain) },
    ];
    let made = admin.create_topics(&asked, false).await.unwrap();
    assert_eq!(made.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false, true, false], "{made:?}");
    let words = |at: usize| made[at].as_ref().unwrap_err().message.as_str();
    assert_eq!(words(0), "Unknown topic config name: no.such.config");
    assert_eq!(words(2), "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576");
    assert!(words(4).contains("contains one or more characters other than ASCII"), "{}", words(4));
    until_visible(&admin, &one, 2).await;
    until_visible(&admin, &two, 1).await;

    let again = admin.create_topics(&[new(&one, 2, &plain)], false).await.unwrap();
    assert_eq!(again[0].as_ref().unwrap_err().cause, Cause::Exists);
    let dashed = one.replace('.', "_");
    let collides = admin.create_topics(&[new(&dashed, 2, &plain)], false).await.unwrap();
    let said = format!("Topic '{dashed}' collides with existing topic: {one}");
    assert_eq!(collides[0].as_ref().unwrap_err().message, said);

    let nobody = world.topic("nobody");
    let grown = admin.create_partitions(&[(&two, 3), (&nobody, 2), (&one, 1)], false).await.unwrap();
    assert!(grown[0].is_ok(), "{grown:?}");
    assert_eq!(grown[1].as_ref().unwrap_err().cause, Cause::Absent);
    let fewer = format!("The topic {one} currently has 2 partition(s); 1 would not be an increase.");
    assert_eq!(grown[2].as_ref().unwrap_err().message, fewer);
    until_visible(&admin, &two, 3).await;
    let refused = admin.create_partitions(&[(&two, 0)], false).await.unwrap_err();
    assert_eq!(refused.cause, Cause::Invalid, "{refused:?}");

    let deleted = admin.delete_topics(&[&one, &nobody, &two]).await.unwrap();
    assert!(deleted[0].is_ok() && deleted[2].is_ok(), "{deleted:?}");
    assert_eq!(deleted[1].as_ref().unwrap_err().cause, Cause::Absent);
}

#[tokio::test]
async fn offsets_and_groups_tell_messages_and_who_reads_them() {
    let world = World::new(ServiceId::Kafka, "lag");
    let admin = world.by_hand().await;
    let (topic, group) = (world.topic("read"), world.topic("readers"));
    // The messages are years old: any retention would let the broker delete them while the test looks at them.
    let kept = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
    assert!(admin.create_topics(&[new(&topic, 2, &kept)], false).await.unwrap()[0].is_ok());
    until_visible(&admin, &topic, 2).await;

    let producer: BaseProducer = admins_settings().create().unwrap();
    for partition in [0, 0, 0, 1] {
        let record =
            BaseRecord::<str, str>::to(&topic).partition(partition).payload("message").timestamp(1_700_000_000_000);
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();

    let both = [(topic.as_str(), 0), (topic.as_str(), 1)];
    let of = |read: Vec<(String, i32, Result<i64, _>)>| {
        let mut all: Vec<(i32, i64)> = read
            .into_iter()
            .map(|(name, partition, offset)| {
                assert_eq!(name, topic);
                (partition, Result::<i64, nornplan::services::kafka::client::trouble::Trouble>::unwrap(offset))
            })
            .collect();
        all.sort_unstable();
        all
    };
    assert_eq!(of(admin.list_offsets(&both, Offset::Earliest).await.unwrap()), [(0, 0), (1, 0)]);
    assert_eq!(of(admin.list_offsets(&both, Offset::Latest).await.unwrap()), [(0, 3), (1, 1)]);
    let times = of(admin.list_offsets(&both, Offset::LastTimestamp).await.unwrap());
    assert_eq!(times, [(0, 1_700_000_000_000), (1, 1_700_000_000_000)]);
    assert!(admin.list_offsets(&[], Offset::Latest).await.unwrap().is_empty());
    // One partition that is not there takes nothing from the others.
    let some = admin.list_offsets(&[(&topic, 0), (&topic, 7)], Offset::Latest).await.unwrap();
    assert!(
        some.iter().any(|(_, partition, offset)| *partition == 0 && offset.as_ref().is_ok_and(|at| *at == 3)),
        "{some:?}"
    );
    assert!(some.iter().all(|(_, partition, offset)| *partition == 0 || offset.is_err()), "{some:?}");

    assert_eq!(admin.group_offsets(&group).await.unwrap(), Vec::new());
    let consumer: BaseConsumer = admins_settings()
        .set("group.id", &group)
        .set("client.id", "a-reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let (consumer, read) = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        let mut read = 0;
        while read < 4 && start.elapsed() < Duration::from_secs(30) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                consumer.commit_message(&message, CommitMode::Sync).unwrap();
                read += 1;
            }
        }
        (consumer, read)
    })
    .await
    .unwrap();
    assert_eq!(read, 4);

    assert!(admin.list_groups().await.unwrap().contains(&group));
    let nobody = world.topic("nobody");
    let described = admin.describe_groups(&[&nobody, &group]).await.unwrap();
    let active = described[1].as_ref().unwrap();
    assert_eq!((active.name.as_str(), active.state.as_str()), (group.as_str(), "Stable"));
    assert_eq!(active.members.len(), 1);
    assert_eq!(active.members[0].client_id, "a-reader");
    assert!(active.members[0].topics.contains(&topic), "{active:?}");
    assert!(described[0].as_ref().is_ok_and(|group| group.state == "Dead") || described[0].is_err(), "{described:?}");
    let mut committed = admin.group_offsets(&group).await.unwrap();
    committed.sort_unstable();
    assert_eq!(committed, [(topic.clone(), 0, 3), (topic.clone(), 1, 1)]);
    drop(tokio::task::spawn_blocking(move || drop(consumer)));
    remove(&admin, &[&topic]).await;
}

#[tokio::test]
async fn requests_that_nobody_waits_for_any_more_leave_the_client_well() {
    let world = World::new(ServiceId::Kafka, "given-up");
    let admin = world.by_hand().await;
    let nobody = world.topic("nobody");
    let names = [nobody.as_str()];
    for _ in 0..200 {
        // Polled once, which hands it over, and dropped.
        assert!(admin.describe_cluster().now_or_never().is_none());
        assert!(admin.describe_topics(&names).now_or_never().is_none());
        assert!(admin.describe_acls(Some("User:nobody")).now_or_never().is_none());
        assert!(admin.list_groups().now_or_never().is_none());
        assert!(admin.describe_configs(&[Resource::Topic(&nobody)]).now_or_never().is_none());
    }
    assert!(admin.describe_cluster().await.is_ok());
    for _ in 0..50 {
        assert!(admin.describe_cluster().now_or_never().is_none());
        assert!(admin.group_offsets(&nobody).now_or_never().is_none());
    }
    let start = Instant::now();
    tokio::task::spawn_blocking(move || drop(admin)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "closing took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_in_time_and_closes_at_once() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = World::new(ServiceId::Kafka, "mute").config.kafka.clone();
    config.brokers = vec![mute.local_addr().unwrap().to_string()];
    let admin = Connection::new(config.clone()).admin().await.unwrap();
    let start = Instant::now();
    let trouble = admin.describe_cluster().await.unwrap_err();
    assert!([Cause::TimedOut, Cause::Unreachable].contains(&trouble.cause), "{trouble:?}");
    assert!(start.elapsed() < PATIENCE + Duration::from_secs(3), "it took {:?}", start.elapsed());

    let admin = Connection::new(config).admin().await.unwrap();
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(admin.describe_cluster())).collect();
    assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
    drop(waiting);
    let start = Instant::now();
    tokio::task::spawn_blocking(move || drop(admin)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "closing took {:?}", start.elapsed());
}

#[tokio::test]
async fn who_may_only_describe_can_plan_and_is_told_what_an_apply_needs() {
    let mut world = World::new(ServiceId::Kafka, "reads");
    world.declare("shop", world.events("shop", &["orders"]));
    let admin = world.by_hand().await;
    let user = world.name("ci").to_string();
    let secret = Secret::new("only-reads".to_owned());
    let change = Change::Set { iterations: 4096, password: &secret };
    let alteration = Alteration { user: &user, mechanism: "SCRAM-SHA-512", change };
    admin.alter_users(&[alteration]).await.unwrap().remove(&user).unwrap().unwrap();
    let allow = |resource, name, operation| OwnedBinding {
        principal: format!("User:{user}"),
        binding: Binding::allow(resource, name, false, operation),
    };
    let acls = [
        allow("cluster", "kafka-cluster", "describe"),
        allow("topic", "*", "describe"),
        allow("topic", "*", "describe_configs"),
    ];
    assert!(admin.create_acls(&acls).await.unwrap().iter().all(Result::is_ok));
    settled(&admin).await;
    let mut config = world.config.kafka.clone();
    (config.user, config.password) = (user.clone(), PasswordSource::Given(secret.clone()));
    let start = Instant::now();
    while !matches!(sign_in(&config, &user, "SCRAM-SHA-512", &secret).await, Ok(Some(_))) {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    // Nothing of the app is there yet: no ACLs is the truth, and no refusal.
    let seen = Kafka::new(&config).observe(&world.ask()).await.unwrap();
    assert_eq!(seen.server["authorizer"], true, "{:?}", seen.server);
    let told: Vec<&str> = seen.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert!(told.iter().any(|text| text.contains("it lacks create and alter on Cluster")), "{told:?}");
    // The admin is told nothing of the kind.
    assert!(!world.observe().await.notices.iter().any(|notice| notice.text.contains("it lacks")));

    assert!(admin.delete_acls(&acls[..1]).await.unwrap().iter().all(Result::is_ok));
    let start = Instant::now();
    let error = loop {
        match Kafka::new(&config).observe(&world.ask()).await {
            Err(error) => break error.to_string(),
            Ok(_) => assert!(start.elapsed() < Duration::from_secs(10)),
        }
    };
    assert!(error.contains("Describe on Cluster"), "{error}");
    assert!(admin.delete_acls(&acls).await.unwrap().iter().all(Result::is_ok));
    let alteration = Alteration { user: &user, mechanism: "SCRAM-SHA-512", change: Change::Remove };
    admin.alter_users(&[alteration]).await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_never_had_a_group_and_one_with_many_acls() {
    let kafka = Setup::new(Access::Scram).start();
    let mut config = World::new(ServiceId::Kafka, "fresh").config.kafka.clone();
    config.brokers = kafka.name().split(',').map(str::to_owned).collect();
    (config.user, config.password) =
        (own_kafka::ADMIN.to_owned(), PasswordSource::Given(Secret::new(own_kafka::PASSWORD.to_owned())));
    let admin = Connection::new(config.clone()).admin().await.unwrap();
    // The coordinator is not there yet. A client that is no consumer dies of that.
    let start = Instant::now();
    while let Err(trouble) = admin.group_offsets("never-was").await {
        assert!(start.elapsed() < Duration::from_secs(30), "{trouble:?}");
    }
    assert_eq!(admin.list_groups().await.unwrap(), Vec::<String>::new());

    // A broker's own configs, each with where it comes from.
    let configs = admin.describe_configs(&[Resource::Broker("1")]).await.unwrap().remove(0).unwrap();
    let of = |name: &str| configs.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!((of("process.roles").source, of("process.roles").read_only), (ConfigSource::StaticBroker, true));
    assert_eq!(of("log.retention.hours").source, ConfigSource::Default);

    // Many more than the default stack of a thread holds comfortably, all at once and by principal.
    let count = 9_000;
    let owned = |at: usize| OwnedBinding {
        principal: format!("User:app-{}", at % 9),
        binding: Binding::allow("topic", &format!("t{at}"), false, "read"),
    };
    let all: Vec<OwnedBinding> = (0..count).map(owned).collect();
    for batch in all.chunks(1_000) {
        assert!(admin.create_acls(batch).await.unwrap().iter().all(Result::is_ok));
    }
    settled(&admin).await;
    // Beside the marker of who waited, which may still be going.
    let described = admin.describe_acls(None).await.unwrap();
    assert_eq!(described.iter().filter(|owned| owned.principal.starts_with("User:app-")).count(), count);
    let own = (0..9).map(|at| acl_address(&format!("app-{at}"))).collect();
    let found = Kafka::new(&config).read(&own, &[]).await.unwrap();
    let bindings = |model: &Model| model.as_kafka_acl().map_or(0, |acl| acl.bindings.len());
    assert_eq!(found.values().map(bindings).collect::<Vec<_>>(), [count / 9; 9]);
}

#[tokio::test]
async fn a_topic_that_our_own_lost_call_made_counts_as_done_and_a_strangers_does_not() {
    let mut world = World::new(ServiceId::Kafka, "lost");
    let mut shop = world.events("shop", &["own", "strangers"]);
    for topic in &mut shop.topics {
        topic.partitions = Some(2);
        topic.config.insert("retention.ms".to_owned(), "1000000".to_owned());
    }
    world.declare("shop", shop);
    let plan = world.plan().await;
    let steps: Vec<_> = plan.iter().filter(|step| step.address.kind == TOPIC).collect();
    assert_eq!(steps.len(), 2);
    let admin = world.by_hand().await;
    let (own, foreign) = (world.topic("own"), world.topic("strangers"));
    let (same, other) = (BTreeMap::from([("retention.ms".to_owned(), "1000000".to_owned())]), BTreeMap::new());
    let made = admin.create_topics(&[new(&own, 2, &same), new(&foreign, 2, &other)], false).await.unwrap();
    assert!(made.iter().all(Result::is_ok));
    until_visible(&admin, &own, 2).await;
    until_visible(&admin, &foreign, 2).await;
    let outcomes = world.carry_out(&steps).await;
    for (step, outcome) in steps.iter().zip(outcomes) {
        match outcome {
            Outcome::AlreadySo => assert_eq!(step.address.name.as_str(), own),
            Outcome::Failed { error, retry } => {
                assert_eq!((step.address.name.as_str(), retry), (foreign.as_str(), false), "{error}");
                assert!(error.to_string().contains("plan again"), "{error}");
            }
            other @ (Outcome::Done { .. }
            | Outcome::Remains { .. }
            | Outcome::Stale { .. }
            | Outcome::Refused { .. }
            | Outcome::Skipped { .. }) => panic!("{other:?}"),
        }
    }
    remove(&admin, &[&own, &foreign]).await;
    // Deleted, and made again under the same name as soon as a plan can see that it is gone.
    for _ in 0..5 {
        until_gone(&admin, &[&own, &foreign]).await;
        world.converge().await;
        remove(&admin, &[&own, &foreign]).await;
    }
    until_gone(&admin, &[&own, &foreign]).await;
    world.converge().await;
    world.clean_up().await;
}
