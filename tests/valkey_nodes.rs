//! Access rules are not replicated: every node has them, and one that was away gets them when it is back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_valkey::{OwnValkey, PASSWORD};
use common::servers::valkey_at;
use common::valkey_groups::{
    SERVICE, as_app, cluster, cluster_node, fact, is_on, join, password, primary, primary_of, replica_of, sentinels_of,
    serve_by, until_it_follows, until_whole, user,
};
use common::waiting::until;

const MAIL: &str = "app = \"@mail\"\n[services.kv]\n";
const CAFE: &str = "app = \"@cafe\"\n[services.kv]\n";

#[test]
fn every_node_of_a_cluster_has_the_users_and_one_that_joins_gets_them() {
    let mut nodes = cluster();
    let mut workspace = Workspace::new();
    nodes[0].serve(&mut workspace);
    workspace.spec("mail", MAIL);
    workspace.run(&["plan"]).exits(1).complains("say cluster = true").says("INCOMPLETE");
    workspace.set("NORNPLAN_VALKEY_CLUSTER", "true");
    workspace.converge();
    is_on(&workspace, "@mail", &nodes.iter().collect::<Vec<_>>());
    // Keys that must lie together carry the namespace as their hash tag; any other namespace stays closed.
    let tagged = ["SET", "{@mail}:k", "1"];
    let done: Vec<Result<(), String>> = nodes.iter().map(|node| as_app(&workspace, "@mail", node, &tagged)).collect();
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
    assert!(done.iter().flat_map(|done| done.as_ref().err()).all(|error| error.starts_with("MOVED")), "{done:?}");
    for node in &nodes {
        let foreign = as_app(&workspace, "@mail", node, &["SET", "{@cafe}:k", "1"]).unwrap_err();
        assert!(foreign.starts_with("NOPERM"), "{foreign}");
    }

    let late = cluster_node();
    join(&late, &nodes[0]);
    nodes.push(late);
    until_whole(&nodes, 4);
    let missing = format!("nodes that differ:  - {} (missing)", nodes[3].name());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(&missing);
    workspace.run(&["drift"]).exits(2);
    workspace.converge();
    is_on(&workspace, "@mail", &nodes.iter().collect::<Vec<_>>());

    // By any node, the same.
    nodes[3].serve(&mut workspace);
    workspace.run(&["doctor"]).says(&nodes[0].name()).says(&nodes[3].name());
    nodes[0].serve(&mut workspace);
    // Whoever opens one node opens it: that is seen, told and put right, with the password that it has.
    nodes[2].run(&["ACL", "SETUSER", &user(&workspace, "@mail"), "~*", "+keys"]);
    let other = format!("{} (keys: also ~*; commands: also keys)", nodes[2].name());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(&other);
    workspace.converge();
    is_on(&workspace, "@mail", &nodes.iter().collect::<Vec<_>>());

    nodes[1].kill();
    until("the cluster is down", || {
        nodes[0].run(&["CLUSTER", "INFO"]).into_string().unwrap().contains("cluster_state:fail")
    });
    workspace.spec("cafe", CAFE);
    let lost = format!("{} cannot be reached (nothing listens there)", nodes[1].name());
    let plan = workspace.run(&["plan"]).exits(0);
    let plain = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plain.contains(&lost) && plain.contains("the cluster is down (cluster_state:fail)"), "{plain}");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    is_on(&workspace, "@cafe", &[&nodes[0], &nodes[2], &nodes[3]]);
    // Keys that cannot be counted are not taken for none.
    workspace.spec("mail", &format!("{MAIL}namespace = \"@other\"\n"));
    let away = format!("is not known ({} is away, and keys with it)", nodes[1].name());
    workspace.run(&["plan"]).exits(0).flat().says(&away).says("--allow-interrupt valkey.user.");
    workspace.spec("mail", MAIL);
    workspace.run(&["doctor"]).exits(1).says(&nodes[1].name()).says("CLUSTER FORGET");
    nodes[1].start_again();
    until_whole(&nodes, 4);
    workspace.run(&["plan"]).exits(0).says(&format!("{} (missing)", nodes[1].name()));
    workspace.converge();
    is_on(&workspace, "@cafe", &nodes.iter().collect::<Vec<_>>());

    // The cluster says who belongs to it.
    let id = nodes[3].run(&["CLUSTER", "MYID"]).into_string().unwrap();
    nodes[3].run(&["CLUSTER", "RESET"]);
    for node in &nodes[..3] {
        node.run(&["CLUSTER", "FORGET", &id]);
    }
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says(", 3 nodes").flat();
    let why = "the cluster does not know it any more; 2 users of ours may still be there";
    plan.says(&format!("{} was a node at the last apply, and is none any more: {why}", nodes[3].name()));
    workspace.converge().says(&nodes[3].name());
    workspace.run(&["plan"]).exits(0).hides(&nodes[3].name());
}

