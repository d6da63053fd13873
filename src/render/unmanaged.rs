//! What exists on the services and is neither declared nor ours: each of a few, and many by how their names begin.

use super::layout::{columns, pad};
use super::{Ink, Style, bytes, clean, count, words};
use crate::core::address::{Address, Kind};
use crate::services::Facts;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Lines for one kind; what is more than that is grouped, and what is still more is counted.
const LINES: usize = 20;
/// So many names that begin alike are told in one line, where there are too many lines.
const GROUP: usize = 3;
/// Names end their first part here.
const PARTS: [char; 5] = ['.', '-', '_', ':', '/'];
/// Names are padded up to this width.
const NAME: usize = 40;

/// Kinds in the order in which they are told, and what one and many of them are called.
const KINDS: [(&str, &str, &str); 6] = [
    ("postgres.database", "database", "databases"),
    ("postgres.role", "role", "roles"),
    ("valkey.user", "user", "users"),
    ("kafka.topic", "topic", "topics"),
    ("kafka.user", "user", "users"),
    ("kafka.acl", "principal with ACLs", "principals with ACLs"),
];

/// A line of the list: a name, or how several begin.
struct Entry {
    name: String,
    holds: usize,
    facts: Vec<String>,
}

/// The whole section.
pub(super) fn lines(found: &BTreeMap<Address, Facts>, style: Style) -> Vec<String> {
    let head = style.paint(Ink::Bold, "Not managed: declared by no infraspec, and not in the state");
    if found.is_empty() {
        return vec![head, "  nothing".to_owned()];
    }
    let mut lines = vec![head];
    for (kind, one, many) in KINDS {
        let of_kind: Vec<(&str, &Facts)> = found
            .iter()
            .filter(|(address, _)| address.kind.as_str() == kind)
            .map(|(address, facts)| (address.name.as_str(), facts))
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        let title = words::service_title(Kind::new(kind).service());
        lines.push(format!("  {title}: {}", count(of_kind.len(), one, many)));
        lines.extend(entries_lines(entries(kind, &of_kind, (one, many), style.detailed), style));
    }
    lines
}

fn entries_lines((entries, left): (Vec<Entry>, usize), style: Style) -> Vec<String> {
    let width = entries.iter().map(|entry| columns(&entry.name)).max().unwrap_or_default().min(NAME);
    let line = |entry: &Entry| {
        let facts = style.paint(Ink::Faint, &entry.facts.join(", "));
        format!("    {}  {facts}", pad(&entry.name, width)).trim_end().to_owned()
    };
    let rest = (left > 0).then(|| format!("    and {left} more: -v and --format json list each"));
    entries.iter().map(line).chain(rest).collect()
}

