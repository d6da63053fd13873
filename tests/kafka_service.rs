//! Kafka through its `Service`, against a real broker: what is made, found, repaired, isolated and deleted.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/kafka.rs"]
mod kafka;
#[path = "common/settled.rs"]
mod settled;
mod support;

use nornplan::config::PasswordSource;
use nornplan::core::secret::Secret;
use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::services::kafka::Kafka;
use nornplan::services::kafka::client::native::{Alteration, Change, ConfigEdit, OwnedBinding};
use nornplan::services::kafka::model::{Binding, acl_address, topic_address, user_address};
use nornplan::services::{CredentialStatus, Model, Service, ServiceId, Verdict};
use settled::settled;
use std::collections::BTreeMap;
use support::World;

#[tokio::test]
async fn what_is_declared_is_made_once_and_adopted_without_a_state() {
    let mut world = World::new(ServiceId::Kafka, "made");
    let mut shop = world.events("shop", &["orders", "paid"]);
    shop.topics[0].partitions = Some(3);
    shop.topics[0].replication = Some(1);
    shop.topics[0].config.insert("retention.ms".to_owned(), "604800000".to_owned());
    shop.topics[1].readers.insert(world.name("report"));
    shop.groups.insert(world.topic("workers"));
    world.declare("shop", shop);
    world.declare("report", world.events("report", &[]));
    world.declare("other", world.events("other", &["own"]));

    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.action == Action::Create && step.risks.is_empty()), "{plan:#?}");
    assert_eq!(plan.len(), 3 + 3 + 3, "topics, users, ACLs");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(world.status(&user_address(world.name("shop").as_str())).await, Some(CredentialStatus::Verified));

    // Everybody sees what is theirs, and what was given to them.
    assert_eq!(world.seen_by("shop"), [world.topic("orders"), world.topic("paid")]);
    assert_eq!(world.seen_by("report"), [world.topic("paid")]);
    assert_eq!(world.seen_by("other"), [world.topic("own")]);

    // The state is lost: everything is taken over as it is, and the passwords are proved by signing in.
    world.lose_state();
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.action == Action::Adopt), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.clean_up().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_is_found_and_repaired() {
    let mut world = World::new(ServiceId::Kafka, "drift");
    let mut shop = world.events("shop", &["orders"]);
    shop.topics[0].config.insert("retention.ms".to_owned(), "1000000".to_owned());
    world.declare("shop", shop);
    world.converge().await;
    let (user, topic) = (world.name("shop").to_string(), world.topic("orders"));
    let admin = world.by_hand().await;

    let owned = |binding| OwnedBinding { principal: format!("User:{user}"), binding };
    let own = owned(Binding::allow("topic", &topic, false, "write"));
    assert!(admin.delete_acls(&[own]).await.unwrap().into_iter().all(|one| one.is_ok()));
    let foreign = owned(Binding::allow("topic", "somebody-elses", true, "all"));
    assert!(admin.create_acls(&[foreign]).await.unwrap().into_iter().all(|one| one.is_ok()));
    let values = BTreeMap::from([("retention.ms", Some("5")), ("max.message.bytes", Some("2000"))]);
    let edited = admin.alter_topic_configs(&[ConfigEdit { topic: &topic, values }]).await.unwrap();
    assert!(edited.values().all(Result::is_ok), "{edited:?}");
    settled(&admin).await;

    let plan = world.plan().await;
    let found: Vec<String> = plan.iter().map(|step| format!("{} {}", step.action, step.address)).collect();
    let expected = [format!("update {}", acl_address(&user)), format!("update {}", topic_address(&topic))];
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(expected.iter().all(|one| found.contains(one)), "{found:?}");
    for step in &plan {
        assert_eq!(step.reasons.iter().copied().collect::<Vec<_>>(), [Reason::Drifted]);
        let text = serde_json::to_string(&step.changes).unwrap();
        assert!(!text.contains("max.message.bytes"), "an override that nobody declared is not ours: {text}");
    }
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());

    // Deleted by hand, users too; the password stays the published one.
    let published = world.seen_by("shop");
    let gone = Alteration { user: &user, mechanism: "SCRAM-SHA-512", change: Change::Remove };
    assert!(admin.alter_users(&[gone]).await.unwrap().values().all(Result::is_ok));
    settled(&admin).await;
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1, "{plan:#?}");
    assert!(plan[0].reasons.contains(&Reason::Vanished));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(world.seen_by("shop"), published);
    world.clean_up().await;
}

