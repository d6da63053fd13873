//! What a principal's ACLs let it do, in a few words. Pure.

use crate::core::listing::some;
use crate::services::Facts;
use crate::services::kafka::client::native::OwnedBinding;
use crate::services::kafka::model::Binding;
use std::collections::{BTreeMap, BTreeSet};

/// Names that are spelled out for one phrase; more are counted.
const NAMES_SHOWN: usize = 3;
/// Phrases that are spelled out for one principal; more are counted.
const PHRASES_SHOWN: usize = 4;

/// How many ACLs, which, and what follows from them: `reads and writes orders.*; reads group billing`.
pub fn facts(acls: &[&OwnedBinding]) -> Facts {
    let strange = acls.iter().filter(|owned| !owned.is_known()).count();
    let bindings: BTreeSet<String> = acls.iter().map(|owned| owned.binding.to_string()).collect();
    let mut facts =
        Facts::from([("acls".to_owned(), acls.len().into()), ("bindings".to_owned(), bindings.into_iter().collect())]);
    let known = acls.iter().filter(|owned| owned.is_known()).map(|owned| &owned.binding);
    let may = phrases(known);
    if !may.is_empty() {
        let more = may.len().saturating_sub(PHRASES_SHOWN);
        let rest = (more > 0).then(|| format!("and {more} more"));
        let shown: Vec<String> = may.into_iter().take(PHRASES_SHOWN).chain(rest).collect();
        facts.insert("may".to_owned(), shown.join("; ").into());
    }
    if strange > 0 {
        facts.insert("of_unknown_kind".to_owned(), strange.into());
    }
    facts
}

/// What belongs together: whether it is allowed, from which host, on which kind of resource, which operations.
type Sort<'a> = (bool, &'a str, &'a str, BTreeSet<&'a str>);

fn phrases<'a>(bindings: impl Iterator<Item = &'a Binding>) -> Vec<String> {
    let mut objects: BTreeMap<(bool, &str, &str, String), BTreeSet<&str>> = BTreeMap::new();
    for Binding { resource, name, prefixed, operation, allow, host } in bindings {
        let name = match (resource.as_str(), name.as_str(), prefixed) {
            ("cluster", _, _) => "the cluster".to_owned(),
            (_, "*", false) => format!("every {}", resource.replace('_', " ")),
            (_, _, true) => format!("{name}*"),
            (_, _, false) => name.clone(),
        };
        objects.entry((!allow, resource, host, name)).or_default().insert(operation);
    }
    let mut sorts: BTreeMap<Sort<'_>, Vec<String>> = BTreeMap::new();
    for ((denied, resource, host, name), mut operations) in objects {
        // Who may do something with it may describe it as well.
        if !denied && ["read", "write", "alter", "delete", "all"].iter().any(|one| operations.contains(one)) {
            operations.remove("describe");
        }
        sorts.entry((denied, resource, host, operations)).or_default().push(name);
    }
    sorts.into_iter().map(|(sort, names)| phrase(sort, &names)).collect()
}

fn phrase((denied, resource, host, operations): Sort<'_>, names: &[String]) -> String {
    let verbs: Vec<&str> = operations.iter().map(|one| if denied { *one } else { verb(one) }).collect();
    let verbs = verbs.join(if denied { " or " } else { " and " }).replace('_', " ");
    let noun = match resource {
        "topic" | "cluster" => String::new(),
        _ if names.iter().all(|name| name.starts_with("every ")) => String::new(),
        other => format!("{} ", other.replace('_', " ")),
    };
    let not = if denied { "must not " } else { "" };
    let from = if host == "*" { String::new() } else { format!(" from {host}") };
    format!("{not}{verbs} {noun}{}{from}", some(names, NAMES_SHOWN))
}

fn verb(operation: &str) -> &str {
    match operation {
        "read" => "reads",
        "write" => "writes",
        "create" => "creates",
        "delete" => "deletes",
        "alter" => "alters",
        "describe" => "describes",
        "all" => "does everything with",
        "describe_configs" => "reads configs of",
        "alter_configs" => "alters configs of",
        "cluster_action" => "acts as a broker on",
        "idempotent_write" => "writes idempotently on",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bindings: &[Binding]) -> (String, u64) {
        let owned =
            bindings.iter().map(|binding| OwnedBinding { principal: "User:x".into(), binding: binding.clone() });
        let owned: Vec<OwnedBinding> = owned.collect();
        let facts = facts(&owned.iter().collect::<Vec<_>>());
        let may = facts.get("may").map(|may| may.as_str().unwrap().to_owned()).unwrap_or_default();
        (may, facts.get("of_unknown_kind").map(|count| count.as_u64().unwrap()).unwrap_or_default())
    }

    #[test]
    fn alike_acls_are_told_at_once_and_what_follows_from_others_is_not_told() {
        let mut acls = Vec::new();
        for topic in ["a", "b", "c", "d", "e"] {
            acls.extend(
                ["read", "write", "describe"].map(|operation| Binding::allow("topic", topic, false, operation)),
            );
        }
        acls.push(Binding::allow("topic", "orders.", true, "describe"));
        acls.push(Binding::allow("group", "*", false, "read"));
        acls.push(Binding::allow("transactional_id", "tx", true, "write"));
        let (may, _) = told(&acls);
        assert_eq!(
            may,
            "reads every group; describes orders.*; reads and writes a, b, c and 2 more; writes transactional id tx*"
        );
    }

    #[test]
    fn denials_hosts_and_what_is_not_known_are_told_apart() {
        let denied = Binding { allow: false, ..Binding::allow("topic", "a", false, "read") };
        let from = Binding { host: "10.0.0.1".to_owned(), ..Binding::allow("topic", "a", false, "all") };
        let strange = Binding::allow("unknown", "x", false, "describe");
        let cluster = Binding::allow("cluster", "kafka-cluster", false, "describe");
        let (may, strange) = told(&[denied, from, strange, cluster]);
        assert_eq!(may, "describes the cluster; does everything with a from 10.0.0.1; must not read a");
        assert_eq!(strange, 1);
        assert_eq!(told(&[Binding::allow("topic", "a", false, "unknown")]), (String::new(), 1));
    }
}
