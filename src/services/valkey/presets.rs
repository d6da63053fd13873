//! What the plain words of an infraspec mean as rules on a given server. Pure.
//!
//! The rule sets were attacked on Redis 7.0, Valkey 8.1 and Valkey 9.1: an app sees its own keys and channels, and
//! nothing tells it of the others'. What remains shared: statistics of `INFO`, `PUBSUB NUMSUB`, the processor, memory.

use super::acl::{Catalogue, Rules};
use super::model::{Access, User};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What rules depend on, as one node was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `Valkey` or `Redis`.
    pub product: String,
    pub version: String,
    /// Whether it knows `db=` (Valkey 9).
    pub database_rules: bool,
    pub cluster: bool,
    /// It keeps no data, and knows where the primary is.
    #[serde(default)]
    pub sentinel: bool,
    /// Clients find it through sentinels.
    #[serde(default)]
    pub behind_sentinels: bool,
    pub catalogue: Catalogue,
    /// Where `ACL SAVE` writes to; none if no aclfile is configured.
    pub aclfile: Option<String>,
    /// Where `CONFIG REWRITE` writes to.
    pub config_file: Option<String>,
    /// Whether it keeps its settings to itself: without them it is not known where users are saved.
    #[serde(default)]
    pub settings_unread: bool,
    /// The user that nornplan signs in as.
    pub admin: String,
    /// Commands that it needs and may not run.
    #[serde(default)]
    pub lacking: BTreeSet<String>,
    /// How many databases it has; unknown where it does not say.
    #[serde(default)]
    pub databases: Option<u32>,
    /// Whether the workspace refuses rules that open more than an app's own.
    #[serde(default)]
    pub strict: bool,
}

/// How users outlive a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// `ACL SAVE`. `CONFIG REWRITE` would answer OK and save no user.
    AclFile,
    /// `CONFIG REWRITE`.
    ConfigFile,
    /// Not at all.
    Volatile,
    /// The server does not say.
    Unknown,
}

impl Server {
    pub fn persistence(&self) -> Persistence {
        match (&self.aclfile, &self.config_file) {
            (None, _) if self.settings_unread => Persistence::Unknown,
            (Some(_), _) => Persistence::AclFile,
            (None, Some(_)) => Persistence::ConfigFile,
            (None, None) => Persistence::Volatile,
        }
    }

    /// Product and version, for people.
    pub fn describe(&self) -> String {
        format!("{} {}", self.product, self.version)
    }

    /// Leaves out what the server does not know: an unknown name is a hard error there.
    fn adapt(&self, rules: &str) -> Vec<String> {
        let known = |rule: &&str| {
            let name = rule.trim_start_matches(['+', '-']);
            match name.strip_prefix('@') {
                Some(category) => !OF_MODULES.contains(&category) || self.catalogue.has_category(category),
                None => self.catalogue.knows(name),
            }
        };
        rules.split_ascii_whitespace().filter(known).map(str::to_owned).collect()
    }

    /// Confines rules to one database: by a rule of its own, else by the argument of SELECT.
    fn confine(&self, rules: &mut Rules, db: u32) {
        if self.database_rules {
            rules.databases = Some(format!("db={db}"));
        } else {
            rules.commands.extend(["-move".to_owned(), "-select".to_owned(), format!("+select|{db}")]);
        }
    }
}

/// Categories of modules: few servers have them, and their commands find keys by what is in them, not by name.
const OF_MODULES: [&str; 2] = ["search", "timeseries"];

/// Without PFMERGE: with no source, servers look up no key of it at all, and let it make any (`PFMERGE another-app:key`).
const READWRITE: &str = "+@string +@hash +@list +@set +@sortedset +@stream +@bitmap +@hyperloglog +@geo +@keyspace \
    +@transaction +@connection +@pubsub -@dangerous -scan -randomkey -dbsize -clusterscan -client|tracking \
    -client|import-source -pfmerge -pubsub|channels -pubsub|shardchannels +eval +eval_ro +evalsha +evalsha_ro +script|load \
    +script|exists +info +time +acl|whoami +memory|usage +sort +sort_ro +cluster|slots +cluster|shards +cluster|nodes \
    +cluster|info +cluster|keyslot";

/// Nothing that readwrite does not have: to become a reader is to lose rights alone.
const READONLY: &str = "+@read +@connection +@transaction -@dangerous -lolwut -@search -@timeseries -scan -randomkey -dbsize \
    -clusterscan -client|tracking -client|import-source +subscribe +unsubscribe +psubscribe +punsubscribe +ssubscribe \
    +sunsubscribe +eval_ro +evalsha_ro +sort_ro +info +time +acl|whoami +cluster|slots +cluster|shards +cluster|nodes \
    +cluster|info +cluster|keyslot";

/// What clients call a sentinel for; redis-py asks for all services and takes its own, by the old names.
const ASKING_A_SENTINEL: &str = "+auth +hello +ping +role +command +client|getname +client|id +client|setname \
    +client|setinfo +sentinel|get-master-addr-by-name +sentinel|get-primary-addr-by-name +sentinel|master \
    +sentinel|primary +sentinel|masters +sentinel|primaries +sentinel|replicas +sentinel|slaves +sentinel|sentinels \
    +sentinel|myid +subscribe +unsubscribe +psubscribe +punsubscribe";

/// Channels of Celery's workers, and of what watches all of their events (`celery events`, Flower), after `/` and the
/// number of the database. A pattern that one listens to must be one of these literally.
const QUEUE_CHANNELS: [&str; 3] = [".celeryev/worker.*", ".celeryev/*", ".celery.pidbox"];

