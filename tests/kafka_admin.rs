//! The native admin calls against a real broker: what each answers, and that none holds on to anything.

mod common;
#[path = "support/kafka.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod kafka;
mod support;

use common::own_kafka::{self, Access, Setup};
use futures_util::FutureExt;
use nornplan::config::PasswordSource;
use nornplan::core::secret::Secret;
use nornplan::services::kafka::Kafka;
use nornplan::services::kafka::admin::{Admin, PATIENCE};
use nornplan::services::kafka::client::connect::{Connection, signs_in};
use nornplan::services::kafka::client::native::{
    Alteration, Change, ConfigEdit, ConfigSource, NewTopic, Offset, OwnedBinding, Resource,
};
use nornplan::services::kafka::client::trouble::Cause;
use nornplan::services::kafka::model::{Binding, TOPIC, acl_address};
use nornplan::services::{Model, Outcome, Service, ServiceId};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{World, variable};

/// A topic of so many partitions with one replica and the broker's configs.
fn new<'a>(name: &'a str, partitions: i32, config: &'a BTreeMap<String, String>) -> NewTopic<'a> {
    NewTopic { name, partitions: Some(partitions), replication: Some(1), config }
}

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

async fn remove(admin: &Admin, names: &[&str]) {
    let deleted = admin.delete_topics(names).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}