#[tokio::test]
async fn topics_grow_and_reset_but_never_shrink() {
    let mut world = World::new(ServiceId::Kafka, "grow");
    let mut shop = world.events("shop", &["orders"]);
    shop.topics[0].partitions = Some(2);
    shop.topics[0].config.insert("retention.ms".to_owned(), "1000000".to_owned());
    world.declare("shop", shop.clone());
    world.converge().await;

    shop.topics[0].partitions = Some(4);
    shop.topics[0].config.clear();
    world.declare("shop", shop.clone());
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1);
    assert!(plan[0].notes[0].contains("order"), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let observation = world.observe().await;
    let Model::KafkaTopic(there) = &observation.resources[&topic_address(&world.topic("orders"))].model else {
        panic!("no topic");
    };
    assert_eq!((there.partitions, there.config.len()), (Some(4), 0));

    for (partitions, replication, said) in
        [(Some(3), None, "take partitions away"), (None, Some(3), "the cluster has 1")]
    {
        shop.topics[0].partitions = partitions;
        shop.topics[0].replication = replication;
        world.declare("shop", shop.clone());
        let plan = world.plan().await;
        assert!(
            matches!(&plan[0].hold, Some(Hold::Blocked { reason }) if reason.contains(said)),
            "{:#?}",
            plan[0].hold
        );
    }
    shop.topics[0].replication = None;
    world.declare("shop", shop);
    world.clean_up().await;
}

#[tokio::test]
async fn credentials_are_proved_and_rotated() {
    let mut world = World::new(ServiceId::Kafka, "login");
    world.declare("shop", world.events("shop", &["orders"]));
    world.converge().await;
    assert_eq!(world.status(&user_address(world.name("shop").as_str())).await, Some(CredentialStatus::Verified));
    let before = world.fingerprints();

    // Another password by hand. The fingerprint cannot know, a sign-in does.
    let (user, other) = (world.name("shop").to_string(), Secret::new("another".to_owned()));
    let change = Change::Set { iterations: 4096, password: &other };
    let set = Alteration { user: &user, mechanism: "SCRAM-SHA-512", change };
    let admin = world.by_hand().await;
    assert!(admin.alter_users(&[set]).await.unwrap().values().all(Result::is_ok));
    settled(&admin).await;
    assert_eq!(world.status(&user_address(world.name("shop").as_str())).await, Some(CredentialStatus::Verified));
    let mut probing = world.ask();
    probing.probe_credentials = true;
    let seen = world.service().observe(&probing).await.unwrap();
    assert_eq!(seen.resources[&user_address(&user)].credential, Some(CredentialStatus::Wrong));
    world.lose_fingerprints();
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1);
    assert_eq!((plan[0].action, plan[0].reasons.first()), (Action::Rotate, Some(&Reason::CredentialWrong)));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_ne!(world.fingerprints(), before);
    assert_eq!(world.seen_by("shop"), [world.topic("orders")]);

    // Iterations by hand are drift, and the same password is set again.
    let after = world.fingerprints();
    let change = Change::Set { iterations: 8192, password: &other };
    let set = Alteration { user: &user, mechanism: "SCRAM-SHA-512", change };
    assert!(admin.alter_users(&[set]).await.unwrap().values().all(Result::is_ok));
    settled(&admin).await;
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1, "{plan:#?}");
    assert_eq!((plan[0].action, plan[0].sets_credential), (Action::Update, true));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(world.fingerprints(), after);

    world.rotate.insert(world.name("shop"));
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1);
    assert!(plan[0].reasons.contains(&Reason::AskedFor));
    world.apply(plan).await;
    world.rotate.clear();
    assert_eq!(world.plan().await, Vec::new());
    world.clean_up().await;
}

#[tokio::test]
async fn what_is_given_up_goes_in_order_and_with_its_risks() {
    let mut world = World::new(ServiceId::Kafka, "gone");
    world.declare("shop", world.events("shop", &["orders", "old"]));
    world.converge().await;
    world.declare("shop", world.events("shop", &["orders"]));
    let plan = world.plan().await;
    let order: Vec<Action> = plan.iter().map(|step| step.action).collect();
    assert_eq!(order, [Action::Update, Action::Destroy], "the ACLs first, then the topic");
    assert!(plan[1].risks.contains(&Risk::LosesData));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(world.seen_by("shop"), [world.topic("orders")]);

    world.forget("shop");
    let plan = world.plan().await;
    let order: Vec<&str> = plan.iter().map(|step| step.address.kind.as_str()).collect();
    assert_eq!(order, ["kafka.acl", "kafka.user", "kafka.topic"]);
    assert!(plan[1].risks.contains(&Risk::RemovesLogin));
    world.apply(plan).await;
    world.clean_up().await;
}

#[tokio::test]
async fn too_few_rights_are_an_error_that_names_the_acl() {
    let mut world = World::new(ServiceId::Kafka, "rights");
    world.declare("shop", world.events("shop", &["orders"]));
    world.converge().await;
    let mut lesser = world.config.kafka.clone();
    lesser.user = world.name("shop").to_string();
    lesser.password = PasswordSource::Given(Secret::new(world.password(&world.name("shop"))));
    let kafka = Kafka::new(&lesser);
    let error = kafka.observe(&world.ask()).await.unwrap_err().to_string();
    assert!(error.contains("Describe"), "{error}");
    let checks = kafka.examine(&world.ask()).await;
    assert!(checks.iter().any(|check| check.verdict == Verdict::Bad), "{checks:?}");
    let checks = world.service().examine(&world.ask()).await;
    // What other tests open on the same broker is a warning.
    assert!(checks.iter().all(|check| check.verdict != Verdict::Bad), "{checks:?}");
    world.clean_up().await;
}