/// Demands that an app finds the primary with nothing but what is published for it, and writes there.
#[track_caller]
fn works_by_what_is_published(workspace: &Workspace, app: &str) {
    let sentinels = workspace.published(app, "VALKEY_SENTINELS");
    let service = workspace.published(app, "VALKEY_SENTINEL_NAME");
    let found = sentinels.split(',').find_map(|sentinel| {
        let url = format!("redis://default:{PASSWORD}@{sentinel}");
        let address = valkey_at(&url, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &service]).ok()?;
        let words: Vec<String> = address.into_array().into_iter().filter_map(|word| word.into_string()).collect();
        Some(words.join(":"))
    });
    let user = user(workspace, app);
    let url = format!("redis://{user}:{}@{}", password(workspace, app), found.expect("a sentinel answers"));
    valkey_at(&url, &["SET", &format!("{user}:k"), "1"]).unwrap();
}

#[test]
fn behind_sentinels_every_data_node_has_the_users_whichever_is_the_primary() {
    let first = primary();
    let mut nodes = vec![replica_of(&first), replica_of(&first)];
    nodes.insert(0, first);
    let sentinels = sentinels_of(&nodes[0], 2);
    let mut workspace = Workspace::new();
    serve_by(&sentinels, &mut workspace);
    workspace.spec("mail", MAIL);
    workspace.converge().says(&format!("{SERVICE} of 127.0.0.1:"));
    is_on(&workspace, "@mail", &nodes.iter().collect::<Vec<_>>());
    works_by_what_is_published(&workspace, "@mail");
    // Clients make sure that the sentinels are right.
    as_app(&workspace, "@mail", &nodes[0], &["ROLE"]).unwrap();
    let list: Vec<String> = sentinels.iter().map(OwnValkey::name).collect();
    let url = workspace.published("@mail", "VALKEY_URL");
    let (user, password) = (user(&workspace, "@mail"), password(&workspace, "@mail"));
    assert_eq!(url, format!("redis+sentinel://{user}:{password}@{}/{SERVICE}/0", list.join(",")));
    assert_eq!(workspace.published("@mail", "REDIS_URL"), url);
    let published = workspace.secrets("@mail");

    // A replica that is down is named, whatever is done elsewhere, and gets what it missed.
    nodes[2].stop();
    let lost = format!("{} cannot be reached (nothing listens there)", nodes[2].name());
    workspace.run(&["plan"]).exits(0).says("No changes. 1 resource matches").says("1 could not be looked into");
    workspace.run(&["drift"]).exits(1).flat().says(&lost);
    workspace.spec("cafe", CAFE);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says(&nodes[2].name());
    let rotated = ["rotate", "@mail", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&rotated).exits(0);
    let published_later = workspace.secrets("@mail");
    assert_ne!(published_later, published);
    is_on(&workspace, "@cafe", &[&nodes[0], &nodes[1]]);
    is_on(&workspace, "@mail", &[&nodes[0], &nodes[1]]);
    workspace.spec("late", "app = \"@late\"\n[services.kv]\n");
    nodes[2].start_again();
    until_it_follows(&nodes[2]);
    workspace.run(&["plan", "--out", "saved"]).exits(0).hides("cannot be reached");
    nodes[2].stop();
    // Whoever made a plan cannot know what happened since.
    workspace.run(&["apply", "saved"]).exits(0).complains(&lost);
    is_on(&workspace, "@late", &[&nodes[0], &nodes[1]]);
    // What would be left there stays ours.
    workspace.remove("specs/cafe.toml");
    let plan = workspace.run(&["plan", "--allow-destroy", "all"]).exits(0).flat();
    plan.says(&lost).says("it stays in the state until it is gone there too");
    workspace.spec("cafe", CAFE);
    nodes[2].start_again();
    until_it_follows(&nodes[2]);
    let plan = workspace.run(&["plan"]).exits(0).says(&format!("{} (missing)", nodes[2].name()));
    plan.says(&format!("{} (password)", nodes[2].name()));
    workspace.converge();
    is_on(&workspace, "@mail", &nodes.iter().collect::<Vec<_>>());
    is_on(&workspace, "@cafe", &nodes.iter().collect::<Vec<_>>());

    // A failover changes neither the plan nor what is published.
    let before = primary_of(&sentinels[0]);
    // A sentinel that has not heard of the replicas for a moment knows none to promote.
    until("the failover begins", || sentinels[0].try_run(&["SENTINEL", "FAILOVER", SERVICE]).is_ok());
    let all_agree_on_another =
        |before: u16| sentinels.iter().all(|sentinel| ![before, 0].contains(&primary_of(sentinel)));
    until("the failover", || all_agree_on_another(before));
    until("the old primary follows", || {
        let old = nodes.iter().find(|node| node.port == before).unwrap();
        fact(old, "replication", "role") == "slave"
    });
    workspace
        .run(&["plan", "--detailed-exitcode", "--wait", "30s"])
        .exits(0)
        .says("No changes. 6 resources match their");
    works_by_what_is_published(&workspace, "@mail");
    assert_eq!(workspace.secrets("@mail"), published_later);

    let killed = primary_of(&sentinels[0]);
    let old = nodes.iter().find(|node| node.port == killed).unwrap();
    old.kill();
    workspace.run(&["plan"]).exits(1).says("INCOMPLETE").says(&old.name());
    for sentinel in &sentinels {
        sentinel.run(&["SENTINEL", "SET", SERVICE, "down-after-milliseconds", "1000"]);
    }
    until("the failover", || all_agree_on_another(killed));
    let plan = workspace.run(&["plan", "--detailed-exitcode", "--wait", "30s"]).exits(2);
    plan.says("No changes. ").says(&format!("{} cannot be reached", old.name()));
    works_by_what_is_published(&workspace, "@mail");
    old.start_again();
    until("the old primary follows", || fact(old, "replication", "role") == "slave");
    workspace
        .run(&["plan", "--detailed-exitcode", "--wait", "30s"])
        .exits(0)
        .says("No changes. 6 resources match their");
    assert_eq!(workspace.secrets("@mail"), published_later);
}

