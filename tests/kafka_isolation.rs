//! What an app's own credentials can and cannot do on Kafka: signs in with what was published, and tries to cross.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod kafka_attacks;

use common::Workspace;
use common::kafka_client::{ADMIN, Client};
use common::own_kafka::{self, Access, Setup};
use common::service;
use kafka_attacks::world::{PATIENCE, World};
use kafka_attacks::{CLUSTER, Control, FOR_RIGHTS, GROUP, TOPIC, TRANSACTION, Way, brokers, more, neighbours};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn every_way_across_is_refused_and_would_work_for_whose_it_is() {
    let world = World::new();
    let before = (world.everything(), world.neighbours_things());
    let ways: Vec<Way> = neighbours::ways().into_iter().chain(brokers::ways()).collect();
    let mut open = Vec::new();
    for way in &ways {
        let (codes, answer) = world.tries("mail", way);
        let is_denied = codes.contains(&way.denied) && codes.iter().all(|code| [0, way.denied].contains(code));
        if !is_denied {
            open.push(format!("{} ({}): {codes:?} instead of {}: {answer}", way.what, way.api, way.denied));
        }
    }
    assert!(open.is_empty(), "{} of {} ways:\n{}", open.len(), ways.len(), open.join("\n"));
    assert!(ways.len() > 100, "{}", ways.len());
    assert_eq!((world.everything(), world.neighbours_things()), before, "something was changed on the way");

    // Those that take away what others need come last.
    let mut proves_nothing = Vec::new();
    for (who, session) in [(Control::Neighbour, "mail-x"), (Control::Admin, ADMIN)] {
        for way in brokers::ways().iter().chain(&neighbours::ways()).filter(|way| way.control == who) {
            let (codes, answer) = world.tries(session, way);
            let is_refused = codes.iter().any(|code| *code == way.denied || FOR_RIGHTS.contains(code));
            if is_refused || codes.is_empty() {
                proves_nothing.push(format!("{} ({}): {session}: {codes:?}: {answer}", way.what, way.api));
            }
        }
    }
    assert!(proves_nothing.is_empty(), "ways that prove nothing:\n{}", proves_nothing.join("\n"));
    // A broker shows a deletion some time after the controller has answered.
    let (mut after, since) = (world.everything(), Instant::now());
    while after.topics.contains_key(&world.fill("@.orders-eu")) {
        assert!(since.elapsed() < Duration::from_secs(20), "not even the admin's deletion did anything");
        after = world.everything();
    }
    assert!(!after.users.contains_key(&world.fill("@mail-x")) && after.users.contains_key(&world.fill("@made")));
    let planned = world.workspace.run(&["plan", "--detailed-exitcode", "--allow-interrupt", "all"]).exits(2);
    planned.says("kafka.topic.@.orders-eu".replace('@', &world.workspace.prefix).as_str());
}

/// What is not refused is asked of the same answer: whether anything of the neighbour's is in it.
#[test]
fn what_lists_tell_leaves_the_neighbour_out() {
    let world = World::new();
    for id in ["@mail-x", "@mail"] {
        let topic = if id == "@mail" { "@.orders" } else { "@.orders-eu" };
        world.works(&id[1..], "produce", json!({ "topic": topic, "values": ["sold"], "transactional_id": id }));
    }
    let lists = [
        ("Metadata", json!({ "topics": null }), "orders-eu", "@.orders"),
        (
            "DescribeTopicPartitions",
            json!({ "topics": [], "response_partition_limit": 2000, "cursor": null }),
            "orders-eu",
            "@.orders",
        ),
        ("ListGroups", json!({ "states_filter": [], "types_filter": [] }), "mail-x", "@mail"),
        (
            "ListTransactions",
            json!({ "state_filters": [], "producer_id_filters": [], "duration_filter": -1 }),
            "mail-x",
            "@mail",
        ),
        ("DescribeTransactions", json!({ "transactional_ids": ["@mail"] }), "orders-eu", "@mail"),
        ("DescribeLogDirs", json!({ "topics": null }), "orders-eu", ""),
        ("DescribeCluster", json!({ "include_cluster_authorized_operations": true, "endpoint_type": 1 }), "mail-x", ""),
    ];
    for (api, body, theirs, own) in lists {
        let body = world.filled(&body);
        let (_, told) = world.client.sends("mail", api, &body);
        let told = told.to_string();
        assert!(!told.contains(theirs) && told.contains(&world.fill(own)), "{api}: {told}");
        let seen = world.client.sends(ADMIN, api, &body).1.to_string();
        let shows_all = matches!(api, "DescribeTransactions" | "DescribeCluster")
            || seen.contains(&world.fill("@mail-x"))
            || seen.contains(&world.fill("@.orders-eu"));
        assert!(shows_all, "{api} proves nothing: {}", &seen[..seen.len().min(500)]);
    }
    // What an app may do to the cluster, as the broker itself counts it: nothing.
    let body = json!({ "include_cluster_authorized_operations": true, "endpoint_type": 1 });
    let (_, cluster) = world.client.sends("mail", "DescribeCluster", &body);
    assert_eq!(cluster["authorized_operations"], json!([]), "{cluster}");
}

