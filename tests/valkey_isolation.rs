//! What an app's own credentials can and cannot do on Valkey: signs in with what was published, and tries to cross.
//!
//! Each test has a server of its own: what is tried would end everybody else's if it were let through.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
use attacks::crossings::{CONFINED, CROSSINGS, HARMLESS, IMPOSSIBLE, NEWER, TAKEN_AND_HARMLESS};
use attacks::sweep::all_calls;
use attacks::work::{DAILY_WORK, READS, WRITES};
use common::Workspace;
use common::own_postgres::free_port;
use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::resp::{Reply, Wire, words};
use nornplan::services::valkey::dangers;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An app, its neighbour (whose name begins with its own), and one of each other kind.
const SPECS: [(&str, &str); 5] = [
    ("mail", "app = \"@mail\"\n[services.kv]\n"),
    ("mail-x", "app = \"@mail-x\"\n[services.kv]\nreaders = [\"@desk\"]\n"),
    ("queue", "app = \"@queue\"\n[services.kv]\naccess = \"queue\"\n"),
    ("look", "app = \"@look\"\n[services.kv]\naccess = \"readonly\"\n"),
    ("desk", "app = \"@desk\"\n[services.kv]\n"),
];

/// Some data of each kind, below a name with a colon.
const DATA: &str = "SET :k v ; SET :n 1 ; HSET :h f v ; RPUSH :l a b c ; SADD :s a b ; ZADD :z 1 a 2 b ; \
    GEOADD :g 0 0 a ; PFADD :p a ; XADD :x 1-1 f v ; XGROUP CREATE :x g 0 ; XGROUP CREATE :x STREAMS 0";

struct World {
    workspace: Workspace,
    /// Dropped last, for the workspace takes away what it made.
    server: OwnValkey,
}

/// Who tries, in whose namespace.
struct App<'a> {
    world: &'a World,
    name: &'a str,
    namespace: &'a str,
}

impl World {
    fn new() -> Self {
        let allowed = "enable-debug-command local\nenable-module-command local";
        Self::on(OwnValkey::with(Saves::AclFile, allowed), Workspace::new())
    }

    /// A cluster of one node, which has all slots.
    fn in_a_cluster() -> Self {
        let lines = format!("cluster-enabled yes\ncluster-port {}\ncluster-announce-ip 127.0.0.1", free_port());
        let server = OwnValkey::with(Saves::AclFile, &lines);
        server.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        let is_up = || server.run(&["CLUSTER", "INFO"]).as_str().is_some_and(|info| info.contains("cluster_state:ok"));
        while !is_up() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut workspace = Workspace::new();
        workspace.set("NORNPLAN_VALKEY_CLUSTER", "true");
        Self::on(server, workspace)
    }

    fn on(server: OwnValkey, mut workspace: Workspace) -> Self {
        server.serve(&mut workspace);
        for (name, spec) in SPECS {
            workspace.spec(name, spec);
        }
        workspace.converge();
        let this = Self { workspace, server };
        this.seed(&mut this.admin());
        this
    }

    fn app<'a>(&'a self, name: &'a str) -> App<'a> {
        App { world: self, name, namespace: name }
    }

    fn admin(&self) -> Wire {
        Wire::sign_in(self.server.port, "default", PASSWORD)
    }

    /// Puts everybody's data there, as they are before every attempt.
    fn seed(&self, admin: &mut Wire) {
        admin.run("FLUSHALL");
        admin.run("SCRIPT LOAD «return 1»");
        for (name, _) in SPECS {
            for line in DATA.split(" ; ") {
                let line = line.replacen(" :", &format!(" {}{name}:", self.workspace.prefix), 1);
                let line = line.replacen(" CREATE :", &format!(" CREATE {}{name}:", self.workspace.prefix), 1);
                assert!(!admin.run(&line).is_error(), "{line}");
            }
        }
        let library = "FUNCTION LOAD REPLACE «#!lua name=@lib\\x0aredis.register_function('@fn', function() return 1 end)\\x0a\
            redis.register_function{function_name='@ro', callback=function() return 1 end, flags={'no-writes'}}»";
        assert!(!admin.run(&library.replace('@', &self.workspace.prefix)).is_error());
    }

