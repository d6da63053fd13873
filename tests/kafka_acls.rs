//! ACLs as their users live with them: changed by hand, given by others, denied to everybody, and the first ones on what
//! had none.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_kafka::{Access, OwnKafka, Setup};
use common::servers::{block_on, kafka_admin, kafka_as};
use common::settled::settled;
use nornplan::core::secret::Secret;
use nornplan::services::kafka::acl::authorizer::{Deed, Verdict, decide};
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::{Alteration, Change, ConfigEdit, OwnedBinding};
use nornplan::services::kafka::client::trouble::Cause;
use nornplan::services::kafka::model::Binding;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// ACLs as `User:x allow read topic y`.
fn owned(texts: &[String]) -> Vec<OwnedBinding> {
    let owned = |text: &String| {
        let (principal, binding) = text.split_once(' ').unwrap();
        OwnedBinding { principal: principal.to_owned(), binding: Binding::try_from(binding.to_owned()).unwrap() }
    };
    texts.iter().map(owned).collect()
}

fn set(admin: &Admin, acls: &[OwnedBinding]) {
    let results = block_on(admin.create_acls(acls)).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    block_on(settled(admin));
}

fn remove(admin: &Admin, acls: &[OwnedBinding]) {
    let results = block_on(admin.delete_acls(acls)).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    block_on(settled(admin));
}

fn texts(workspace: &Workspace, texts: &[&str]) -> Vec<OwnedBinding> {
    owned(&texts.iter().map(|text| text.replace('@', &workspace.prefix)).collect::<Vec<_>>())
}

fn named(workspace: &Workspace, text: &str) -> String {
    text.replace('@', &workspace.prefix)
}

#[test]
fn names_that_reach_further_than_they_look_are_told() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.events]\nprefix = \"@mail\"\ngroups = [\"Test\", \"@workers\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.events]\nprefix = \"@a.of-b.\"\nexternal = [\"@nowhere\"]\n");
    let said = workspace.run(&["validate"]).exits(0).flat();
    let said =
        said.complains(&named(&workspace, "the prefix \"@mail\" reaches \"@mailbox\" as well; end it with a dot"));
    let said = said.complains("the group \"Test\" has a name that anybody may think of");
    let said = said.complains(&named(&workspace, "starts with the name of the app @a"));
    assert_eq!(said.stderr.matches("warning:").count(), 3, "{}", said.stderr);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says(&named(&workspace, "read topics that do not exist, and that nobody declares: @nowhere (@b)"));
}

