//! What the folders promise: the core is pure, models and differs know no IO, `unsafe` has one home, files are short.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every Rust file below a directory: its path from the repository's root, and its text.
fn sources(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.join(directory)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(path.read_dir().expect("a directory").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned();
            found.push((name, std::fs::read_to_string(&path).expect("a file")));
        }
    }
    assert!(!found.is_empty(), "{directory}");
    found.sort();
    found
}

/// What a file imports, and every path that it names in full, without its tests.
fn names<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = &'a str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).filter(move |line| line.contains(what))
}

const EFFECTS: [&str; 12] = [
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::io",
    "std::time",
    "SystemTime",
    "Instant",
    "tokio",
    "async ",
    "sqlx",
    "rdkafka",
];

#[test]
fn the_core_is_pure_and_knows_no_service() {
    for (file, text) in sources("src/core") {
        for effect in EFFECTS {
            assert_eq!(names(&text, effect).next(), None, "{file} has an effect");
        }
        assert!(
            names(&text, "crate::").all(|line| line.contains("crate::core")),
            "{file} imports from outside the core"
        );
    }
}

/// Whether a file is a service's model or differ, or lies in the folder of one.
fn is_part(file: &str, part: &str) -> bool {
    (file.ends_with(&format!("/{part}.rs")) || file.contains(&format!("/{part}/"))) && !file.ends_with("tests.rs")
}

#[test]
fn models_and_differs_import_only_what_is_pure() {
    let all: Vec<_> = sources("src/services").into_iter().chain(sources("src/secrets")).collect();
    for (part, allowed) in [
        ("model", &["crate::core"][..]),
        (
            "diff",
            &[
                "crate::core",
                "crate::services::{",
                "crate::services::Model;",
                "crate::services::Step",
                "crate::services::Observation",
                "crate::secrets::model",
                "::model::",
                "::server::",
                "::acl::",
                "::authorizer::",
                "::dangers::",
                "::presets::",
                "::rights",
                "::possible::",
                "::place::",
                "::powers::",
                "::configs::",
            ],
        ),
    ] {
        let mut services = BTreeSet::new();
        for (file, text) in all.iter().filter(|(file, _)| is_part(file, part)) {
            services.insert(file.split(&format!("/{part}")).next().unwrap_or_default());
            for effect in EFFECTS {
                assert_eq!(names(text, effect).next(), None, "{file} has an effect");
            }
            for line in names(text, "crate::") {
                assert!(allowed.iter().any(|allowed| line.contains(allowed)), "{file}: {line}");
            }
        }
        assert_eq!(services.len(), 4, "four services have a {part}: {services:?}");
    }
}

/// Files and folders of services that have no effect, beside their models and differs.
const PURE: [&str; 30] = [
    "kafka/acl/",
    "kafka/configs/",
    "kafka/desired/",
    "kafka/observe/remembered.rs",
    "kafka/observe/ways_in.rs",
    "kafka/redpanda/facts.rs",
    "kafka/redpanda/redirect.rs",
    "kafka/redpanda/refusal.rs",
    "kafka/server.rs",
    "postgres/desired.rs",
    "postgres/scope.rs",
    "postgres/server.rs",
    "postgres/shape/",
    "postgres/sql/",
    "postgres/observe/access.rs",
    "postgres/observe/closed.rs",
    "postgres/observe/database.rs",
    "postgres/observe/roles.rs",
    "postgres/observe/strays.rs",
    "valkey/acl/",
    "valkey/dangers.rs",
    "valkey/desired.rs",
    "valkey/everybody.rs",
    "valkey/place.rs",
    "valkey/possible.rs",
    "valkey/powers.rs",
    "valkey/presets.rs",
    "valkey/rights.rs",
    "valkey/strangers.rs",
    "valkey/unsaved.rs",
];

#[test]
fn what_decides_and_what_words_statements_has_no_effect() {
    for part in PURE {
        let mut seen = 0;
        for (file, text) in sources("src/services") {
            if !file.starts_with(&format!("src/services/{part}")) {
                continue;
            }
            seen += 1;
            for effect in EFFECTS {
                assert_eq!(names(&text, effect).next(), None, "{file} has an effect");
            }
        }
        assert!(seen > 0, "there is no {part}");
    }
}

#[test]
fn what_decides_about_states_has_no_effect() {
    for file in [
        "src/sharing.rs",
        "src/scope.rs",
        "src/spec/neighbour.rs",
        "src/state/document.rs",
        "src/state/format.rs",
        "src/state/leftover.rs",
    ] {
        let (_, text) = sources(file).pop().unwrap();
        for effect in EFFECTS {
            assert_eq!(names(&text, effect).next(), None, "{file} has an effect");
        }
    }
}