    /// Whether the server knows rules for databases: Valkey 9 and newer.
    fn is_newest(&self) -> bool {
        let mut admin = self.admin();
        let known = !admin.run("ACL SETUSER probe db=0").is_error();
        admin.run("ACL DELUSER probe");
        known
    }

    /// An attempt with all names filled in.
    fn fill(&self, attempt: &str, my: &str, your: &str) -> String {
        let prefix = &self.workspace.prefix;
        let attempt = attempt.replace("my:", &format!("{prefix}{my}:")).replace("your:", &format!("{prefix}{your}:"));
        attempt.replace('@', prefix)
    }

    /// An attempt must be a real one: it works for the admin, or is answered as it says.
    fn proves_something(&self, (attempt, said): &(&str, &str)) -> Result<(), String> {
        let reply = self.as_admin(attempt);
        let real = if said.is_empty() { !reply.is_error() } else { reply.text().contains(said) };
        if real { Ok(()) } else { Err(format!("{attempt}: {reply:?}")) }
    }

    /// What the admin is answered to the last step of an attempt.
    fn as_admin(&self, attempt: &str) -> Reply {
        let mut admin = self.admin();
        self.seed(&mut admin);
        let steps = self.fill(attempt, "mail", "mail-x");
        steps.split(" ; ").map(|step| admin.run(step)).last().expect("an answer")
    }
}

impl App<'_> {
    fn sign_in(&self) -> Wire {
        let name = format!("@{}", self.name);
        let (user, password) = (name.replace('@', &self.world.workspace.prefix), self.password());
        Wire::sign_in(self.world.server.port, &user, &password)
    }

    fn password(&self) -> String {
        let url = self.world.workspace.published(&format!("@{}", self.name), "VALKEY_URL");
        let url = url::Url::parse(&url).expect("a URL");
        url.password().expect("a password").to_owned()
    }

    /// The answers to an attempt's steps, on a connection of its own.
    fn tries(&self, attempt: &str) -> Vec<Reply> {
        let mut wire = self.sign_in();
        let your = if self.name == "mail-x" { "mail" } else { "mail-x" };
        let steps = self.world.fill(attempt, self.namespace, your);
        steps.split(" ; ").map(|step| wire.run(step)).collect()
    }

    /// Why an attempt was not refused for want of rights at its last step, if it was not.
    fn gets_through(&self, attempt: &str) -> Option<String> {
        let mut replies = self.tries(attempt);
        let last = replies.pop().expect("an answer");
        let early = replies.iter().any(Reply::is_error);
        (early || !last.is_denied()).then(|| format!("{}: {attempt}: {replies:?} {last:?}", self.name))
    }

    #[track_caller]
    fn is_denied(&self, attempts: &[&str]) {
        let through: Vec<String> = attempts.iter().filter_map(|attempt| self.gets_through(attempt)).collect();
        assert!(through.is_empty(), "not refused:\n{}", through.join("\n"));
    }

    /// Demands that every step works.
    #[track_caller]
    fn works(&self, lines: &[&str]) {
        let wrong = |line: &&&str| self.tries(line).iter().any(Reply::is_error);
        let failed: Vec<String> =
            lines.iter().filter(wrong).map(|line| format!("{line}: {:?}", self.tries(line))).collect();
        assert!(failed.is_empty(), "{} cannot work:\n{}", self.name, failed.join("\n"));
    }
}