/// Asks until what was just made is known everywhere.
async fn until_visible(admin: &Admin, name: &str, partitions: usize) {
    let start = Instant::now();
    loop {
        let seen = admin.describe_topics(&[name]).await.unwrap();
        if seen[0].1.as_ref().is_ok_and(|topic| topic.partitions == partitions) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
    let (plain, topic, group) = (BTreeMap::new(), world.topic("read"), world.topic("readers"));
    assert!(admin.create_topics(&[new(&topic, 2, &plain)], false).await.unwrap()[0].is_ok());
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

/// Runs one test of this file in a process of its own, where nothing else takes memory or threads.
fn alone(test: &str, variables: &[(&str, &str)]) -> String {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    // One arena: what threads leave in several of them would look like a leak.
    child.args(["--exact", test, "--nocapture"]).env("MALLOC_ARENA_MAX", "1").envs(variables.iter().copied());
    let ran = child.output().unwrap();
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{test}: {:?}\n{said}", ran.status);
    said
}

/// Resident memory in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Calls of one round that read, and those that write as well.
const READS: usize = 10;
const WRITES: usize = 7;

/// One round of calls, all at once; gives how many they were.
async fn every_call(world: &World, admin: &Arc<Admin>, topic: &str, secret: &Secret, write: bool) -> usize {
    let (plain, nobody, user) = (BTreeMap::new(), world.topic("nobody"), world.name("soak").to_string());
    let trial = world.topic("trial");
    let (topics, partition) = ([new(&trial, 3, &plain)], [(topic, 0)]);
    let owned = |name: &str| OwnedBinding {
        principal: format!("User:{user}"),
        binding: Binding::allow("topic", name, false, "describe"),
    };
    let (made, gone) = ([owned(topic)], [owned(&nobody)]);
    let values = BTreeMap::from([("retention.ms", Some("7000000")), ("max.message.bytes", None)]);
    let (edits, groups) = ([ConfigEdit { topic, values }], [nobody.as_str(), "nobodys"]);
    let change = Change::Set { iterations: 4096, password: secret };
    let users = [Alteration { user: &user, mechanism: "SCRAM-SHA-256", change }];
    let principal = format!("User:{user}");
    let known = [topic, nobody.as_str()];
    let resources = [Resource::Topic(topic), Resource::Topic(&nobody)];
    let names = [user.as_str(), "nobody-at-all"];
    let absent = [nobody.as_str()];
    let grown = [(topic, 2)];
    let read = async {
        let (cluster, shapes, configs, acls, found) = tokio::join!(
            admin.describe_cluster(),
            admin.describe_topics(&known),
            admin.describe_configs(&resources),
            admin.describe_acls(Some(&principal)),
            admin.describe_users(&names),
        );
        assert!(cluster.is_ok() && acls.is_ok() && found.is_ok());
        assert!(shapes.unwrap()[0].1.is_ok());
        let configs = configs.unwrap();
        assert!(configs[0].as_ref().unwrap().len() > 20 && configs[1].is_err(), "{configs:?}");
        let (offsets, listed, described, committed, all) = tokio::join!(
            admin.list_offsets(&partition, Offset::Latest),
            admin.list_groups(),
            admin.describe_groups(&groups),
            admin.group_offsets(&nobody),
            admin.all_topics(),
        );
        assert!(offsets.unwrap()[0].2.is_ok() && listed.is_ok() && committed.is_ok() && all.is_ok());
        assert_eq!(described.unwrap().len(), 2);
    };
    if !write {
        read.await;
        return READS;
    }
    let written = async {
        tokio::join!(
            admin.create_topics(&topics, true),
            admin.create_partitions(&grown, true),
            admin.delete_topics(&absent),
            admin.create_acls(&made),
            admin.delete_acls(&gone),
            admin.alter_topic_configs(&edits),
            admin.alter_users(&users),
        )
    };
    let ((), (created, grown, deleted, given, taken, edited, altered)) = tokio::join!(read, written);
    assert!(created.unwrap()[0].is_ok() && grown.unwrap()[0].is_ok());
    assert_eq!(deleted.unwrap()[0].as_ref().unwrap_err().cause, Cause::Absent);
    assert!(given.unwrap()[0].is_ok() && taken.unwrap()[0].is_ok());
    assert!(edited.unwrap()[topic].is_ok() && altered.unwrap()[&user].is_ok());
    READS + WRITES
}

/// By itself a short look that every call works; run [`alone`] it makes as many calls as it is told.
#[tokio::test]
async fn soak() {
    let calls: usize = std::env::var("NORNPLAN_SOAK").map_or(60, |calls| calls.parse().unwrap());
    let world = World::new(ServiceId::Kafka, "soak");
    let admin = world.by_hand().await;
    let (plain, topic) = (BTreeMap::new(), world.topic("soaked"));
    let secret = Secret::new("no-matter-which".to_owned());
    admin.create_topics(&[new(&topic, 1, &plain)], false).await.unwrap().remove(0).unwrap();
    until_visible(&admin, &topic, 1).await;
    // What is kept once for ever (sessions, caches, buffers that grow) is there after some rounds.
    let warm_up = calls / 4;
    let leak: usize = std::env::var("NORNPLAN_LEAK").map_or(0, |bytes| bytes.parse().unwrap());
    let (mut before, mut first, mut done) = (0, 0, 0);
    for round in 0.. {
        if done <= warm_up {
            (before, first) = (resident(), done);
        }
        // What writes waits for the broker's disk.
        let calls_now = every_call(&world, &admin, &topic, &secret, round % 8 == 0).await;
        for _ in 0..calls_now {
            let _kept = Vec::leak(vec![1_u8; leak]);
        }
        done += calls_now;
        if done >= warm_up + calls {
            break;
        }
    }
    println!("resident before: {before}, after: {}, calls: {}", resident(), done - first);

    let user = world.name("soak").to_string();
    let owned =
        OwnedBinding { principal: format!("User:{user}"), binding: Binding::allow("topic", &topic, false, "describe") };
    admin.delete_acls(&[owned]).await.unwrap().remove(0).unwrap();
    admin.alter_users(&[Alteration { user: &user, mechanism: "SCRAM-SHA-256", change: Change::Remove }]).await.unwrap();
    remove(&admin, &[&topic]).await;
}

/// How much memory a soak has taken, in bytes for each call.
fn taken(calls: &str, leak: &str) -> f64 {
    let said = alone("soak", &[("NORNPLAN_SOAK", calls), ("NORNPLAN_LEAK", leak)]);
    let line = said.lines().find_map(|line| line.split_once("resident before: ")).unwrap().1;
    let numbers: Vec<f64> = line.split(|one: char| !one.is_ascii_digit()).filter_map(|one| one.parse().ok()).collect();
    println!("{calls} calls, {leak} bytes leaked in each: {line}");
    (numbers[1] - numbers[0]) / numbers[2]
}

#[test]
fn ten_thousand_calls_hold_on_to_no_memory() {
    let taken = taken("10000", "0");
    assert!(taken < 60.0, "{taken} bytes a call");
}

#[test]
fn a_leak_of_a_hundred_bytes_a_call_would_be_seen() {
    let taken = taken("10000", "100");
    assert!(taken > 80.0, "{taken} bytes a call");
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

/// Makes sense only [`alone`]: it counts the threads of the process.
#[tokio::test]
async fn stacks() {
    if std::env::var("NORNPLAN_STACKS").is_err() {
        return;
    }
    let world = World::new(ServiceId::Kafka, "stacks");
    let config = &world.config.kafka;
    assert!(signs_in(config, "nobody", "SCRAM-SHA-512", &Secret::new("wrong".to_owned())).await.is_ok_and(|is| !is));
    let admin = world.by_hand().await;
    admin.describe_cluster().await.unwrap();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.map(|one| std::fs::read_to_string(one.unwrap().path().join("comm")).unwrap_or_default());
    let ours = names.filter(|name| name.starts_with("rdk:")).count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let size = |line: &str| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        usize::from_str_radix(end, 16).unwrap() - usize::from_str_radix(start, 16).unwrap()
    };
    let stacks = maps.lines().filter(|line| (250 << 20..=257 << 20).contains(&size(line))).count();
    println!("threads: {ours}, stacks of 256 MB: {stacks}");
    assert!(ours >= 2 && stacks >= ours, "{ours} threads of librdkafka, {stacks} stacks of 256 MB");
}

#[test]
fn every_thread_of_librdkafka_has_a_stack_that_holds_all_acls() {
    let said = alone("stacks", &[("NORNPLAN_STACKS", "1")]);
    assert!(said.contains("stacks of 256 MB"), "{said}");
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
    let mut config = world.config.kafka.clone();
    (config.user, config.password) = (user.clone(), PasswordSource::Given(secret.clone()));
    let start = Instant::now();
    while !matches!(signs_in(&config, &user, "SCRAM-SHA-512", &secret).await, Ok(true)) {
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
    assert!(error.contains("allow Describe on Cluster"), "{error}");
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
    assert_eq!(admin.describe_acls(None).await.unwrap().len(), count);
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
            other => panic!("{other:?}"),
        }
    }
    remove(&admin, &[&own, &foreign]).await;
    // Deleted and made again at once, under the same name.
    for _ in 0..5 {
        world.converge().await;
        remove(&admin, &[&own, &foreign]).await;
    }
    world.converge().await;
    world.clean_up().await;
}