/// Data flow one way: what each folder of PostgreSQL must not know.
const LATER: [(&str, &[&str]); 6] = [
    ("model", &["catalog", "observe", "shape", "diff", "apply", "sql", "connect", "scope", "server"]),
    ("catalog", &["observe", "shape", "diff", "apply", "sql"]),
    ("observe", &["diff", "apply", "sql"]),
    ("shape", &["catalog", "observe", "diff", "apply", "sql", "connect"]),
    ("diff", &["catalog", "observe", "apply", "sql", "connect"]),
    ("sql", &["diff", "apply", "connect"]),
];

/// The same for Valkey.
const LATER_OF_VALKEY: [(&str, &[&str]); 4] = [
    ("model", &["acl", "connect", "observe", "examine", "diff", "apply"]),
    ("acl", &["connect", "observe", "examine", "diff", "apply"]),
    ("observe", &["examine", "diff", "apply"]),
    ("diff", &["connect", "observe", "examine", "apply"]),
];

/// And for Kafka.
const LATER_OF_KAFKA: [(&str, &[&str]); 7] = [
    ("configs", &["model", "admin", "client", "desired", "observe", "examine", "diff", "apply"]),
    ("model", &["admin", "client", "desired", "observe", "examine", "diff", "apply"]),
    ("desired", &["admin", "client", "observe", "examine", "diff", "apply"]),
    ("client", &["observe", "examine", "diff", "apply"]),
    ("redpanda", &["admin", "client", "desired", "observe", "examine", "diff", "apply"]),
    ("observe", &["examine", "diff", "apply"]),
    ("diff", &["admin", "client", "observe", "examine", "apply"]),
];

#[test]
fn data_flow_one_way_through_each_service() {
    flow_one_way("postgres", &LATER);
    flow_one_way("valkey", &LATER_OF_VALKEY);
    flow_one_way("kafka", &LATER_OF_KAFKA);
}

fn flow_one_way(service: &str, all: &[(&str, &[&str])]) {
    for (part, later) in all {
        let folder = format!("src/services/{service}/{part}/");
        let files: Vec<_> = sources(&format!("src/services/{service}"))
            .into_iter()
            .filter(|(file, _)| file.starts_with(&folder))
            .collect();
        assert!(!files.is_empty(), "there is no {folder}");
        for (file, text) in files {
            for name in *later {
                let known = [format!("{service}::{name}::"), format!("super::{name}::"), format!("super::{name};")];
                // A folder has files of such names itself.
                let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder).join(format!("{name}.rs")).exists();
                for path in known.iter().filter(|path| !(own && path.starts_with("super"))) {
                    assert_eq!(names(&text, path).next(), None, "{file} knows {name}");
                }
            }
        }
    }
}

/// What changes something durably. Files of people's own (`init`, `--out`) are none of it.
const CHANGES: [&str; 12] = [
    "raw_sql(",
    "try_all::",
    "fs::rename",
    "fs::remove_file",
    ".persist(",
    ".sync_all(",
    ".sync_data(",
    "given_to(sys::rd_kafka_Create",
    "given_to(sys::rd_kafka_Delete",
    "given_to(sys::rd_kafka_Alter",
    "given_to(sys::rd_kafka_IncrementalAlter",
    ".follow(&leader",
];

/// Questions in a form in which changes are written, too. What `write.rs` changes is committed between boundaries by
/// `session.rs`.
const ASKS: [&str; 2] = ["src/services/postgres/connect/plain.rs", "src/state/postgres/write.rs"];

#[test]
fn what_changes_something_stands_between_boundaries() {
    let mut found = 0;
    let writes = |file: &str| !file.ends_with("tests.rs") && !ASKS.contains(&file);
    for (file, text) in sources("src").into_iter().filter(|(file, _)| writes(file)) {
        let changes = CHANGES.iter().map(|change| names(&text, change).count()).sum::<usize>();
        let boundaries = names(&text, "boundary").chain(names(&text, "writes::around")).count();
        assert!(changes == 0 || boundaries > 1 || text.contains("writes::around"), "{file} has no boundary");
        found += changes;
        if file.starts_with("src/services/kafka/admin") {
            let around = names(&text, "boundary::around").count();
            let calls = CHANGES.iter().filter(|change| change.starts_with("given_to"));
            assert_eq!(calls.map(|change| names(&text, change).count()).sum::<usize>(), around, "{file}");
        }
    }
    assert!(found > 10, "what changes something has other names now");
}

#[test]
fn unsafe_has_one_home() {
    for (file, text) in sources("src").into_iter().filter(|(file, _)| file != "src/services/kafka/admin.rs") {
        assert_eq!(names(&text, "unsafe ").next(), None, "{file}");
    }
}

#[test]
fn files_are_short() {
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        // All that is unsafe stands in one file, which is worth more than a short one.
        let most = if file == "src/services/kafka/admin.rs" { 600 } else { 500 };
        assert!(text.lines().count() <= most, "{file} has {} lines", text.lines().count());
    }
}