#[test]
fn every_attempt_to_cross_is_denied_and_would_work_for_the_admin() {
    let world = World::new();
    let newest = world.is_newest();
    let mut attempts: Vec<(&str, &str)> = CROSSINGS.iter().map(|attempt| (*attempt, "")).collect();
    attempts.extend(IMPOSSIBLE);
    attempts.extend(CONFINED.iter().filter(|_| newest).map(|attempt| (*attempt, "")));
    attempts.extend(NEWER.iter().filter(|attempt| newest || world.proves_something(attempt).is_ok()));
    world.seed(&mut world.admin());
    for name in ["mail", "queue", "look", "desk"] {
        // The reader may read its neighbour, which is another test's.
        let readable = |attempt: &str| name == "desk" && (attempt.contains("your:") || attempt.contains("@mail-x"));
        let attempts = attempts.iter().map(|(attempt, _)| *attempt).filter(|attempt| !readable(attempt));
        world.app(name).is_denied(&attempts.collect::<Vec<_>>());
    }
    let invalid: Vec<String> = attempts.iter().filter_map(|attempt| world.proves_something(attempt).err()).collect();
    assert!(invalid.is_empty(), "attempts that prove nothing:\n{}", invalid.join("\n"));
}

#[test]
fn daily_work_passes() {
    let world = World::new();
    for name in ["mail", "queue", "desk"] {
        world.app(name).works(DAILY_WORK);
    }
    let mail = world.app("mail");
    let big = "x".repeat(5_000_000);
    let mut wire = mail.sign_in();
    let key = world.fill("my:big", "mail", "mail-x");
    assert!(!wire.say(&["SET", &key, &big]).is_error());
    assert_eq!(wire.say(&["GET", &key]).text(), big);
    // A pop that waits is woken by a push, and a message reaches who listens.
    let mut waits = world.app("mail").sign_in();
    waits.send(&words(&world.fill("BLMOVE my:todo my:doing LEFT RIGHT 10", "mail", "mail-x")));
    let mut listens = world.app("mail").sign_in();
    listens.run(&world.fill("PSUBSCRIBE my:*", "mail", "mail-x"));
    assert!(!wire.run(&world.fill("RPUSH my:todo job", "mail", "mail-x")).is_error());
    assert_eq!(waits.reply(), Reply::Text("job".to_owned()));
    wire.run(&world.fill("PUBLISH my:news hello", "mail", "mail-x"));
    assert_eq!(listens.reply().many().last(), Some(&Reply::Text("hello".to_owned())));
}

#[test]
fn one_who_only_reads_reads_all_and_writes_nothing() {
    let world = World::new();
    let look = world.app("look");
    look.works(READS);
    look.is_denied(WRITES);
    look.is_denied(&["PUBLISH my:news x", "SPUBLISH my:news x"]);
    look.works(&["SUBSCRIBE my:news", "PSUBSCRIBE my:*", "SSUBSCRIBE my:news"]);
    let invalid: Vec<_> = WRITES.iter().filter(|write| world.as_admin(write).is_error()).collect();
    // The admin may not write by EVAL_RO either.
    assert!(matches!(invalid.as_slice(), [only] if only.starts_with("EVAL_RO")), "{invalid:?}");
}

#[test]
fn a_reader_of_another_app_reads_it_all_and_writes_nothing_there() {
    let world = World::new();
    let guest = App { namespace: "mail-x", ..world.app("desk") };
    guest.works(READS);
    guest.is_denied(WRITES.split_last().expect("writes").1);
    // Neither is it told, nor does what it reads become its own on the way.
    guest.is_denied(&["SUBSCRIBE my:news", "PSUBSCRIBE my:*", "PUBLISH my:news x"]);
    world.app("desk").is_denied(&["COPY your:k my:new", "RENAME your:k my:new", "SUNIONSTORE my:new your:s"]);
    App { namespace: "mail", ..world.app("desk") }.is_denied(&["GET my:k", "DUMP my:k", "SUNION my:s my:s"]);
    world.app("mail").is_denied(&["GET @desk:k"]);
}

