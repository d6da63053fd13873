//! What infraspecs say of Valkey beyond a namespace, as people run it: rules of their own, whole databases, apps that share
//! a password, and what is said of all that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::servers::{valkey, valkey_at};
use common::{Ran, Workspace};
use fred::types::Value;
use nornplan::services::valkey::dangers;

/// Whether the shared server has rules for database numbers.
fn has_database_rules() -> bool {
    let answer = valkey(&["ACL", "GETUSER", "default"]).expect("the default user").into_array();
    answer.into_iter().any(|part| part.as_str().is_some_and(|part| part == "databases"))
}

/// One command on a connection of its own, after SELECT where the URL names a database.
#[track_caller]
fn works(url: &str, words: &[&str]) -> Value {
    valkey_at(url, words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

#[track_caller]
fn refused(url: &str, words: &[&str]) {
    let error = valkey_at(url, words).expect_err(&words.join(" "));
    assert!(error.details().starts_with("NOPERM"), "{words:?}: {error}");
}

/// Standard output without its line breaks.
fn flat(ran: &Ran) -> String {
    ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn tells(ran: &Ran, text: &str) {
    assert!(flat(ran).contains(text), "no {text:?} in\n{}\n{}", ran.stdout, ran.stderr);
}

/// What the server has of a user, as `ACL LIST` prints it.
fn rules(user: &str) -> String {
    let lines = valkey(&["ACL", "LIST"]).expect("the users").into_array().into_iter().filter_map(Value::into_string);
    let start = format!("user {user} ");
    lines.into_iter().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no user {user}"))
}

#[test]
fn rules_of_ones_own_reach_the_server_and_their_drift_is_found() {
    let here = Workspace::new();
    here.spec(
        "mail",
        "app = \"@mail\"\n[services.kv]\ncommands = [\"-DEL\", \"+keys\", \"-flushall\"]\n\
         keys = [\"@shared:*\", \"%r~@news:*\"]\nchannels = [\"@news.*\"]\n",
    );
    let planned = here.run(&["plan"]).exits(0);
    let prefix = &here.prefix;
    let user = format!("{prefix}mail");
    planned.says("specs/mail.toml:3: +keys lets it see the names of all keys of all apps").says("commands -del +keys");
    here.converge();
    let url = here.published("@mail", "VALKEY_URL");
    works(&url, &["SET", &format!("{prefix}shared:k"), "1"]);
    works(&url, &["GET", &format!("{prefix}news:k")]);
    works(&url, &["PUBLISH", &format!("{prefix}news.today"), "hello"]);
    works(&url, &["KEYS", &format!("{prefix}nothing*")]);
    refused(&url, &["SET", &format!("{prefix}news:k"), "1"]);
    refused(&url, &["DEL", &format!("{prefix}mail:k")]);
    refused(&url, &["GET", &format!("{prefix}other:k")]);
    works(&url, &["UNLINK", &format!("{prefix}shared:k")]);
    for (by_hand, says) in [
        (vec!["+del"], "del"),
        (vec!["-keys"], "keys"),
        (vec!["%W~@news:*"], "@news:*"),
        (vec!["resetchannels", "&@mail:*"], "@news.*"),
    ] {
        let by_hand: Vec<String> = by_hand.iter().map(|word| word.replace('@', prefix)).collect();
        let mut words = vec!["ACL", "SETUSER", &user];
        words.extend(by_hand.iter().map(String::as_str));
        valkey(&words).expect("a change by hand");
        here.run(&["plan"]).exits(0).says("drifted").says(&says.replace('@', prefix));
        here.run(&["drift"]).exits(2);
        here.converge();
    }
    // Taken out of the infraspec, they go.
    here.spec("mail", "app = \"@mail\"\n[services.kv]\n");
    here.run(&["plan"]).exits(0).says("changed in spec").hides("lets it");
    here.converge();
    assert!(!rules(&user).contains("shared"), "{}", rules(&user));
    refused(&url, &["GET", &format!("{prefix}shared:k")]);
}

#[test]
fn a_command_that_the_server_lacks_blocks_its_app_alone() {
    let here = Workspace::new();
    here.spec("mail", "app = \"@mail\"\n[services.kv]\ncommands = [\"+gett\"]\n");
    here.spec("cafe", "app = \"@cafe\"\n[services.kv]\n");
    tells(&here.run(&["apply", "--auto-approve"]).exits(1), "has no command gett: did you mean get");
    works(&here.published("@cafe", "VALKEY_URL"), &["PING"]);
    assert!(!here.path(format!("secrets/{}mail.env", here.prefix)).exists());
    // An @ of its own, where another one is a prefix.
    let text = format!("app = \"{}mail\"\n[services.kv]\ncommands = [\"+@raed\"]\n", here.prefix);
    std::fs::write(here.path("specs/mail.toml"), text).expect("an infraspec");
    tells(&here.run(&["plan"]).exits(0), "has no category @raed: did you mean @read");
    here.spec("mail", "app = \"@mail\"\n[services.kv]\ncommands = [\"+getdel\"]\n");
    here.converge();
}

#[test]
fn a_database_number_that_the_server_does_not_have_blocks() {
    let here = Workspace::new();
    here.spec("mail", "app = \"@mail\"\n[services.kv]\ndb = 4000\n");
    let planned = here.run(&["plan"]).exits(0).says("BLOCKED");
    tells(&planned, "there is no database 4000 here");
    tells(&planned, "Choose a smaller db");
}

#[test]
fn what_opens_others_keys_is_said_and_refused_where_it_is_strict() {
    let mut here = Workspace::new();
    here.spec("cafe", "app = \"@cafe\"\n[services.kv]\nkeys = [\"%R~@ma*\", \"@mail:x\"]\nchannels = [\"*\"]\n");
    here.spec("mail", "app = \"@mail\"\n[services.kv]\n");
    let prefix = here.prefix.clone();
    let opens =
        |what: &str| format!("{} opens the namespace {prefix}mail of the app {prefix}mail", what.replace('@', &prefix));
    let read = opens("specs/cafe.toml:3: keys \"%R~@ma*\"");
    let (written, heard) = (opens("specs/cafe.toml:3: keys \"~@mail:x\""), opens("specs/cafe.toml:4: channels \"&*\""));
    let planned = here.run(&["plan"]).exits(0);
    for said in [&read, &written, &heard] {
        tells(&planned, said);
    }
    let json = here.run(&["plan", "--format", "json"]).exits(0);
    assert!(json.stdout.contains("for reading and writing"));
    here.run(&["validate"]).exits(0).complains("name ").complains("in readers of ");
    // Once it is there, the warning stays.
    here.converge();
    let again = here.run(&["plan"]).exits(0).says("No changes.");
    tells(&again, &read);
    here.set("NORNPLAN_VALKEY_STRICT", "true");
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["validate"]] {
        here.run(command).exits(1).complains("specs/cafe.toml:3:9: keys").complains("specs/cafe.toml:4:13: channels");
    }
    // What the owner says is no lint.
    here.spec("cafe", "app = \"@cafe\"\n[services.kv]\nkeys = [\"%R~@mail:public:*\"]\n");
    here.spec("mail", "app = \"@mail\"\n[services.kv]\nreaders = [\"@cafe\"]\n");
    here.run(&["plan"]).exits(0).hides("opens the namespace");
    here.set("NORNPLAN_VALKEY_STRICT", "false");
    here.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
}

/// What one app may write to get at another, or at whoever else is on the server.
#[test]
fn nothing_that_reaches_others_passes_where_it_is_strict() {
    let mut here = Workspace::new();
    here.set("NORNPLAN_VALKEY_STRICT", "true");
    here.spec("mail", "app = \"@mail\"\n[services.kv]\nreaders = [\"@pal\"]\n");
    here.spec("pal", "app = \"@pal\"\n[services.kv]\n");
    here.spec("old", "app = \"@old\"\n[services.kv]\nnamespace = false\ndb = 3\naccess = \"queue\"\n");
    here.run(&["validate"]).exits(0);
    let stars = "*a".repeat(200) + "*";
    let long = format!("keys = [\"{stars}\"]");
    let refused = [
        // Keys, by every way to write them.
        "keys = [\"*\"]",
        "keys = [\"**\"]",
        "keys = [\"?*\"]",
        "keys = [\"%R~[^~]*\"]",
        "keys = [\"@mail:*\"]",
        "keys = [\"%W~@mail:x\"]",
        "keys = [\"%R~@mail*\"]",
        "keys = [\"@mai?:x\"]",
        "keys = [\"@mail[:-]*\"]",
        "keys = [\"@mai\\\\l:x\"]",
        "keys = [\"{@mail}:*\"]",
        "keys = [\"?@mail}:*\"]",
        "keys = [\"*:session\"]",
        &long,
        // Namespaces, users and databases that are others'.
        "namespace = \"@mail\"",
        "namespace = \"@mail:x\"",
        "namespace = \"{@mail}\"",
        "namespace = \"*\"",
        "namespace = \"@MAIL\"",
        "namespace = \"@mäil\"",
        "user = \"@mail\"",
        "user = \"default\"",
        "user = \"a b\"",
        "db = 3",
        "namespace = false\ndb = 3",
        "namespace = false\ndb = 0",
        "namespace = false\nshared = true\ndb = 5",
        // Channels: others', the job queue of a whole database, and the server's own.
        "channels = [\"*\"]",
        "channels = [\"?*\"]",
        "channels = [\"@mail:news\"]",
        "channels = [\"/3.celery.pidbox\"]",
        "channels = [\"/*\"]",
        "channels = [\"__keyspace@0__:@mail:*\"]",
        "channels = [\"__keyspace@*__:@evil:*\"]",
        "channels = [\"__keyevent@0__:expired\"]",
        "channels = [\"__key*\"]",
        "channels = [\"__redis__:invalidate\"]",
        "channels = [\"[_]_sentinel__:hello\"]",
        // Commands, by every way to write them.
        "commands = [\"+@all\"]",
        "commands = [\"-@all\", \"+@read\"]",
        "commands = [\"+@keyspace\"]",
        "commands = [\"+@connection\"]",
        "commands = [\"+@pubsub\"]",
        "commands = [\"+@scripting\"]",
        "commands = [\"+@hyperloglog\"]",
        "commands = [\"+@search\"]",
        "commands = [\"+KEYS\"]",
        "commands = [\"-keys\", \"+keys\"]",
        "commands = [\"+client\", \"-client|kill\"]",
        "commands = [\"+function\"]",
        "commands = [\"+script|show\"]",
        "commands = [\"+memory\"]",
        "commands = [\"+cluster|slot-stats\"]",
        "commands = [\"+acl\"]",
        "commands = [\"+debug|sleep\"]",
        "commands = [\"+ft.search\"]",
        "commands = [\"+rg.pyexecute\"]",
        "commands = [\">secret\"]",
        "commands = [\"nopass\"]",
        "commands = [\"(+@all ~*)\"]",
        "keys = [\"a ~*\"]",
        "channels = [\"x\", \"allchannels\"]",
    ];
    // An @ after a sign is that of a category, and the server's channels have one too.
    let spec = |kv: &str| {
        let own = ["+@", "-@", "@0__", "@*__"];
        let kept = own.iter().fold(kv.to_owned(), |kv, own| kv.replace(own, &own.replace('@', "§")));
        let kv = kept.replace('@', &here.prefix).replace('§', "@");
        let text = format!("app = \"{}evil\"\n[services.kv]\n{kv}\n", here.prefix);
        std::fs::write(here.path("specs/evil.toml"), text).expect("an infraspec");
    };
    let passed: Vec<&str> = refused
        .into_iter()
        .filter(|kv| {
            spec(kv);
            here.run(&["validate"]).code == 0
        })
        .collect();
    assert!(passed.is_empty(), "not refused: {passed:#?}");
    // What reaches nobody is not spoken of.
    for kv in [
        "keys = [\"@evil-too:*\", \"%R~shared:*\"]",
        "channels = [\"@evil.*\", \"__keyspace@0__:@evil:*\", \"shared:*\"]",
        "commands = [\"+select\", \"+json.set\", \"-@dangerous\", \"+fcall\", \"+role\"]",
        "namespace = \"@mail-x\"",
        "namespace = \"@mai\"",
        "db = 7",
        "namespace = false\ndb = 4",
    ] {
        spec(kv);
        here.run(&["validate"]).exits(0).hides("evil.toml");
    }
}

/// Every command that this server calls dangerous is known, by its name and by each of its categories.
#[test]
fn no_dangerous_command_of_the_server_is_passed_by() {
    let opened = |rule: String| -> Vec<&'static str> {
        dangers::opened(&[rule], false).into_iter().flat_map(|(_, opens)| opens).collect()
    };
    let of = |category: &str| {
        let commands = valkey(&["ACL", "CAT", category]).expect("a category").into_array();
        commands.into_iter().filter_map(Value::into_string)
    };
    // What every preset has or could have: nothing of others is in their answers.
    let harmless = ["info", "sort", "sort_ro", "role", "lastsave"];
    let categories: Vec<String> =
        valkey(&["ACL", "CAT"]).expect("categories").into_array().into_iter().filter_map(Value::into_string).collect();
    assert!(categories.len() > 15, "{categories:?}");
    let mut seen = 0;
    for category in &categories {
        let by_category = opened(format!("+@{category}"));
        for command in of(category) {
            let by_name = opened(format!("+{command}"));
            seen += by_name.len();
            let unknown: Vec<&&str> = by_name.iter().filter(|opens| !by_category.contains(opens)).collect();
            assert!(unknown.is_empty(), "+{command} opens more than +@{category}: {unknown:?}");
        }
    }
    assert!(seen > 100, "{seen}");
    for command in of("dangerous").chain(of("admin")).filter(|command| !harmless.contains(&command.as_str())) {
        assert!(!opened(format!("+{command}")).is_empty(), "{command}");
    }
}

/// Keys by whose absence others can tell that they were not reached.
fn a_key_in_each(databases: &[u32], url: impl Fn(u32) -> String, prefix: &str) {
    for database in databases {
        works(&url(*database), &["SET", &format!("{prefix}key"), &database.to_string()]);
    }
}

#[test]
fn an_app_has_a_whole_database_where_the_server_can_confine_it_to_that() {
    let server = OwnValkey::start();
    let mut here = Workspace::new();
    server.serve(&mut here);
    here.spec(
        "old",
        "app = \"@old\"\n[services.kv]\nnamespace = false\ndb = 3\naccess = \"queue\"\nreaders = [\"@mail\"]\n",
    );
    here.spec("mail", "app = \"@mail\"\n[services.kv]\n");
    if !has_database_rules() {
        let applied = here.run(&["apply", "--auto-approve"]).exits(1);
        tells(&applied, "database numbers do not isolate on");
        tells(&applied, "Use a namespace");
        let there = server.run(&["ACL", "USERS"]).into_array();
        assert_eq!(there.len(), 1, "{there:?}");
        here.spec("old", "app = \"@old\"\n[services.kv]\nnamespace = false\ndb = 3\n");
        tells(&here.run(&["apply", "--auto-approve"]).exits(1), "database numbers do not isolate on");
        assert_eq!(server.run(&["ACL", "USERS"]).into_array().len(), 2);
        return;
    }
    here.run(&["plan"]).exits(0).says("reads and writes all keys of its database, and job queues");
    here.converge();
    let admin = |database: u32| format!("{}/{database}", server.url("default", PASSWORD));
    a_key_in_each(&[0, 2, 3, 4], admin, "any:");
    let url = here.published("@old", "VALKEY_URL");
    assert!(url.ends_with("/3"), "{url}");
    for (words, answer) in [
        (&["GET", "any:key"][..], "3"),
        (&["SET", "without-prefix", "1"], "OK"),
        (&["DBSIZE"], "2"),
        (&["EVAL", "return redis.call('GET', KEYS[1])", "1", "any:key"], "3"),
        (&["SELECT", "3"], "OK"),
    ] {
        assert_eq!(works(&url, words).as_string().as_deref(), Some(answer), "{words:?}");
    }
    works(&url, &["SCAN", "0"]);
    let user = format!("{}old", here.prefix);
    let may = |words: &[&str]| {
        let all: Vec<&str> = ["ACL", "DRYRUN", &user].into_iter().chain(words.iter().copied()).collect();
        server.run(&all).is_ok()
    };
    for words in [["SUBSCRIBE", "/3.celery.pidbox"], ["PSUBSCRIBE", "/3.celeryev/worker.*"]] {
        assert!(may(&words), "{words:?}");
    }
    for words in [["SUBSCRIBE", "any"], ["PSUBSCRIBE", "*"], ["SUBSCRIBE", "/0.celery.pidbox"]] {
        assert!(!may(&words), "{words:?}");
    }
    for words in [
        &["SELECT", "0"][..],
        &["SELECT", "4"],
        &["MOVE", "any:key", "0"],
        &["COPY", "any:key", "stolen", "DB", "0"],
        &["COPY", "any:key", "any:key", "DB", "4", "REPLACE"],
        &["SWAPDB", "0", "3"],
        &["SWAPDB", "3", "4"],
        &["EVAL", "redis.call('SELECT', 0) return redis.call('GET', 'any:key')", "0"],
        &["EVAL", "return redis.call('MOVE', KEYS[1], 4)", "1", "any:key"],
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["KEYS", "*"],
        &["PUBLISH", "any", "x"],
        &["PUBSUB", "CHANNELS"],
        &["CLIENT", "TRACKING", "ON", "BCAST"],
        &["MIGRATE", "127.0.0.1", "1", "any:key", "0", "10"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["MONITOR"],
    ] {
        let error = valkey_at(&url, words).expect_err(&words.join(" "));
        let denied = error.details().contains("NOPERM") || error.details().contains("ACL failure");
        assert!(denied || error.details().contains("No permissions"), "{words:?}: {error}");
    }
    // Before it goes to its own database, it can do nothing where it arrives.
    let elsewhere = |database: &str| url.trim_end_matches("/3").to_owned() + database;
    for database in ["/0", "/2", "/4", ""] {
        assert!(valkey_at(&elsewhere(database), &["GET", "any:key"]).is_err(), "{database}");
    }
    for database in [0, 2, 4] {
        let there = works(&admin(database), &["GET", "any:key"]);
        assert_eq!(there.as_string(), Some(database.to_string()));
        assert_eq!(works(&admin(database), &["DBSIZE"]).as_i64(), Some(1));
    }
    // Its reader reads there, and nowhere else.
    let reader = here.published("@mail", "VALKEY_URL");
    let in_three = reader.trim_end_matches("/0").to_owned() + "/3";
    assert_eq!(works(&in_three, &["GET", "any:key"]).as_string().as_deref(), Some("3"));
    works(&in_three, &["SCAN", "0"]);
    refused(&in_three, &["SET", "any:key", "x"]);
    refused(&reader, &["GET", "any:key"]);
    refused(&reader, &["SCAN", "0"]);
    // A change by hand is found.
    server.run(&["ACL", "SETUSER", &user, "alldbs"]);
    here.run(&["plan"]).exits(0).says("may no longer:  use all databases");
    here.converge();
    // From a whole database to a namespace: the keys stay, and that is asked about.
    here.spec("old", "app = \"@old\"\n[services.kv]\ndb = 3\n");
    here.run(&["apply", "--auto-approve"]).exits(0).flat().says("2 keys stay in database 3: nobody who is declared");
    works(&url, &["GET", "any:key"]);
    here.run(&["apply", "--auto-approve", "--allow-interrupt", "valkey.user.@old"]).exits(0);
    here.converge();
    refused(&here.published("@old", "VALKEY_URL"), &["GET", "any:key"]);
}

#[test]
fn apps_that_share_a_password_are_sent_to_their_numbers_with_it() {
    let server = OwnValkey::with(Saves::ConfigFile, "");
    let mut here = Workspace::new();
    server.serve(&mut here);
    here.spec("old", "app = \"@old\"\n[services.kv]\nnamespace = false\nshared = true\ndb = 3\n[publish]\nKV_PASS = \"{kv.password}\"\n");
    here.spec("more", "app = \"@more\"\n[services.kv]\nnamespace = false\nshared = true\ndb = 4\n");
    // Never the administrator's own in silence, and never none.
    here.run(&["validate"]).exits(0).complains("shared: every app with the common password");
    let missing = here.run(&["apply", "--auto-approve"]).exits(1);
    missing.complains("specs/more.toml:4:1").complains("set NORNPLAN_VALKEY_SHARED_PASSWORD");
    here.run(&["doctor"]).exits(1).says("no password is set that such apps share");
    let common = "a common:p@ss/word";
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", common);
    // One that does not sign in is not published.
    let refused_reason = "the password that apps share does not sign in; what is published stays as it is";
    tells(&here.run(&["plan"]).exits(0).says("BLOCKED"), "the password that apps share does not sign in");
    tells(&here.run(&["apply", "--auto-approve"]).exits(1).hides(common), refused_reason);
    assert!(!here.path("secrets").join(format!("{}old.env", here.prefix)).exists());
    let doctor = here.run(&["doctor"]).flat().exits(1);
    doctor.says("the password that apps share does not sign in").says("ACL SETUSER default >...");
    server.run(&["ACL", "SETUSER", "default", &format!(">{common}")]);
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", common);
    here.run(&["plan"])
        .exits(0)
        .says("shared: every app with the common password")
        .hides(common)
        .hides("does not sign in")
        .hides("administrator's own");
    here.run(&["doctor"]).exits(0).says("the password that apps share signs in");
    let encoded = "a%20common%3Ap%40ss%2Fword";
    here.converge().says("shared: every app").hides(common).hides(encoded);
    here.run(&["plan"]).exits(0).says("No changes.").says("shared: every app with the common password");
    let url = here.published("@old", "VALKEY_URL");
    assert_eq!(url, format!("redis://:{encoded}@127.0.0.1:{}/3", server.port));
    assert_eq!(here.published("@old", "REDIS_URL"), url);
    assert_eq!(here.published("@old", "KV_PASS"), common);
    works(&url, &["SET", "without-prefix", "1"]);
    let in_three = format!("{}/3", server.url("default", PASSWORD));
    assert_eq!(works(&in_three, &["GET", "without-prefix"]).as_string().as_deref(), Some("1"));
    assert!(here.published("@more", "VALKEY_URL").ends_with("/4"));
    let users = server.run(&["ACL", "USERS"]).into_array();
    assert_eq!(users.len(), 1, "{users:?}");
    for file in ["state/default.json", "nornplan.toml"] {
        assert!(!here.read(file).contains(common) && !here.read(file).contains(encoded), "{file}");
    }
    // A mistyped one leaves what works in its place, and all else that the app is told; another app goes on.
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", "mistyped");
    here.spec("own", "app = \"@own\"\n[services.kv]\n");
    here.run(&["plan"]).exits(0).says("2 blocked").says("Plan: 2 to create, 0 to update");
    tells(&here.run(&["apply", "--auto-approve"]).exits(1).hides("mistyped"), refused_reason);
    assert_eq!(
        (here.published("@old", "VALKEY_URL"), here.published("@old", "KV_PASS")),
        (url.clone(), common.to_owned())
    );
    works(&here.published("@own", "VALKEY_URL"), &["PING"]);
    here.remove("specs/own.toml");
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", common);
    here.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    here.run(&["plan", "--detailed-exitcode"]).exits(0);
    // The common password changes: what is published follows, by plan or as drift.
    server.run(&["ACL", "SETUSER", "default", ">another", &format!("<{common}")]);
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", "another");
    here.run(&["drift"]).exits(2).says("secret.").hides("another@");
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", "");
    here.run(&["drift"]).exits(1).complains("no password is set that such apps share");
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", "another");
    here.run(&["plan"]).exits(0).says("2 to update").hides("another@");
    here.converge();
    works(&here.published("@old", "VALKEY_URL"), &["GET", "without-prefix"]);
    // The same as ours: loudest of all.
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", PASSWORD);
    tells(&here.run(&["plan"]).exits(0), "the password that apps share is the administrator's own");
    // A number that is not there.
    here.spec("more", "app = \"@more\"\n[services.kv]\nnamespace = false\nshared = true\ndb = 4000\n");
    here.run(&["plan"]).exits(1).complains("there is no database 4000 here").complains("specs/more.toml:5:6");
    // A user of its own gets a password of its own.
    here.spec("more", "app = \"@more\"\n[services.kv]\ndb = 4\n");
    here.set("NORNPLAN_VALKEY_SHARED_PASSWORD", "another");
    here.converge();
    let own = here.published("@more", "VALKEY_URL");
    assert!(!own.contains("another") && own.contains(&format!("//{}more:", here.prefix)), "not its own");
    works(&own, &["SET", &format!("{}more:k", here.prefix), "1"]);
    // And back again, which removes the user with consent.
    here.spec("more", "app = \"@more\"\n[services.kv]\nnamespace = false\nshared = true\ndb = 4\n");
    here.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    here.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert!(here.published("@more", "VALKEY_URL").contains("//:another@"));
}
