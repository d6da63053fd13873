//! What servers themselves know of being written to: their counters, logs and files.

use super::own_kafka::OwnKafka;
use super::own_postgres::OwnPostgres;
use super::own_valkey::OwnValkey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What every statement of a session that only looks begins with.
const LOOKING: [&str; 9] = ["SELECT", "WITH", "SHOW", "BEGIN", "COMMIT", "ROLLBACK", "SET", "DISCARD", "DEALLOCATE"];

/// Has a server log every statement, and do nothing by itself that counts as a transaction that writes.
pub fn watch_postgres(server: &OwnPostgres) {
    server.run(
        "postgres",
        "ALTER SYSTEM SET log_statement = 'all'; ALTER SYSTEM SET log_line_prefix = '%a|'; ALTER SYSTEM SET autovacuum = off",
    );
    server.reload();
}

/// What three servers know of having been written to.
#[derive(Debug, PartialEq, Eq)]
pub struct Witness {
    /// The number of PostgreSQL's next transaction: one that only reads gets none.
    transaction: String,
    /// How often each command of Valkey was called that writes, or changes users or settings.
    writes: BTreeMap<String, u64>,
    /// Changes to Valkey's data since its last save.
    dirty: String,
    aclfile: (Vec<u8>, SystemTime),
    /// The records of Kafka's metadata: topics, configs, users and ACLs, each change of one.
    metadata: BTreeMap<PathBuf, Vec<u8>>,
}

impl Witness {
    pub fn of(postgres: &OwnPostgres, valkey: &OwnValkey, kafka: &OwnKafka) -> Self {
        let aclfile = valkey.home().join("acl/users.acl");
        let written = std::fs::metadata(&aclfile).expect("the aclfile").modified().expect("a time");
        Self {
            transaction: postgres
                .value("postgres", "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
                .expect("a number"),
            writes: writes(valkey),
            dirty: field(&info(valkey, "persistence"), "rdb_changes_since_last_save:"),
            aclfile: (std::fs::read(&aclfile).expect("the aclfile"), written),
            metadata: records(&kafka.home().join("1/data")),
        }
    }

    /// Whether every server was written to in between.
    pub fn all_differ(&self, later: &Self) -> bool {
        self.transaction != later.transaction
            && self.writes != later.writes
            && self.aclfile != later.aclfile
            && self.metadata != later.metadata
    }
}

/// What nornplan has told PostgreSQL since its log was so long, but for what only looks.
pub fn written_statements(postgres: &OwnPostgres, since: usize) -> Vec<String> {
    let log = postgres.log();
    let lines = log.get(since..).unwrap_or_default().lines().filter_map(|line| line.strip_prefix("nornplan|"));
    // `execute <name>: ` is how a statement is told that was prepared.
    let said: Vec<&str> = lines
        .filter_map(|line| match line.split_once("LOG:  statement: ") {
            Some((_, text)) => Some(text),
            None => Some(line.split_once("LOG:  execute ")?.1.split_once(": ")?.1),
        })
        .collect();
    assert!(!said.is_empty(), "the log has no statement of nornplan's: {log}");
    said.into_iter()
        .flat_map(|text| text.split(';').map(str::trim).map(str::to_owned).collect::<Vec<_>>())
        .filter(|text| !text.is_empty() && !LOOKING.iter().any(|word| text.to_ascii_uppercase().starts_with(word)))
        .collect()
}

fn info(valkey: &OwnValkey, section: &str) -> String {
    valkey.run(&["INFO", section]).into_string().expect("a text")
}

fn field(info: &str, name: &str) -> String {
    info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
}

fn writes(valkey: &OwnValkey) -> BTreeMap<String, u64> {
    const OTHERS: [&str; 14] = [
        "acl|setuser",
        "acl|deluser",
        "acl|save",
        "acl|load",
        "acl|log",
        "config|set",
        "config|rewrite",
        "config|resetstat",
        "save",
        "bgsave",
        "bgrewriteaof",
        "replicaof",
        "slaveof",
        "module|load",
    ];
    let writing = valkey.run(&["ACL", "CAT", "write"]).into_array();
    let writing: BTreeSet<String> = writing.into_iter().filter_map(|name| name.into_string()).collect();
    assert!(writing.contains("set") && writing.contains("unlink"), "{writing:?}");
    let stats = info(valkey, "commandstats");
    let counts = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let name = name.to_ascii_lowercase();
        let is_write = writing.contains(&name) || OTHERS.contains(&name.as_str());
        is_write.then(|| Some((name, rest.split(',').next()?.parse().ok()?)))?
    });
    counts.collect()
}

/// The logs of the metadata, which grow with each record.
fn records(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let directory = data.join("__cluster_metadata-0");
    let files = std::fs::read_dir(&directory).expect("the metadata").map(|entry| entry.expect("a file").path());
    let logs = files.filter(|path| path.extension().is_some_and(|end| end == "log"));
    let found: BTreeMap<PathBuf, Vec<u8>> =
        logs.map(|path| (path.clone(), std::fs::read(&path).expect("records"))).collect();
    assert!(!found.is_empty());
    found
}