#[test]
fn a_queue_has_the_channels_of_celerys_workers_and_no_others() {
    let world = World::new();
    let queue = world.app("queue");
    queue.works(&[
        "PSUBSCRIBE my:/0.celeryev/worker.*",
        "PSUBSCRIBE my:/0.celeryev/*",
        "SUBSCRIBE my:/0.celery.pidbox",
        "PUBLISH my:/0.celery.pidbox x",
    ]);
    queue.is_denied(&[
        "PSUBSCRIBE /0.celeryev/worker.*",
        "PSUBSCRIBE /0.celeryev/*",
        "SUBSCRIBE your:/0.celery.pidbox",
    ]);
    world.app("mail").is_denied(&["PSUBSCRIBE my:/0.celeryev/worker.*"]);
}

#[test]
fn a_transaction_with_one_crossing_does_nothing() {
    let world = World::new();
    let answers = world.app("mail").tries("MULTI ; SET my:k smuggled ; SET your:k smuggled ; EXEC");
    assert!(answers.last().expect("an answer").text().starts_with("EXECABORT"), "{answers:?}");
    assert_eq!(world.app("mail").tries("GET my:k"), [Reply::Text("v".to_owned())]);
    // Rights are those of the moment: what is taken away while it is queued is not carried out.
    let mut wire = world.app("mail").sign_in();
    wire.run("MULTI");
    wire.run(&world.fill("SET my:k late", "mail", "mail-x"));
    assert!(!world.admin().run(&world.fill("ACL SETUSER @mail -set", "", "")).is_error());
    let answer = wire.run("EXEC");
    assert!(answer.many().iter().all(Reply::is_denied) && answer != Reply::Nothing, "{answer:?}");
    world.workspace.converge();
}

#[test]
fn nobody_becomes_somebody_else() {
    let world = World::new();
    let mail = world.app("mail");
    let mut wire = mail.sign_in();
    for attempt in ["AUTH @mail-x", "AUTH default", "HELLO 3 AUTH @mail-x", "HELLO 2 AUTH default", "AUTH @nobody"] {
        let attempt = format!("{} {}", world.fill(attempt, "", ""), mail.password());
        let answer = wire.run(&attempt);
        assert!(answer.text().starts_with("WRONGPASS"), "{attempt}: {answer:?}");
        assert_eq!(wire.run("ACL WHOAMI"), Reply::Text(world.fill("@mail", "", "")));
    }
    wire.run("RESET");
    let answer = wire.run(&world.fill("GET your:k", "mail", "mail-x"));
    assert!(answer.text().starts_with("NOAUTH"), "{answer:?}");
}

#[test]
fn in_a_cluster_hash_tags_are_its_own_too_and_slots_tell_nothing() {
    let world = World::in_a_cluster();
    let mail = world.app("mail");
    mail.works(&[
        "MSET {@mail}:a 1 {@mail}:b 2 ; SUNIONSTORE {@mail}:c {@mail}:d {@mail}:e ; DEL {@mail}:a {@mail}:b",
        "SET my:k 1 ; GET my:k",
        "SPUBLISH my:news x ; CLUSTER SLOTS ; CLUSTER SHARDS ; CLUSTER NODES ; CLUSTER INFO ; CLUSTER KEYSLOT x",
    ]);
    let mut crossings = vec![
        "GET your:k",
        "GET {@mail-x}:k",
        "SET {@mail}x:k 1",
        "SET x{@mail}:k 1",
        "SET {@mail}{your:k} 1",
        "SET @{mail}:k 1",
        "MGET {@mail}:k {@mail}x:k",
        "EVAL «#!lua flags=allow-cross-slot-keys\\x0areturn redis.call('GET', 'your:k')» 0",
        "EVAL «#!lua flags=allow-cross-slot-keys\\x0areturn redis.call('GET', ARGV[1])» 1 my:k {@mail-x}:k",
        "SPUBLISH {@mail-x}:news x",
        "SSUBSCRIBE your:news",
        "CLUSTER COUNTKEYSINSLOT 0",
        "CLUSTER GETKEYSINSLOT 0 9",
        "CLUSTER RESET HARD",
        "CLUSTER FLUSHSLOTS",
        "CLUSTER SETSLOT 0 STABLE",
        "CLUSTER DELSLOTS 0",
        "CLUSTER LINKS",
        "CLUSTER SAVECONFIG",
        "SCAN 0",
        "KEYS {@mail}:*",
    ];
    if world.is_newest() {
        crossings.extend(["CLUSTERSCAN 0", "CLUSTER SLOT-STATS SLOTSRANGE 0 9"]);
    }
    mail.is_denied(&crossings);
}