#[test]
fn apps_ask_the_sentinels_as_themselves_and_tell_them_nothing() {
    let primary = primary();
    let replicas = [replica_of(&primary), replica_of(&primary)];
    let sentinels = sentinels_of(&primary, 2);
    let mut workspace = Workspace::new();
    serve_by(&sentinels, &mut workspace);
    workspace.spec("mail", MAIL);
    workspace.converge();
    let refused = as_app(&workspace, "@mail", &sentinels[0], &["PING"]).unwrap_err();
    assert!(refused.starts_with("WRONGPASS"), "{refused}");
    workspace.set("NORNPLAN_VALKEY_SENTINEL_USERS", "true");
    let missing = format!("{} (missing)", sentinels[2].name());
    workspace.run(&["plan"]).exits(0).says(&missing);
    workspace.converge();
    sentinels[1].restart();
    workspace
        .run(&["plan", "--detailed-exitcode", "--wait", "10s"])
        .exits(0)
        .says("No changes. 2 resources match their");
    for sentinel in &sentinels {
        let done = |words: &[&str]| as_app(&workspace, "@mail", sentinel, words);
        for call in ["GET-MASTER-ADDR-BY-NAME", "REPLICAS", "SENTINELS", "MASTER", "SLAVES"] {
            done(&["SENTINEL", call, SERVICE]).unwrap();
        }
        done(&["SENTINEL", "MASTERS"]).unwrap();
        done(&["CLIENT", "SETNAME", "mail"]).unwrap();
        for refused in [
            &["SENTINEL", "FAILOVER", SERVICE][..],
            &["SENTINEL", "SET", SERVICE, "quorum", "1"],
            &["SENTINEL", "REMOVE", SERVICE],
            &["SENTINEL", "RESET", "*"],
            &["SENTINEL", "CONFIG", "GET", "*"],
            &["SENTINEL", "FLUSHCONFIG"],
            &["PUBLISH", "__sentinel__:hello", "x"],
            &["ACL", "LIST"],
            &["CLIENT", "KILL", "TYPE", "normal"],
            &["SHUTDOWN"],
        ] {
            let error = done(refused).unwrap_err();
            assert!(error.starts_with("NOPERM"), "{refused:?}: {error}");
        }
    }
    // What is opened on a sentinel is seen and closed; what it misses while it is down, it gets later.
    sentinels[0].run(&["ACL", "SETUSER", &user(&workspace, "@mail"), "+sentinel|failover"]);
    let opened = format!("{} (commands: also sentinel|failover)", sentinels[0].name());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(&opened);
    workspace.converge();
    sentinels[0].stop();
    let rotated = ["rotate", "@mail", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&rotated).exits(0).says(&format!("{} cannot be reached", sentinels[0].name()));
    sentinels[0].start_again();
    let plan =
        workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(&format!("{} (password)", sentinels[0].name()));
    plan.says("a node was away at the last apply").hides("drifted");
    workspace.converge();
    assert!(!workspace.read("state/default.json").contains("\"away\""));
    for sentinel in &sentinels {
        as_app(&workspace, "@mail", sentinel, &["PING"]).unwrap();
    }

    // An app may want them by other names; one host there is only where the workspace names one.
    workspace.spec("mail", &format!("{MAIL}[publish]\nREDIS_HOST = \"{{kv.host}}\"\n"));
    workspace.run(&["plan"]).exits(1).complains("nothing to put in for {kv.host}").complains("{kv.sentinels}");
    workspace.spec("mail", &format!("{MAIL}[publish]\nSENTINELS = \"{{kv.sentinel_name}}={{kv.sentinels}}\"\n"));
    workspace.converge();
    let list: Vec<String> = sentinels.iter().map(OwnValkey::name).collect();
    assert_eq!(workspace.published("@mail", "SENTINELS"), format!("{SERVICE}={}", list.join(",")));
    workspace.spec("mail", MAIL);
    workspace.set("NORNPLAN_VALKEY_PUBLIC_HOST", "kv.internal");
    workspace.set("NORNPLAN_VALKEY_PUBLIC_PORT", "6390");
    let told =
        "REDIS_URL, VALKEY_URL: redis:// from now on, redis+sentinel:// until now: the app's client must take that";
    workspace.converge().flat().says(told);
    let url = workspace.published("@mail", "VALKEY_URL");
    assert!(url.starts_with("redis://") && url.ends_with("@kv.internal:6390/0"), "another form");
    // Users are not left there unsaid.
    workspace.spec("cafe", CAFE);
    workspace.remove("specs/mail.toml");
    let left = format!("a user of this name stays on the sentinels {}", list[0]);
    workspace.run(&["plan"]).exits(0).flat().hides("on the sentinels");
    workspace.set("NORNPLAN_VALKEY_SENTINEL_USERS", "false");
    workspace.run(&["plan"]).exits(0).flat().says(&left);
    workspace.set("NORNPLAN_VALKEY_SENTINEL_USERS", "true");
    workspace.remove("specs/cafe.toml");
    workspace.spec("mail", MAIL);
    assert!(!workspace.secrets("@mail").contains("SENTINEL"));

    // What the sentinels forget is forgotten, if it is not there.
    replicas[0].kill();
    let lost = format!("{} cannot be reached", replicas[0].name());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(", 6 nodes, 1 of them absent").says(&lost);
    for sentinel in &sentinels {
        sentinel.run(&["SENTINEL", "RESET", SERVICE]);
    }
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says(", 5 nodes").flat();
    let why = "the sentinels do not know it any more; the user of ours may still be there";
    plan.says(&format!("{} was a node at the last apply, and is none any more: {why}", replicas[0].name()));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).hides(&replicas[0].name()).says(", 5 nodes");
}

