//! Which consumer groups are at work by a right that a user has, and is to lose. Kafka does not tell who runs a group, so
//! they are those that the user could run. Pure.

use super::authorizer::{Deed, Verdict, decide};
use super::lockout::Consumers;
use crate::core::listing::some;
use crate::services::kafka::model::Binding;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Topics that are named in one sentence; more are counted.
const SHOWN: usize = 3;

/// A group with members that a user may run now, and not any more when its ACLs are as they are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// Without `User:`.
    pub user: String,
    pub group: String,
    pub members: usize,
    /// What it reads of that.
    pub topics: BTreeSet<String>,
    /// Whether it is the group that the user may not use; else it is the topics.
    pub by_group: bool,
}

impl CutOff {
    pub fn sentence(&self) -> String {
        let Self { user, group, members, topics, by_group } = self;
        let members = if *members == 1 { "1 member".to_owned() } else { format!("{members} members") };
        let remedy = if *by_group { "; groups = [...] in the infraspec lets it" } else { "" };
        format!(
            "group {group} ({members}) reads {}, which {user} may not any more: it is cut off if it signs in as that{remedy}",
            some(topics, SHOWN)
        )
    }
}

/// ACLs by principal (`User:mail-agent`).
pub type Acls<'a> = Vec<(&'a str, &'a Binding)>;

/// The groups at work that one user may run now and not afterwards.
pub fn cut_off(user: &str, now: &Acls<'_>, then: &Acls<'_>, groups: &BTreeMap<String, Consumers>) -> Vec<CutOff> {
    let principal = format!("User:{user}");
    let reads = |acls: &Acls<'_>, resource: &str, name: &str, host: &str| {
        let deed = Deed { principal: &principal, host, resource, name, operation: "read" };
        decide(acls.iter().copied(), &deed) == Verdict::Allowed
    };
    let runs = |acls: &Acls<'_>, group: &str, topic: &str, host: &str| {
        reads(acls, "group", group, host) && reads(acls, "topic", topic, host)
    };
    let mut found = Vec::new();
    for (group, consumers) in groups {
        let is_lost = |topic: &&String| {
            consumers.hosts.iter().any(|host| runs(now, group, topic, host) && !runs(then, group, topic, host))
        };
        let topics: BTreeSet<String> = consumers.topics.iter().filter(is_lost).cloned().collect();
        if !topics.is_empty() {
            let by_group = consumers.hosts.iter().any(|host| !reads(then, "group", group, host));
            let (user, group) = (user.to_owned(), group.clone());
            found.push(CutOff { user, group, members: consumers.hosts.len(), topics, by_group });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_only_a_lost_right_lets_in_are_named() {
        let acl = |text: &str| Binding::try_from(text.to_owned()).unwrap();
        let (orders, every, own) =
            (acl("allow read topic orders"), acl("allow all group *"), acl("allow read group shop"));
        let (group, set) = (
            |topics: &[&str], hosts: &[&str]| Consumers {
                topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            },
            "User:shop",
        );
        let groups = BTreeMap::from([
            ("ad-hoc".to_owned(), group(&["orders", "other"], &["10.0.0.1"])),
            ("idle".to_owned(), group(&["orders"], &[])),
            ("others".to_owned(), group(&["other"], &["10.0.0.2"])),
            ("shop".to_owned(), group(&["orders"], &["10.0.0.3"])),
        ]);
        let then = vec![(set, &orders), (set, &own)];
        let now: Acls<'_> = then.iter().copied().chain([(set, &every)]).collect();
        let found = cut_off("shop", &now, &then, &groups);
        assert_eq!(found.len(), 1, "{found:?}");
        let told = found[0].sentence();
        assert!(told.ends_with("; groups = [...] in the infraspec lets it"), "{told}");
        assert!(told.starts_with("group ad-hoc (1 member) reads orders, which shop may not any more"), "{told}");
        assert_eq!(cut_off("shop", &now, &now, &groups), []);
        // A topic that it may read no more cuts off its own group, too.
        let found = cut_off("shop", &now, &vec![(set, &own)], &groups);
        let named: Vec<_> = found.iter().map(|one| (one.group.as_str(), one.by_group)).collect();
        assert_eq!(named, [("ad-hoc", true), ("shop", false)]);
    }
}