/// What all apps share is sums: no name of another's is in them.
#[test]
fn what_is_told_of_the_server_names_nobody() {
    let world = World::new();
    let mut neighbour = world.app("mail-x").sign_in();
    let daily = world.fill("CLIENT SETNAME your:worker ; SUBSCRIBE your:news", "mail", "mail-x");
    assert!(daily.split(" ; ").all(|step| !neighbour.run(step).is_error()));
    world.app("mail-x").tries("EVAL «return redis.call('GET', 'my:k')» 0 ; GET your:k ; NONE my:k ; CLIENT NONE my:k");
    let told =
        world.app("mail").tries("INFO everything ; CLIENT INFO ; CLIENT TRACKINGINFO ; PUBSUB NUMPAT ; COMMAND LIST");
    let told = format!("{told:?}");
    assert!(told.contains("db0:keys=") && !told.contains(&world.fill("@mail-x", "", "")), "{told}");
}

/// Scripts of all apps run in one interpreter: none may leave anything in it for the next.
#[test]
fn scripts_leave_nothing_for_those_of_others() {
    let world = World::new();
    let victim = "EVAL «return tostring(leak) .. tostring(('').leak) .. tostring(redis.leak) .. tostring(_G.leak)» 0";
    for attempt in [
        "leak = 1",
        "_G.leak = 1",
        "rawset(_G, 'leak', 1)",
        "redis.leak = 1",
        "getmetatable('').__index = function() return 1 end",
        "getmetatable('').__index.leak = 1",
        "string.leak = 1",
        "setmetatable(_G, {__index = function() return 1 end})",
        "getmetatable(_G).__index = function() return 1 end",
        "getfenv(0).leak = 1",
        "loadstring('leak = 1')()",
    ] {
        world.app("mail").tries(&format!("EVAL «{attempt}» 0"));
        let answers = world.app("mail-x").tries(victim);
        let clean = |answer: &Reply| answer.text() == "nilnilnilnil" || answer.text().contains("nonexistent global");
        assert!(answers.iter().all(clean), "{attempt}: {answers:?}");
    }
}

#[test]
fn no_command_of_the_server_takes_a_key_of_another_app() {
    let world = World::new();
    let mut admin = world.admin();
    let calls = all_calls(&mut admin);
    let keyed = || calls.iter().filter(|call| call.key.is_some());
    assert!(keyed().count() > 200, "{}", keyed().count());
    for (app, least) in [("mail", 150), ("queue", 150), ("look", 70)] {
        let user = world.fill(&format!("@{app}"), "", "");
        let (own, foreign) = (format!("{user}:k"), format!("{user}-x:k"));
        let allowed = keyed().filter(|call| call.dryrun(&mut admin, &user, &own) == "OK").count();
        assert!(allowed > least, "{app}: {allowed}");
        let through = keyed().filter(|call| call.dryrun(&mut admin, &user, &foreign) == "OK");
        let through: Vec<_> = through.map(|call| call.words.join(" ")).collect();
        assert!(through.is_empty(), "{app}: {through:?}");
    }
}