/// What is told, and how many things are left out.
fn entries(kind: &str, all: &[(&str, &Facts)], names: (&str, &str), detailed: bool) -> (Vec<Entry>, usize) {
    let alone = |(name, facts): &(&str, &Facts)| Entry { name: clean(name), holds: 1, facts: facts_words(kind, facts) };
    if detailed || all.len() <= LINES {
        return (all.iter().map(alone).collect(), 0);
    }
    let mut starts: BTreeMap<&str, Vec<(&str, &Facts)>> = BTreeMap::new();
    for (name, facts) in all {
        starts.entry(start(name)).or_default().push((name, facts));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for (start, members) in starts {
        if members.len() < GROUP {
            entries.extend(members.iter().map(alone));
        } else {
            entries.push(group(start, &members, names));
        }
    }
    // The largest first, so that what is left out is the least.
    entries.sort_by_key(|entry| Reverse(entry.holds));
    let left = entries.iter().skip(LINES).map(|entry| entry.holds).sum();
    entries.truncate(LINES);
    (entries, left)
}

/// A name up to the end of its first part.
fn start(name: &str) -> &str {
    let end = name.find(PARTS).map_or(name.len(), |at| at + 1);
    name.get(..end).unwrap_or(name)
}

fn group(start: &str, members: &[(&str, &Facts)], (one, many): (&str, &str)) -> Entry {
    let sum = |key: &str| members.iter().filter_map(|(_, facts)| facts.get(key)?.as_u64()).sum::<u64>();
    let mut facts = vec![count(members.len(), one, many)];
    facts.extend(Some(sum("size_bytes")).filter(|size| *size > 0).map(bytes));
    facts.extend(some_of(sum("partitions"), "partition", "partitions"));
    facts.extend(some_of(sum("sessions"), "session", "sessions"));
    facts.extend(some_of(sum("acls"), "ACL", "ACLs"));
    Entry { name: format!("{}*", clean(start)), holds: members.len(), facts }
}

fn some_of(number: u64, one: &str, many: &str) -> Option<String> {
    (number > 0).then(|| count(usize::try_from(number).unwrap_or(usize::MAX), one, many))
}

/// What is known of one thing, in words.
fn facts_words(kind: &str, facts: &Facts) -> Vec<String> {
    let number = |key: &str| facts.get(key).and_then(Value::as_u64);
    let is = |key: &str| facts.get(key).and_then(Value::as_bool);
    let text = |key: &str| facts.get(key).and_then(Value::as_str).map(clean);
    let counted = |key: &str, one: &str, many: &str| some_of(number(key).unwrap_or_default(), one, many);
    let mut words: Vec<Option<String>> = Vec::new();
    match kind {
        "postgres.database" => {
            words.push(text("owner").map(|owner| format!("owner {owner}")));
            words.push(number("size_bytes").map(bytes));
            words.push(counted("sessions", "session", "sessions"));
            words.push(is("template").map(|_| "a template".to_owned()));
            words.push(is("closed").map(|_| "lets nobody in".to_owned()));
        }
        "postgres.role" => {
            words.push(is("login").map(|login| if login { "signs in" } else { "does not sign in" }.to_owned()));
            words.push(is("superuser").map(|_| "SUPERUSER".to_owned()));
            words.push(counted("databases", "database", "databases").map(|databases| format!("owns {databases}")));
            words.push(counted("members", "member", "members"));
            words.push(counted("sessions", "session", "sessions"));
        }
        "valkey.user" => {
            words.push(is("enabled").filter(|enabled| !enabled).map(|_| "off".to_owned()));
            words.push(is("nopass").map(|_| "needs no password".to_owned()));
            let keyless = number("passwords") == Some(0) && is("nopass").is_none();
            words.push(keyless.then(|| "has no password".to_owned()));
            words.push(
                number("passwords").filter(|passwords| *passwords > 1).map(|number| format!("{number} passwords")),
            );
            words.push(text("may").map(|may| format!("may {may}")));
            words.push(counted("selectors", "selector", "selectors"));
            words.push(list("only_on", facts).map(|nodes| format!("only on {nodes}")));
        }
        "kafka.topic" => {
            words.push(counted("partitions", "partition", "partitions"));
            words.push(counted("replication", "replica", "replicas"));
        }
        "kafka.user" => {
            let mechanisms = facts.get("iterations").and_then(Value::as_object);
            words.push(mechanisms.map(|each| each.keys().map(|key| clean(key)).collect::<Vec<_>>().join(" and ")));
        }
        _ => {
            let acls = counted("acls", "ACL", "ACLs").unwrap_or_default();
            words.push(Some(text("may").map_or(acls.clone(), |may| format!("{acls}: {may}"))));
            words.push(
                number("of_unknown_kind").map(|number| format!("{number} of a kind that this version does not know")),
            );
        }
    }
    words.into_iter().flatten().collect()
}

/// The texts of a list.
fn list(key: &str, facts: &Facts) -> Option<String> {
    let items = facts.get(key)?.as_array()?.iter().filter_map(Value::as_str).map(clean);
    Some(items.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(all: &[(&str, Value)]) -> BTreeMap<Address, Facts> {
        all.iter()
            .map(|(address, facts)| (address.parse().unwrap(), serde_json::from_value(facts.clone()).unwrap()))
            .collect()
    }

    #[test]
    fn a_few_are_told_one_by_one() {
        let told = lines(
            &found(&[
                (
                    "kafka.acl.legacy",
                    json!({"acls": 12, "may": "reads orders.*", "of_unknown_kind": 1, "bindings": []}),
                ),
                ("kafka.user.legacy", json!({"iterations": {"SCRAM-SHA-256": 4096, "SCRAM-SHA-512": 8192}})),
                ("kafka.topic.legacy.orders", json!({"partitions": 3, "replication": 1})),
                ("postgres.database.old", json!({"owner": "bob", "size_bytes": 7_700_000, "sessions": 0})),
                ("postgres.database.\u{1b}[2J", json!({"owner": "bob", "sessions": 2, "closed": true})),
                (
                    "postgres.role.bob",
                    json!({"login": true, "superuser": true, "databases": 2, "sessions": 1, "members": 0}),
                ),
                ("valkey.user.w", json!({"enabled": false, "passwords": 0, "may": "read a:*", "only_on": ["n1:1"]})),
            ]),
            Style::PLAIN,
        );
        assert_eq!(
            told.join("\n"),
            "\
Not managed: declared by no infraspec, and not in the state
  PostgreSQL: 2 databases
    \\u{1b}[2J  owner bob, 2 sessions, lets nobody in
    old        owner bob, 7.7 MB
  PostgreSQL: 1 role
    bob  signs in, SUPERUSER, owns 2 databases, 1 session
  Valkey: 1 user
    w  off, has no password, may read a:*, only on n1:1
  Kafka: 1 topic
    legacy.orders  3 partitions, 1 replica
  Kafka: 1 user
    legacy  SCRAM-SHA-256 and SCRAM-SHA-512
  Kafka: 1 principal with ACLs
    legacy  12 ACLs: reads orders.*, 1 of a kind that this version does not know"
        );
        assert_eq!(lines(&BTreeMap::new(), Style::PLAIN).last().unwrap(), "  nothing");
    }

    #[test]
    fn thousands_are_grouped_and_bounded_and_each_is_told_in_detail() {
        let mut all = BTreeMap::new();
        let facts: Facts = serde_json::from_value(json!({"partitions": 2, "replication": 1})).unwrap();
        for (team, topics) in [("orders.", 3000), ("audit-", 3), ("rare_", 2)] {
            all.extend(
                (0..topics).map(|number| (format!("kafka.topic.{team}{number}").parse().unwrap(), facts.clone())),
            );
        }
        all.extend((0..100).map(|number| (format!("kafka.topic.t{number}").parse().unwrap(), facts.clone())));
        let told = lines(&all, Style::PLAIN);
        assert_eq!(told.len(), 1 + 1 + LINES + 1);
        assert_eq!(told[1], "  Kafka: 3105 topics");
        assert_eq!(told[2], "    orders.*  3000 topics, 6000 partitions");
        assert_eq!(told[3], "    audit-*   3 topics, 6 partitions");
        assert_eq!(told[4], "    rare_0    2 partitions, 1 replica");
        assert_eq!(told.last().unwrap(), "    and 84 more: -v and --format json list each");
        let detailed = lines(&all, Style { detailed: true, ..Style::PLAIN });
        assert_eq!(detailed.len(), 1 + 1 + all.len());
    }
}