/// The channels of a job queue, by what they begin with.
pub fn queue_channels(prefix: &str, db: u32) -> [String; 3] {
    QUEUE_CHANNELS.map(|channel| format!("{prefix}/{db}{channel}"))
}

/// What acts on all keys of one database, which is harmless where an app has it as a whole.
const ON_ONE_DATABASE: &str = "+scan +randomkey +dbsize";

/// The command rules of every preset.
#[cfg(test)]
pub fn all() -> [&'static str; 2] {
    [READWRITE, READONLY]
}

/// Fills in the rules that a declared user means on a server. What declares nothing is returned as it is.
pub fn expand(user: &User, server: &Server) -> User {
    Expansion::on(server).of(user)
}

/// What the command rules of a user follow from, on one server.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    access: Access,
    whole_database: Option<bool>,
    db: u32,
    more_commands: Option<Vec<String>>,
}

/// Expands many users: those that are declared in one way share their command rules.
pub struct Expansion<'a> {
    server: &'a Server,
    commands: RefCell<BTreeMap<Form, Arc<Vec<String>>>>,
}

impl<'a> Expansion<'a> {
    pub fn on(server: &'a Server) -> Self {
        Self { server, commands: RefCell::default() }
    }

    /// The user with its rules filled in. What declares nothing is returned as it is.
    pub fn of(&self, user: &User) -> User {
        let Some(access) = user.access else { return user.clone() };
        let server = self.server;
        if server.sentinel {
            return asking(user, server);
        }
        let (mode, commands) = match access {
            Access::Readwrite | Access::Queue => ("~", READWRITE),
            Access::Readonly => ("%R~", READONLY),
        };
        let db = user.db.unwrap_or_default();
        let more_commands = user.more_commands.clone();
        let form = Form { access, whole_database: user.whole_database, db, more_commands };
        let known = self.commands.borrow().get(&form).cloned();
        let mut rules = Rules::none(server.database_rules);
        if known.is_none() {
            rules.commands.extend(server.adapt(commands));
        }
        let prefix = if user.whole_database == Some(true) {
            rules.take_database(mode, server);
            String::new()
        } else {
            let Some(namespace) = &user.namespace else { return user.clone() };
            rules.keys = key_patterns(mode, namespace, server);
            rules.channels = BTreeSet::from([format!("&{namespace}:*")]);
            format!("{namespace}:")
        };
        if access == Access::Queue {
            rules.channels.extend(queue_channels(&prefix, db).map(|channel| format!("&{channel}")));
        }
        if server.behind_sentinels {
            // Clients make sure that the sentinels are right (redis-rb, redis-rs, StackExchange.Redis); INFO says the same.
            rules.commands.extend(server.adapt("+role"));
        }
        server.confine(&mut rules, db);
        let more = [&user.more_keys, &user.more_channels].into_iter().flatten().flatten();
        rules.add(more.chain(user.more_commands.iter().flatten()).map(String::as_str));
        let namespaces = user.reads.iter().flatten().map(|(namespace, db)| reading(namespace, *db, server));
        let databases = user.reads_databases.iter().flatten().filter_map(|db| reading_all(*db, server));
        let selectors = namespaces.chain(databases).map(|rules| rules.selector());
        let commands = known.unwrap_or_else(|| {
            let commands = Arc::new(rules.commands);
            self.commands.borrow_mut().insert(form, commands.clone());
            commands
        });
        User {
            selectors: Some(selectors.collect()),
            keys: Some(rules.keys),
            channels: Some(rules.channels),
            databases: rules.databases,
            commands: Some(commands),
            ..user.clone()
        }
    }
}

/// What any app may do on a sentinel. Its channels tell of nodes that go and come, and clients listen to all of them.
fn asking(user: &User, server: &Server) -> User {
    let mut rules = Rules::none(server.database_rules);
    rules.channels = BTreeSet::from(["&*".to_owned()]);
    rules.commands.extend(server.adapt(ASKING_A_SENTINEL));
    User {
        selectors: Some(BTreeSet::new()),
        keys: Some(rules.keys),
        channels: Some(rules.channels),
        databases: rules.databases,
        commands: Some(Arc::new(rules.commands)),
        ..user.clone()
    }
}

/// What a reader may do in another app's namespace. Its channels stay closed: messages are not read, but taken part in.
fn reading(namespace: &str, db: u32, server: &Server) -> Rules {
    let mut rules = Rules::none(server.database_rules);
    rules.keys = key_patterns("%R~", namespace, server);
    rules.commands.extend(server.adapt(READONLY));
    server.confine(&mut rules, db);
    rules
}

/// The same for an app that has a whole database; nothing where the server cannot confine it to that.
fn reading_all(db: u32, server: &Server) -> Option<Rules> {
    let mut rules = Rules::none(server.database_rules);
    rules.commands.extend(server.adapt(READONLY));
    rules.take_database("%R~", server);
    server.confine(&mut rules, db);
    server.database_rules.then_some(rules)
}

impl Rules {
    /// All keys of the database that the rules are confined to: none where the server cannot confine them. Its channels
    /// stay closed, as they are those of all databases.
    fn take_database(&mut self, mode: &str, server: &Server) {
        if server.database_rules {
            self.keys = BTreeSet::from([format!("{mode}*")]);
            self.commands.extend(server.adapt(ON_ONE_DATABASE));
        }
    }
}

/// In a cluster, keys that must lie together carry the namespace as their hash tag.
fn key_patterns(mode: &str, namespace: &str, server: &Server) -> BTreeSet<String> {
    let mut patterns = BTreeSet::from([format!("{mode}{namespace}:*")]);
    if server.cluster {
        patterns.insert(format!("{mode}{{{namespace}}}:*"));
    }
    patterns
}

#[cfg(test)]
#[path = "presets_tests.rs"]
mod tests;