/// What an app may do that names no key was looked at, one by one; a server that brings more has to be looked at again.
#[test]
fn of_what_takes_no_key_an_app_has_what_is_known_to_be_harmless() {
    let world = World::new();
    let mut admin = world.admin();
    let calls = all_calls(&mut admin);
    for app in ["mail", "queue", "look", "desk"] {
        let user = world.fill(&format!("@{app}"), "", "");
        let keyless = calls.iter().filter(|call| call.key.is_none());
        let allowed = keyless.filter(|call| call.dryrun(&mut admin, &user, "") == "OK");
        let names: Vec<String> = allowed.map(|call| call.words.join(" ")).collect();
        let unknown: Vec<_> = names.iter().filter(|name| !HARMLESS.contains(&name.trim_end_matches(" 1"))).collect();
        assert!(unknown.is_empty(), "{app}: {unknown:?}");
        assert!(names.len() > 20, "{names:?}");
    }
    // Whoever asks for what `readwrite` takes away is told what it opens.
    let user = world.fill("@mail", "", "");
    let mut may: BTreeMap<&str, bool> = BTreeMap::new();
    for call in &calls {
        *may.entry(&call.name).or_default() |= !call.dryrun(&mut admin, &user, "").contains(" to run the ");
    }
    let taken: BTreeSet<&str> = may.into_iter().filter(|(_, may)| !may).map(|(name, _)| name).collect();
    let is_harmless = |name: &str| TAKEN_AND_HARMLESS.iter().any(|(harmless, _)| *harmless == name);
    let unknown: Vec<_> = taken
        .iter()
        .filter(|name| !dangers::leads_beyond(name) && !is_harmless(name) && !name.ends_with("|help"))
        .collect();
    assert!(unknown.is_empty() && taken.len() > 100, "{unknown:?} {}", taken.len());
    let listed_twice: Vec<_> = TAKEN_AND_HARMLESS.iter().filter(|(name, _)| dangers::leads_beyond(name)).collect();
    assert!(listed_twice.is_empty(), "{listed_twice:?}");
}

/// Whoever could make users once may have left doors open under names that are hard to see.
#[test]
fn odd_names_of_users_hide_nothing_and_stop_nothing() {
    let server = OwnValkey::start();
    let mut here = Workspace::new();
    server.serve(&mut here);
    here.spec("mail", "app = \"@mail\"\n[services.kv]\n");
    let mut admin = Wire::sign_in(server.port, "default", PASSWORD);
    for user in [
        "\\xfe on nopass ~* &* +@all",
        "\\xff on >x ~nothing -@all",
        "\\xef\\xbf\\xbd on nopass ~[^\\xff]* -@all +get",
        "\\x1b[8mdark on nopass ~* &* +@all",
        "( on nopass ~* -@all +get",
    ] {
        assert!(!admin.run(&format!("ACL SETUSER {user}")).is_error(), "{user}");
    }
    for number in 0..200 {
        admin.run(&format!(
            "ACL SETUSER many (~{number}*a*b*{number}*c* -@all +get) (~*{number}????????????* -@all +set)"
        ));
    }
    here.converge();
    let planned = here.run(&["plan"]).exits(0);
    planned
        .says("\u{FFFD}fe")
        .says("\u{FFFD}ef\u{FFFD}bf\u{FFFD}bd")
        .says("dark")
        .hides("\u{1b}[8m")
        .hides("\u{FFFD}ff");
    here.run(&["doctor"]).hides("\u{1b}[8m");
    // What an app's user got by hand is taken away again, however much it is, and told in a few lines.
    let user = format!("{}mail", here.prefix);
    for number in 0..100 {
        admin.run(&format!(
            "ACL SETUSER {user} (~*{number}????????????* -@all +get) ~*{number}*a*b*a*b*a*b*a*b*{number}"
        ));
    }
    here.run(&["plan"]).exits(0).flat().says("do what 95 more selectors say");
    here.converge();
}