#[test]
fn every_request_that_the_broker_takes_was_looked_at() {
    let world = World::new();
    let tried: Vec<&str> =
        [neighbours::ways(), brokers::ways(), more::ways()].into_iter().flatten().map(|way| way.api).collect();
    let known = [
        ("ApiVersions", "says what the broker speaks, before anybody signs in"),
        ("DescribeCluster", "names brokers; the lists' test looks at it"),
        ("ListGroups", "leaves out; the lists' test looks at it"),
        ("ListTransactions", "leaves out; the lists' test looks at it"),
        ("SaslHandshake", "the sign-in"),
        ("SaslAuthenticate", "the sign-in"),
        ("DescribeDelegationToken", "shows one's own; the tokens' test looks at it"),
        ("RenewDelegationToken", "wants the token's secret"),
        ("ExpireDelegationToken", "wants the token's secret"),
    ];
    let told = world.works(ADMIN, "apis", json!({}));
    let names: Vec<&str> = told["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_known = |name: &&&str| tried.contains(*name) || known.iter().any(|(known, _)| known == *name);
    let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).collect();
    assert!(unknown.is_empty() && names.len() > 60, "nobody has tried {unknown:?}");
}

#[test]
fn daily_work_passes() {
    let world = World::new();
    let topic = "@.orders";
    // kafka-python: plain, idempotent, in transactions; groups and ids `<app>` and `<app>.x`, and those it names.
    world.works("mail", "produce", json!({ "topic": topic, "values": ["three"], "idempotent": false }));
    world.works("mail", "produce", json!({ "topic": topic, "values": ["four"] }));
    for id in ["@mail", "@mail.worker.1"] {
        world.works(
            "mail",
            "produce",
            json!({ "topic": topic, "values": ["in a transaction"], "transactional_id": id }),
        );
        let aborted = json!({ "topic": topic, "values": ["aborted"], "transactional_id": id, "abort": true });
        world.works("mail", "produce", aborted);
    }
    let all = json!(["one", "two", "three", "four", "in a transaction", "in a transaction"]);
    for (group, id) in [("@mail.worker", None), ("@mail.moved", Some("@mail.mover"))] {
        let read = json!({ "topic": topic, "group": group, "count": 6, "transactional_id": id });
        let read = world.works("mail", "consume", read);
        assert_eq!(read["values"], all, "{group}");
        assert!(read["committed"]["0"].as_i64() >= Some(6), "{read}");
    }
    assert_eq!(
        world.works("mail", "consume", json!({ "topic": topic, "group": "@mail", "count": 4 }))["values"][0],
        "three"
    );
    // The neighbour by what it names.
    world.works(
        "mail-x",
        "produce",
        json!({ "topic": "@.orders-eu", "values": ["three"], "transactional_id": "@ledger" }),
    );
    let read = world.works("mail-x", "consume", json!({ "topic": "@.orders-eu", "group": "@batch", "count": 3 }));
    assert_eq!(read["values"], json!(["one", "two", "three"]));
    // librdkafka: both kinds of groups, and transactions.
    for (group, protocol) in [("@mail.classic", "classic"), ("@mail.new", "consumer")] {
        let consumer = world.librdkafka("mail", &[("group.id", group), ("group.protocol", protocol)]);
        assert_eq!(read_by_group(&consumer, &world.fill(topic), 6).expect("messages"), 6, "{protocol}");
    }
    transact(&world.librdkafka("mail", &[("transactional.id", "@mail.rd")]), &world.fill(topic))
        .expect("a transaction");
}

/// Reads in a group, and commits: how many came, or why none.
fn read_by_group(config: &ClientConfig, topic: &str, count: usize) -> Result<usize, KafkaError> {
    let mut config = config.clone();
    config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[topic])?;
    let (since, mut read) = (Instant::now(), 0);
    while read < count && since.elapsed() < PATIENCE {
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            message?;
            read += 1;
        }
    }
    consumer.commit_consumer_state(CommitMode::Sync)?;
    Ok(read)
}

