//! The native admin calls in the long run: they hold on to no memory, and their threads have the stacks they need.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the figures are what a maintainer wants to see")]

#[path = "support/kafka.rs"]
mod kafka;
mod support;

use kafka::{new, remove, until_visible};
use nornplan::core::secret::Secret;
use nornplan::services::ServiceId;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::connect::sign_in;
use nornplan::services::kafka::client::native::{Alteration, Change, ConfigEdit, Offset, OwnedBinding, Resource};
use nornplan::services::kafka::client::trouble::Cause;
use nornplan::services::kafka::model::Binding;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::World;

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

/// Resident memory of its own in bytes; pages of files come and go with what else runs on the machine.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
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

/// Makes sense only [`alone`]: it counts the threads of the process.
#[tokio::test]
async fn stacks() {
    if std::env::var("NORNPLAN_STACKS").is_err() {
        return;
    }
    let world = World::new(ServiceId::Kafka, "stacks");
    let config = &world.config.kafka;
    assert!(
        sign_in(config, "nobody", "SCRAM-SHA-512", &Secret::new("wrong".to_owned()))
            .await
            .is_ok_and(|seen| seen.is_none())
    );
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