#[test]
fn what_is_set_by_hand_goes_and_what_others_have_is_told() {
    let workspace = Workspace::new();
    workspace.spec("mail", "app = \"@mail\"\n[services.events]\nprefix = \"@mail.\"\ntopics = [\"@mail.in\"]\n");
    workspace.spec("report", "app = \"@report\"\n[services.events]\nexternal = [\"@other\"]\ntopics = [\"@old\"]\n");
    let says = |text: &str| named(&workspace, text);
    let fresh = workspace.run(&["plan"]).exits(0).flat();
    let fresh = fresh.says(&says("group @mail, @mail.*: read, describe"));
    let fresh = fresh.says(&says("topic @mail.*: read, write, describe, describe configs"));
    fresh.says(&says("transactional id @mail, @mail.*: write, describe")).says(&says("topic @other: read, describe"));
    workspace.converge();
    let admin = Admin::new(&kafka_admin()).unwrap();

    // Extra rights, from one host too, and a DENY, of a user that is managed: drift.
    let by_hand = texts(
        &workspace,
        &[
            "User:@mail allow all topic @other (prefix)",
            "User:@mail allow read topic @else from 10.0.0.7",
            "User:@mail deny write topic @mail.in",
            "User:@mail allow read group \"@ a (prefix) from b\"",
        ],
    );
    set(&admin, &by_hand);
    let drift = workspace.run(&["drift"]).exits(2).flat();
    let drift = drift.says(&says("topic @other*: all")).says(&says("topic @else from 10.0.0.7: read"));
    drift.says(&says("deny topic @mail.in: write"));
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says(&says("so that this goes: deny write topic @mail.in")).says("1 to update");
    workspace.converge();

    // Others reach the same names: told, worst first, and left.
    let strangers = texts(
        &workspace,
        &[
            "User:* allow read topic @mail.in",
            "User:@legacy allow read topic @mail. (prefix)",
            "User:@old allow read topic @mail. (prefix)",
            "User:@wide allow write topic @ (prefix)",
            "User:@wide allow read topic @nobodys",
        ],
    );
    set(&admin, &strangers);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let everybody = says("everybody (User:*) may read topic @mail.in");
    let plan =
        plan.says(&everybody).says(&says("User:@legacy, User:@old may read topic @mail.*, which no infraspec says"));
    let plan = plan.says(&says("User:@wide may write topic @* (of apps: @mail.*, @old)")).says("No changes.");
    assert!(plan.stdout.find(&everybody).unwrap() < plan.stdout.find(&says("User:@wide")).unwrap(), "{}", plan.stdout);
    let doctor = workspace.run(&["doctor"]).flat();
    let doctor = doctor.says("ACLs that no infraspec gives reach what apps have").says(&everybody);
    // A topic of the same name makes nobody known.
    doctor.says("internal = [...]").says(&says("User:@legacy, User:@old may read topic @mail.*"));
    workspace.write("nornplan.toml", "specs = \"specs\"\ninternal = [\"@leg*\", \"@wide\"]\n");
    let plan = workspace.run(&["plan"]).exits(0).flat().says(&everybody);
    assert!(!plan.stdout.contains(&says("@wide")) && !plan.stdout.contains(&says("@legacy")), "{}", plan.stdout);
    remove(&admin, &strangers);

    // What everybody is denied, apps are denied too.
    let denied = texts(&workspace, &["User:* deny write topic @mail. (prefix)"]);
    set(&admin, &denied);
    let said = says("everybody (User:*) is denied write on topic @mail.*: @mail cannot, whatever they are allowed");
    workspace.run(&["plan"]).exits(0).flat().says(&said).says("No changes.");
    workspace.run(&["doctor"]).exits(1).flat().says(&said);
    remove(&admin, &denied);
    workspace.run(&["plan"]).exits(0).flat().hides("everybody");

    // Without a state, what is undeclared on a user that is taken over waits for consent.
    set(&admin, &by_hand);
    workspace.remove("state/default.json");
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says(&says("kafka.acl.@mail update · not ours yet · interrupts · widens access · HELD"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.acl.*"]).exits(0);
    workspace.run(&["plan"]).exits(0).says("No changes.");
}

/// What the broker says to creating a topic as somebody, and to deleting it.
async fn made_and_deleted(client: &ClientConfig, topic: &str) -> (Option<RDKafkaErrorCode>, Option<RDKafkaErrorCode>) {
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let made = admin.create_topics(&[new], &options).await.unwrap().remove(0).err().map(|(_, code)| code);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let gone = admin.delete_topics(&[topic], &options).await.unwrap().remove(0).err().map(|(_, code)| code);
    (made, gone)
}

#[test]
fn an_app_with_internal_topics_makes_and_deletes_them_under_its_name_and_nowhere_else() {
    let workspace = Workspace::new();
    workspace.spec("s", "app = \"@s\"\n[services.events]\ntopics = [\"@in\"]\ninternal_topics = true\n");
    let says = |text: &str| named(&workspace, text);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says(&says("must begin with @s. (such as @s.streams)"));
    plan.says(&says("topic @s.*: read, write, create, delete, describe, describe configs"));
    workspace.converge();
    let client = kafka_as(&says("@s"), &workspace.published("@s", "KAFKA_PASSWORD"));
    let denied = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
    block_on(async {
        for own in ["@s.app-count-changelog", "@s.app-KSTREAM-1-repartition"] {
            assert_eq!(made_and_deleted(&client, &says(own)).await, (None, None), "{own}");
        }
        // The name alone is an application.id whose topics are not the app's.
        for other in ["@s-count-changelog", "@s", "@sx.a", "@out"] {
            assert_eq!(made_and_deleted(&client, &says(other)).await, (denied, denied), "{other}");
        }
        // Its declared topics are nornplan's to delete.
        assert_eq!(made_and_deleted(&client, &says("@in")).await, (denied, denied));
    });
}

/// Produces one message; the error of what was refused.
async fn produce(client: &ClientConfig, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let producer: FutureProducer = client.clone().set("message.timeout.ms", "5000").create().unwrap();
    let sent = producer.send(FutureRecord::<(), str>::to(topic).payload("x"), Duration::from_secs(5)).await;
    sent.map(drop).map_err(|(error, _)| error.rdkafka_error_code().unwrap())
}

/// Makes a user, and waits until it is let in.
fn user(kafka: &OwnKafka, admin: &Admin, name: &str, password: &Secret) {
    let change = Change::Set { iterations: 4096, password };
    let set = Alteration { user: name, mechanism: "SCRAM-SHA-512", change };
    assert!(block_on(admin.alter_users(&[set])).unwrap().values().all(Result::is_ok));
    let since = Instant::now();
    let is_let_in = || {
        let client = Admin::new(&kafka.client_as(name, password.expose())).unwrap();
        block_on(client.describe_cluster()).is_ok()
    };
    while !is_let_in() {
        assert!(since.elapsed() < Duration::from_secs(20), "{name} is let in");
    }
}

#[test]
fn before_the_first_acls_it_is_told_whom_they_shut_out_and_the_rules_are_the_brokers() {
    let kafka = Setup::new(Access::Scram).lines("allow.everyone.if.no.acl.found=true\nnum.partitions=60").start();
    let admin = Admin::new(&kafka.client()).unwrap();
    many_topics(&kafka);
    lock_out(&kafka, &admin);
    random_acls(&kafka, &admin);
}

/// With the broker's own number of partitions they are more than it takes in one request: it is asked in several.
fn many_topics(kafka: &OwnKafka) {
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    let topics: Vec<String> = (0..200).map(|number| format!("\"many.{number}\"")).collect();
    workspace.spec("many", &format!("app = \"many\"\n[services.events]\ntopics = [{}]\n", topics.join(", ")));
    workspace.run(&["plan"]).exits(0).says("203 to create").hides("refuses");
}

fn lock_out(kafka: &OwnKafka, admin: &Admin) {
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    let password = Secret::new("the-password-of-analytics".to_owned());
    user(kafka, admin, "analytics", &password);
    let analytics = kafka.client_as("analytics", password.expose());
    block_on(async {
        let client: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
        for topic in ["orders", "unused"] {
            let new = NewTopic::new(topic, 2, TopicReplication::Fixed(1));
            client.create_topics(&[new], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        }
        settled(admin).await;
        // Nobody has ACLs: everybody may write.
        produce(&analytics, "orders").await.unwrap();
    });
    let consumer: BaseConsumer =
        analytics.clone().set("group.id", "analytics").set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&["orders"]).unwrap();
    let since = Instant::now();
    while consumer.assignment().unwrap().count() == 0 {
        let _ = consumer.poll(Duration::from_millis(100));
        assert!(since.elapsed() < Duration::from_secs(30), "it joins its group");
    }
    let prefixed = "app = \"shop\"\n[services.events]\nprefix = \"ord\"\ntopics = [\"orders\"]\n";
    workspace.spec("shop", prefixed);
    workspace.run(&["plan"]).exits(0).flat().says("orders was written to").says("HELD");
    workspace.spec("shop", "app = \"shop\"\n[services.events]\ntopics = [\"orders\", \"unused\", \"new\"]\n");
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says("these are the first ACLs there: group analytics (1 member) reads orders, and no ACL lets it");
    let plan = plan.says("orders was written to").says("from then on shop may, and super users").says("HELD");
    assert!(!plan.stdout.contains("unused was written"), "{}", plan.stdout);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("+ kafka.acl.shop   needs --allow-interrupt");
    block_on(async { produce(&analytics, "orders").await.unwrap() });

    // Whoever is named is let in, and shuts nobody out.
    workspace.spec("analytics", "app = \"analytics\"\n[services.events]\ncredential = \"keep\"\n");
    let readers =
        "app = \"shop\"\n[services.events]\nreaders = [\"analytics\"]\ntopics = [\"orders\", \"unused\", \"new\"]\n";
    workspace.spec("shop", readers);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    assert!(!plan.stdout.contains("group analytics (1 member)"), "{}", plan.stdout);
    workspace.remove("specs/analytics.toml");
    workspace.spec("shop", &readers.replace("readers = [\"analytics\"]\n", ""));

    let applied = workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.acl.shop"]);
    applied.exits(0);
    block_on(async {
        let denied = Err(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(produce(&analytics, "orders").await, denied, "as was told");
    });
    // By now an app's password tells that what has no ACL is everybody's.
    let open = "(allow.everyone.if.no.acl.found is true)";
    workspace.run(&["plan"]).exits(0).flat().says(open).says("No changes.").hides("first ACLs");
    workspace.run(&["doctor"]).exits(1).flat().says(open).says("on every broker and controller");
    drop(consumer);
}

/// Every deed that can be tried without changing anything.
const DEEDS: [&str; 6] = ["describe", "write", "create", "alter", "describe_configs", "alter_configs"];
const TOPICS: [&str; 6] = ["a", "ab", "abc", "b.a", "b.ab", "c"];

/// What a user may do to the topics, by trying.
async fn tried(client: &ClientConfig, native: &Admin) -> Vec<[bool; 6]> {
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let options = AdminOptions::new().validate_only(true).request_timeout(Some(Duration::from_secs(10)));
    let denied = RDKafkaErrorCode::TopicAuthorizationFailed;
    let described = native.describe_topics(&TOPICS).await.unwrap();
    let new: Vec<NewTopic<'_>> = TOPICS.iter().map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1))).collect();
    let more: Vec<NewPartitions<'_>> = TOPICS.iter().map(|name| NewPartitions::new(name, 3)).collect();
    let made = admin.create_topics(&new, &options).await.unwrap();
    let grown = admin.create_partitions(&more, &options).await.unwrap();
    let producer: FutureProducer = client.clone().set("message.timeout.ms", "8000").create().unwrap();
    let mut all = Vec::new();
    for name in TOPICS {
        let describe = described.iter().any(|(topic, found)| {
            assert!(found.as_ref().err().is_none_or(|trouble| trouble.cause == Cause::Authorization), "{found:?}");
            topic == name && found.is_ok()
        });
        let refused = |results: &[Result<String, (String, RDKafkaErrorCode)>]| {
            let mut errors = results.iter().filter_map(|one| one.as_ref().err());
            errors.any(|(topic, code)| topic == name && *code == denied)
        };
        let sent = producer.send(FutureRecord::<(), str>::to(name).payload("x"), Duration::from_secs(8)).await;
        let write = match sent {
            Ok(_) => true,
            Err((error, _)) => {
                assert_eq!(error.rdkafka_error_code(), Some(denied), "{error}");
                false
            }
        };
        let topic = ResourceSpecifier::Topic(name);
        let configs = admin.describe_configs(&[topic], &options).await.unwrap().remove(0);
        let describe_configs = configs.is_ok_and(|configs| !configs.entries.is_empty());
        let edit = ConfigEdit { topic: name, values: BTreeMap::from([("retention.ms", Some("500000"))]) };
        let alter_configs = native.alter_topic_configs(&[edit]).await.unwrap().remove(name).unwrap().is_ok();
        all.push([describe, write, !refused(&made), !refused(&grown), describe_configs, alter_configs]);
    }
    all
}

/// Our evaluation of any ACLs is what the broker makes of them.
fn random_acls(kafka: &OwnKafka, admin: &Admin) {
    let password = Secret::new("the-password-of-rand".to_owned());
    user(kafka, admin, "rand", &password);
    let client = kafka.client_as("rand", password.expose());
    let native = Admin::new(&client).unwrap();
    // Else everybody may do to any topic what the cluster's rights give.
    set(admin, &owned(&["User:admin allow all cluster kafka-cluster".to_owned()]));
    block_on(async {
        let maker: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
        let new: Vec<NewTopic<'_>> =
            TOPICS.iter().map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1))).collect();
        assert!(maker.create_topics(&new, &AdminOptions::new()).await.unwrap().iter().all(Result::is_ok));
        while admin.describe_topics(&TOPICS).await.unwrap().iter().any(|(_, found)| found.is_err()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut state = u64::from(std::process::id());
    #[expect(clippy::print_stdout, reason = "a failure is found again by it")]
    {
        println!("seed {state}");
    }
    let mut pick = |items: &[&'static str]| -> &'static str {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items[usize::try_from(state >> 33).unwrap() % items.len()]
    };
    let operations =
        ["all", "read", "write", "create", "delete", "alter", "describe", "alter_configs", "describe_configs"];
    let (mut yes, mut no) = (0, 0);
    for round in 0..20 {
        let acls: Vec<String> = (0..5)
            .map(|_| {
                let principal = pick(&["User:rand", "User:rand", "User:*", "User:other"]);
                let verb = pick(&["allow", "allow", "allow", "deny"]);
                let name = pick(&["a", "ab", "a (prefix)", "b. (prefix)", "abc", "*", "* (prefix)", "c"]);
                let host = pick(&["", "", " from 127.0.0.1", " from 10.0.0.1"]);
                format!("{principal} {verb} {} topic {name}{host}", pick(&operations))
            })
            .collect();
        let acls = owned(&acls);
        set(admin, &acls);
        let found = block_on(tried(&client, &native));
        for (name, found) in TOPICS.iter().zip(found) {
            let may = |operation: &str| {
                let deed = Deed { principal: "User:rand", host: "127.0.0.1", resource: "topic", name, operation };
                let verdict = decide(acls.iter().map(|one| (one.principal.as_str(), &one.binding)), &deed);
                matches!(verdict, Verdict::Allowed | Verdict::NoAcls)
            };
            for (operation, found) in DEEDS.iter().zip(found) {
                // A producer must learn where the topic is.
                let expected = may(operation) && (*operation != "write" || may("describe"));
                assert_eq!(found, expected, "round {round}: {operation} {name} by {acls:#?}");
                if expected { yes += 1 } else { no += 1 }
            }
        }
        remove(admin, &acls);
    }
    assert!(yes > 100 && no > 100, "{yes} allowed, {no} denied");
}