/// Writes one message in a transaction.
fn transact(config: &ClientConfig, topic: &str) -> Result<(), KafkaError> {
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = config.create()?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    producer.send(BaseRecord::<(), str>::to(topic).payload("by librdkafka")).map_err(|(error, _)| error)?;
    producer.commit_transaction(PATIENCE)
}

#[test]
fn librdkafka_is_refused_too() {
    let world = World::new();
    let code = |done: Result<(), KafkaError>| done.expect_err("it went through").rdkafka_error_code();
    let theirs = world.fill("@.orders-eu");
    for protocol in ["classic", "consumer"] {
        for (group, topic, expected) in [
            ("@mail-x", "@.orders", RDKafkaErrorCode::GroupAuthorizationFailed),
            ("@batch", "@.orders", RDKafkaErrorCode::GroupAuthorizationFailed),
            ("@mail", "@.orders-eu", RDKafkaErrorCode::TopicAuthorizationFailed),
        ] {
            let config = world.librdkafka("mail", &[("group.id", group), ("group.protocol", protocol)]);
            let done = read_by_group(&config, &world.fill(topic), 1).map(|_| ());
            assert_eq!(code(done), Some(expected), "{protocol} {group} {topic}");
        }
    }
    let id = world.librdkafka("mail", &[("transactional.id", "@mail-x")]);
    let refused = Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(code(transact(&id, &theirs)), refused);
    let own = world.librdkafka("mail", &[("transactional.id", "@mail")]);
    transact(&own, &theirs).expect_err("another's topic in a transaction of one's own");
    // It would work for the neighbour.
    transact(&world.librdkafka("mail-x", &[("transactional.id", "@mail-x")]), &theirs).expect("a transaction");
    let group = world.librdkafka("mail-x", &[("group.id", "@mail-x.new"), ("group.protocol", "consumer")]);
    assert_eq!(read_by_group(&group, &theirs, 3).expect("messages"), 3);
}

#[test]
fn guests_have_what_they_were_given_and_nothing_more() {
    let world = World::new();
    let created: Vec<Value> = ["@.legacy", "@pre-two", "@prefixed"]
        .iter()
        .map(|name| json!({ "name": world.fill(name), "num_partitions": 1, "replication_factor": 1 }))
        .collect();
    let (codes, _) = world.client.sends(ADMIN, "CreateTopics", &json!({ "topics": created, "timeout_ms": 9000 }));
    assert_eq!(codes, [0]);
    for topic in ["@.shared", "@.legacy"] {
        world.works(ADMIN, "produce", json!({ "topic": topic, "values": ["told"] }));
    }
    let writes = |topic: &str| json!({ "topic": topic, "values": ["x"] });
    let reads = |topic: &str, group: &str| json!({ "topic": topic, "group": group, "count": 1 });
    let may_not_read = |session: &str, topic: &str| {
        let (codes, _) = world.client.sends_version(session, "Fetch", Some(12), &world.filled(&fetched(topic)));
        assert_eq!(codes, [0, TOPIC], "{session} {topic}");
    };
    // A reader of one topic, a writer of another, and one who reads what no infraspec declares.
    for topic in ["@.shared", "@.legacy"] {
        assert_eq!(world.works("desk", "consume", reads(topic, "@desk"))["values"], json!(["told"]), "{topic}");
        world.is_refused("desk", "produce", writes(topic), TOPIC);
        may_not_read("mail", topic);
    }
    world.works("desk", "produce", writes("@.inbox"));
    may_not_read("desk", "@.inbox");
    assert_eq!(world.works("mail-x", "consume", reads("@.inbox", "@mail-x"))["values"], json!(["x"]));
    for topic in ["@.orders-eu", "@.orders", "@pre-one"] {
        may_not_read("desk", topic);
        world.is_refused("desk", "produce", writes(topic), TOPIC);
    }
    // Who may read a topic does not do so as its owner.
    world.is_refused("desk", "consume", reads("@.shared", "@mail-x"), GROUP);
    let as_owner = json!({ "topic": "@.inbox", "values": ["x"], "transactional_id": "@mail-x" });
    world.is_refused("desk", "produce", as_owner, TRANSACTION);
    // A reader of all topics of an app. It writes nowhere, so that it may not even have a number as a producer.
    for (topic, first) in [("@.orders-eu", "one"), ("@.shared", "told"), ("@.inbox", "x")] {
        assert_eq!(world.works("audit", "consume", reads(topic, "@audit"))["values"][0], first);
        let (codes, _) = world.client.sends_version("audit", "Produce", Some(9), &world.filled(&produced(topic)));
        assert_eq!(codes, [TOPIC], "{topic}");
    }
    let number = json!({ "transactional_id": null, "transaction_timeout_ms": 9000 });
    assert_eq!(world.client.sends("audit", "InitProducerId", &number).0, [CLUSTER]);
    assert_eq!(world.client.sends("desk", "InitProducerId", &number).0, [0]);
    may_not_read("audit", "@.orders");
    // What lies under a prefix is the app's, whoever makes it; what only looks so is not.
    for topic in ["@pre-one", "@pre-two"] {
        world.works("pre", "produce", writes(topic));
        assert_eq!(world.works("pre", "consume", reads(topic, "@pre"))["values"], json!(["x"]));
    }
    world.is_refused("pre", "produce", writes("@prefixed"), TOPIC);
    world.is_refused("mail", "produce", writes("@pre-two"), TOPIC);
    world.works(ADMIN, "produce", writes("@prefixed"));
}

