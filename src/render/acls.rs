//! ACLs of Kafka as people read them.

use super::layout::wrap;
use crate::services::kafka::model::Binding;
use std::collections::{BTreeMap, BTreeSet};

/// Operations on Kafka in the order in which people think of them.
const OPERATIONS: [&str; 12] = [
    "all",
    "read",
    "write",
    "create",
    "delete",
    "alter",
    "describe",
    "alter_configs",
    "describe_configs",
    "idempotent_write",
    "cluster_action",
    "unknown",
];
/// Columns that names of one line fill; more names stand on a line of their own.
const NAMES_OF_A_LINE: usize = 60;

/// One line for the resources of Kafka on which the same is allowed: `topic mail.*, orders: read, write`.
pub(super) fn group_bindings<'a>(bindings: impl IntoIterator<Item = &'a Binding>) -> Vec<String> {
    let mut objects: BTreeMap<(bool, &str, &str, String), BTreeSet<usize>> = BTreeMap::new();
    for binding in bindings {
        let Binding { resource, name: _, prefixed: _, operation, allow, host } = binding;
        let place = OPERATIONS.iter().position(|known| known == operation).unwrap_or(OPERATIONS.len());
        objects.entry((!*allow, resource, host, binding.pattern())).or_default().insert(place);
    }
    let mut lines: BTreeMap<(bool, &str, &str, BTreeSet<usize>), Vec<String>> = BTreeMap::new();
    for ((denies, resource, host, pattern), operations) in objects {
        lines.entry((denies, resource, host, operations)).or_default().push(pattern);
    }
    let line =
        |((denies, resource, host, operations), patterns): ((bool, &str, &str, BTreeSet<usize>), Vec<String>)| {
            let verb = if denies { "deny " } else { "" };
            let from = if host == "*" { String::new() } else { format!(" from {host}") };
            let operations: Vec<&str> = operations.iter().filter_map(|place| OPERATIONS.get(*place)).copied().collect();
            let (operations, resource) = (operations.join(", ").replace('_', " "), resource.replace('_', " "));
            let names = wrap(&patterns, ", ", NAMES_OF_A_LINE);
            let told = move |names: String| {
                format!("{verb}{resource} {}{from}: {operations}", names.trim_end_matches([',', ' ']))
            };
            names.into_iter().map(told).collect::<Vec<_>>()
        };
    lines.into_iter().flat_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_grouped_by_what_they_open() {
        let bindings = [
            Binding::allow("topic", "mail.inbound", false, "read"),
            Binding::allow("topic", "mail.inbound", false, "write"),
            Binding::allow("group", "mail", true, "read"),
        ];
        assert_eq!(group_bindings(&bindings), ["group mail*: read", "topic mail.inbound: read, write"]);
        let many: Vec<Binding> =
            (10..30).map(|n| Binding::allow("topic", &format!("mail.{n}"), false, "read")).collect();
        let lines = group_bindings(&many);
        assert!(lines[0].starts_with("topic mail.10, mail.11, ") && lines[0].ends_with(": read"), "{lines:?}");
        assert!(lines.len() == 4 && lines.iter().all(|line| line.len() < 80), "{lines:?}");
        let mut other = Binding::allow("transactional_id", "mail", false, "describe_configs");
        (other.allow, other.host) = (false, "10.0.0.1".to_owned());
        assert_eq!(group_bindings([&other]), ["deny transactional id mail from 10.0.0.1: describe configs"]);
    }
}