#[test]
fn what_is_wrong_with_sentinels_is_told_of_each() {
    let primary = primary();
    let sentinels = sentinels_of(&primary, 0);
    let mut workspace = Workspace::new();
    serve_by(&sentinels, &mut workspace);
    workspace.spec("mail", MAIL);
    // One is enough.
    sentinels[0].kill();
    workspace.run(&["plan"]).exits(0);
    let doctor = workspace.run(&["doctor"]).exits(1).says(&format!("{}: nothing listens there", sentinels[0].name()));
    let answer = format!("{}, {}: the sentinel answers", sentinels[1].name(), sentinels[2].name());
    doctor.says(&answer).hides("anybody may tell");
    sentinels[1].run(&["ACL", "SETUSER", "default", "nopass"]);
    workspace.run(&["doctor"]).exits(1).says("anybody may tell this sentinel which node is the primary");
    sentinels[1].run(&["ACL", "SETUSER", "default", "resetpass", &format!(">{PASSWORD}")]);
    workspace.set("NORNPLAN_VALKEY_SENTINEL_SERVICE", "mymaster");
    workspace
        .run(&["plan"])
        .exits(1)
        .complains("knows no service \"mymaster\"; it knows shop")
        .complains("did you mean sentinel_service = \"shop\" under [valkey]?");
    workspace.set("NORNPLAN_VALKEY_SENTINEL_SERVICE", SERVICE);
    workspace.set("NORNPLAN_VALKEY_SENTINEL_PASSWORD", "canary-of-a-password");
    let wrong = workspace.run(&["plan"]).exits(1).hides("canary-of-a-password").hides(PASSWORD);
    wrong.complains("none of the sentinels can be asked").complains("NORNPLAN_VALKEY_SENTINEL_PASSWORD");
    workspace.set("NORNPLAN_VALKEY_SENTINEL_PASSWORD", "");
    workspace.run(&["plan"]).exits(1).complains("asks for a password").complains("NORNPLAN_VALKEY_SENTINEL_PASSWORD");
    workspace.set("NORNPLAN_VALKEY_SENTINEL_PASSWORD", PASSWORD);
    sentinels[1].kill();
    sentinels[2].kill();
    let none = workspace.run(&["plan"]).exits(1);
    let none = sentinels
        .iter()
        .fold(none, |none, sentinel| none.complains(&format!("{} (nothing listens there)", sentinel.name())));
    none.complains("none of the sentinels can be asked").complains("`sentinels` under [valkey]");
    // Somebody may have named a data node.
    workspace.set("NORNPLAN_VALKEY_SENTINELS", &primary.name());
    workspace.run(&["plan"]).exits(1).complains("none of the sentinels can be asked").complains(&primary.name());
}