/// What lies in a topic, by hand.
fn fetched(topic: &str) -> Value {
    json!({ "max_wait_ms": 10, "min_bytes": 1, "max_bytes": 9999, "topics": [
        { "topic": topic, "partitions": [{ "partition": 0, "fetch_offset": 0, "partition_max_bytes": 9999 }] }] })
}

/// One message, by hand.
fn produced(topic: &str) -> Value {
    json!({ "acks": -1, "timeout_ms": 5000, "topic_data": [
        { "name": topic, "partition_data": [{ "index": 0, "records": "smuggled" }] }] })
}

#[test]
fn nobody_signs_in_as_somebody_else() {
    let world = World::new();
    let brokers = service("NORNPLAN_KAFKA_BROKERS");
    let (own, theirs) = (world.password("mail"), world.password("mail-x"));
    let (refused, unknown_mechanism) = (Some(58), Some(33));
    let user = |name: &str| world.fill(name);
    let tries = |name: &str, password: &str, mechanism: &str| {
        world.client.knocks(&brokers, Some(&user(name)), password, mechanism)
    };
    for (name, password) in [
        ("@mail-x", own.as_str()),
        ("@mail", theirs.as_str()),
        ("@mail-x ", &theirs),
        (" @mail-x", &theirs),
        ("@MAIL-X", &theirs),
        ("@mail\u{ad}-x", &theirs),
        ("@mail\u{2010}x", &theirs),
        ("@ｍail-x", &theirs),
        ("@mail-x\0", &theirs),
        ("@mail-x", ""),
        ("@mail-x", " "),
        ("@mail-x", &theirs.to_lowercase()),
        ("@mail-x", &format!("{theirs} ")),
        ("User:@mail-x", &theirs),
        ("ANONYMOUS", ""),
        ("admin", &own),
        ("admin", ""),
        ("", ""),
        ("*", &theirs),
    ] {
        assert_eq!(tries(name, password, "SCRAM-SHA-512"), refused, "{name:?} with {} characters", password.len());
    }
    for (mechanism, code) in [("SCRAM-SHA-256", refused), ("PLAIN", unknown_mechanism), ("GSSAPI", unknown_mechanism)] {
        assert_eq!(tries("@mail-x", &theirs, mechanism), code, "{mechanism}");
    }
    assert_eq!(world.client.knocks(&brokers, None, "", ""), None, "without a sign-in");
    assert_eq!(tries("@mail-x", &theirs, "SCRAM-SHA-512"), Some(0), "who does not come in with any password");
    // The listeners of the brokers themselves, where they can be reached.
    let (host, port) = brokers.rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a port");
    let admin = service("NORNPLAN_KAFKA_PASSWORD");
    for (number, listener) in [(port + 1, "for controllers"), (port + 2, "for brokers")] {
        let address = format!("{host}:{number}");
        let knock = |name: Option<&str>, password: &str, mechanism: &str| {
            world.client.knocks(&address, name, password, mechanism)
        };
        assert_eq!(knock(Some("admin"), &admin, "PLAIN"), Some(0), "{listener}: nobody was there to be asked");
        assert_eq!(knock(Some(&user("@mail")), &own, "PLAIN"), refused, "{listener}");
        assert_eq!(knock(Some(&user("@mail")), &own, "SCRAM-SHA-512"), unknown_mechanism, "{listener}");
        assert_eq!(knock(Some("admin"), &own, "PLAIN"), refused, "{listener}");
        assert_eq!(knock(None, "", ""), None, "{listener}");
    }
}

/// Share groups, groups of Kafka Streams and tokens are off unless a broker is told otherwise: this one is.
#[test]
fn what_can_be_switched_on_crosses_nothing_either() {
    let kafka = Setup::new(Access::Scram).lines(more::LINES).start();
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    let world = World::on(workspace, || Client::of(&kafka.name(), own_kafka::ADMIN, own_kafka::PASSWORD));
    let streams = json!({ "timeout_ms": 9000, "validate_only": false,
        "feature_updates": [{ "feature": "streams.version", "max_version_level": 1, "upgrade_type": 1 }] });
    assert_eq!(world.client.sends(ADMIN, "UpdateFeatures", &streams).0, [0]);
    let before = (world.everything(), world.neighbours_things());
    let ways = more::ways();
    let tried = ways.iter().map(|way| (way, world.tries("mail", way)));
    let is_denied = |codes: &[i64], way: &Way| {
        codes.contains(&way.denied) && codes.iter().all(|code| [0, way.denied].contains(code))
    };
    let open: Vec<String> = tried
        .filter(|(way, (codes, _))| !is_denied(codes, way))
        .map(|(way, answer)| format!("{} ({}): {answer:?} instead of {}", way.what, way.api, way.denied))
        .collect();
    assert!(open.is_empty(), "{}", open.join("\n"));
    assert_eq!((world.everything(), world.neighbours_things()), before, "something was changed on the way");
    for way in ways.iter().filter(|way| way.control == Control::Neighbour) {
        let (codes, answer) = world.tries("mail-x", way);
        assert!(
            !codes.is_empty() && codes.iter().all(|code| !FOR_RIGHTS.contains(code)),
            "{} ({}): {answer}",
            way.what,
            way.api
        );
    }
    // Everybody may make tokens for himself, with no right at all, and sees his own only.
    let own = json!({ "renewers": [], "max_lifetime_ms": -1 });
    for session in ["mail-x", "mail"] {
        assert_eq!(world.client.sends(session, "CreateDelegationToken", &own).0, [0]);
    }
    let since = Instant::now();
    let seen = loop {
        let (_, seen) = world.client.sends("mail", "DescribeDelegationToken", &json!({ "owners": null }));
        if seen["tokens"].as_array().is_some_and(|tokens| !tokens.is_empty()) || since.elapsed() > PATIENCE {
            break seen.to_string();
        }
    };
    assert!(seen.contains(&world.fill("\"@mail\"")) && !seen.contains(&world.fill("@mail-x")), "{seen}");
}

/// Kafka ends no session when a password changes: what does end it is that the rights go.
#[test]
fn old_sessions_go_on_until_their_rights_go() {
    let world = World::new();
    let brokers = service("NORNPLAN_KAFKA_BROKERS");
    let old = world.password("mail");
    let user = world.fill("@mail");
    let writes = || world.client.sends_version("mail", "Produce", Some(9), &world.filled(&produced("@.orders"))).0;
    assert_eq!(writes(), [0]);
    world.workspace.run(&["rotate", "@mail", "--auto-approve"]).exits(0);
    let new = world.password("mail");
    assert_ne!(old, new);
    let signs_in = |password: &str| world.client.knocks(&brokers, Some(&user), password, "SCRAM-SHA-512");
    assert_eq!((signs_in(&old), signs_in(&new)), (Some(58), Some(0)));
    assert_eq!(writes(), [0], "the session of before");

    // Destroyed: its rights are gone at once, whoever is still connected; and what it may see with them.
    let consent = ["destroy", "--app", "@mail", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    world.workspace.run(&consent).exits(0);
    assert_eq!(writes(), [TOPIC]);
    let (codes, _) =
        world.client.sends("mail", "FindCoordinator", &json!({ "key_type": 0, "coordinator_keys": [user] }));
    assert_eq!(codes, [GROUP]);
    assert_eq!((signs_in(&old), signs_in(&new)), (Some(58), Some(58)));
    let left = world.everything();
    let is_left = |text: &String| text.contains(&format!("User:{user} "));
    assert!(!left.acls.iter().any(is_left) && !left.users.contains_key(&user), "{left:?}");
    world.workspace.remove("specs/mail.toml");
    world.workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}
