//! Whom the first ACLs on something shut out: while a topic or a group has none, everybody may use it where
//! `allow.everyone.if.no.acl.found` is set. Pure.

use super::authorizer::{Deed, EVERYBODY, Verdict, decide, is_about};
use crate::core::listing::{shortened, some};
use crate::services::kafka::model::Binding;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Topics that are named in one sentence; more are counted.
const SHOWN: usize = 3;
/// What was written to within this many seconds is taken for being in use.
const IN_USE: u64 = 600;

/// Somebody that uses something that has no ACL yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum ShutOut {
    /// A consumer group that no user may use to read these topics then.
    Group { name: String, members: usize, topics: BTreeSet<String> },
    /// Whoever writes to a topic. Kafka does not tell who does; these users may from then on.
    Writer { topic: String, seconds_ago: u64, users: BTreeSet<String>, open: bool },
}

impl ShutOut {
    /// Whether an ACL is about what is used.
    pub fn is_hit_by(&self, acl: &Binding) -> bool {
        match self {
            Self::Group { name, topics, .. } => {
                is_about(acl, "group", name) || topics.iter().any(|topic| is_about(acl, "topic", topic))
            }
            Self::Writer { topic, .. } => is_about(acl, "topic", topic),
        }
    }

    /// Whether somebody is cut off while at work, as far as that is known.
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::Group { members, .. } => *members > 0,
            Self::Writer { seconds_ago, open, .. } => *open && *seconds_ago <= IN_USE,
        }
    }

    pub fn sentence(&self) -> String {
        match self {
            Self::Group { name, members, topics } => {
                let topics = some(topics, SHOWN);
                let (how_many, reads) = match members {
                    0 => ("no member now".to_owned(), "has read"),
                    1 => ("1 member".to_owned(), "reads"),
                    many => (format!("{many} members"), "reads"),
                };
                format!(
                    "these are the first ACLs there: group {} ({how_many}) {reads} {topics}, and no ACL lets it; it is shut \
                     out unless it signs in as a super user",
                    shortened(name)
                )
            }
            Self::Writer { topic, seconds_ago, users, .. } => {
                let users = if users.is_empty() { "nobody".to_owned() } else { some(users, SHOWN) };
                format!(
                    "these are the first ACLs there: {topic} was written to {} ago, by whom Kafka does not tell; from then on \
                     {users} may, and super users",
                    span(*seconds_ago)
                )
            }
        }
    }
}

/// `40 s`, `3 min`, `5 h`, `12 days`: rounded down.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A consumer group: the topics that it reads, with the addresses of its members. Without members, what it has read.
#[derive(Clone, Debug, Default)]
pub struct Consumers {
    pub topics: BTreeSet<String>,
    pub hosts: Vec<String>,
}

/// ACLs as they are, and what would be added to them.
pub struct Acls<'a> {
    pub now: Vec<(&'a str, &'a Binding)>,
    pub added: Vec<(&'a str, &'a Binding)>,
}

impl Acls<'_> {
    /// Whether something has no ACL now, and would have one.
    pub fn are_first_on(&self, resource: &str, name: &str) -> bool {
        let has = |acls: &[(&str, &Binding)]| acls.iter().any(|(_, acl)| is_about(acl, resource, name));
        has(&self.added) && !has(&self.now)
    }

    /// Whether something could be added to what has no ACL now: what is added to what has one shuts nobody out.
    pub fn may_be_first(&self) -> bool {
        let is_closed = |new: &Binding| {
            let there = self.now.iter().filter(|(_, acl)| acl.resource == new.resource);
            there.into_iter().any(|(_, acl)| match (acl.prefixed, new.prefixed) {
                _ if acl.is_every() => true,
                (true, true | false) => new.name.starts_with(&acl.name),
                (false, false) => new.name == acl.name,
                (false, true) => false,
            })
        };
        self.added.iter().any(|(_, acl)| ["topic", "group"].contains(&acl.resource.as_str()) && !is_closed(acl))
    }

    /// Users that would be allowed something from some address.
    fn allowed(&self, resource: &str, name: &str, operation: &str, host: &str) -> BTreeSet<&str> {
        let about: Vec<_> =
            self.now.iter().chain(&self.added).filter(|(_, acl)| is_about(acl, resource, name)).collect();
        let users: BTreeSet<&str> = about.iter().filter(|(_, acl)| acl.allow).map(|(user, _)| *user).collect();
        let may = |user: &&str| {
            let deed = Deed { principal: user, host, resource, name, operation };
            decide(about.iter().map(|(user, acl)| (*user, *acl)), &deed) == Verdict::Allowed
        };
        users.into_iter().filter(may).collect()
    }

    /// Whether some user may read a topic in a group.
    fn let_in(&self, group: &str, topic: &str, host: &str) -> bool {
        let of_group = self.allowed("group", group, "read", host);
        // A group without ACLs may be anybody's, and so need not be of who may read the topic.
        let is_closed = self.now.iter().chain(&self.added).any(|(_, acl)| is_about(acl, "topic", topic));
        let of_topic = if is_closed { self.allowed("topic", topic, "read", host) } else { BTreeSet::from([EVERYBODY]) };
        let shared = of_group.intersection(&of_topic).next().is_some();
        shared
            || (of_group.contains(EVERYBODY) && !of_topic.is_empty())
            || (of_topic.contains(EVERYBODY) && !of_group.is_empty())
    }

    /// The groups that nobody could use any more.
    pub fn groups_shut_out(&self, groups: &BTreeMap<String, Consumers>) -> Vec<ShutOut> {
        let mut found = Vec::new();
        for (name, group) in groups {
            let group_is_new = self.are_first_on("group", name);
            let hosts: BTreeSet<&str> = group.hosts.iter().map(String::as_str).collect();
            let hosts = if hosts.is_empty() { BTreeSet::from([""]) } else { hosts };
            let shut_out = |topic: &&String| {
                (group_is_new || self.are_first_on("topic", topic))
                    && !hosts.iter().any(|host| self.let_in(name, topic, host))
            };
            let topics: BTreeSet<String> = group.topics.iter().filter(shut_out).cloned().collect();
            if !topics.is_empty() {
                found.push(ShutOut::Group { name: name.clone(), members: group.hosts.len(), topics });
            }
        }
        found.sort_by_key(|one| std::cmp::Reverse(one.is_in_use()));
        found
    }

    /// What is said of a topic that was written to, if its first ACLs come.
    pub fn writer(&self, topic: &str, seconds_ago: u64, open: bool) -> ShutOut {
        let users = self.allowed("topic", topic, "write", "");
        let users = users.into_iter().map(|user| user.strip_prefix("User:").unwrap_or(user).to_owned()).collect();
        ShutOut::Writer { topic: topic.to_owned(), seconds_ago, users, open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acls(texts: &[&str]) -> Vec<(String, Binding)> {
        let acl = |text: &&str| {
            let (user, acl) = text.split_once(' ').unwrap();
            (format!("User:{user}"), Binding::try_from(acl.to_owned()).unwrap())
        };
        texts.iter().map(acl).collect()
    }

    /// The groups that are shut out: `analytics` reads `orders` with two members, `old` has read it, `shop` is the app's.
    fn shut_out(now: &[&str], added: &[&str]) -> (Vec<String>, bool) {
        let (now, added) = (acls(now), acls(added));
        let refs = |acls: &'_ [(String, Binding)]| -> Vec<(&'static str, &'static Binding)> {
            acls.iter()
                .map(|(user, acl)| {
                    let user: &'static str = Box::leak(user.clone().into_boxed_str());
                    let acl: &'static Binding = Box::leak(Box::new(acl.clone()));
                    (user, acl)
                })
                .collect()
        };
        let all = Acls { now: refs(&now), added: refs(&added) };
        let group = |topics: &[&str], hosts: &[&str]| Consumers {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        let groups = BTreeMap::from([
            ("analytics".to_owned(), group(&["orders", "other"], &["10.0.0.1", "10.0.0.2"])),
            ("old".to_owned(), group(&["orders"], &[])),
            ("shop".to_owned(), group(&["orders"], &["10.0.0.3"])),
        ]);
        let found = all.groups_shut_out(&groups);
        let names = found.iter().map(|one| match one {
            ShutOut::Group { name, members, topics } => format!("{name} {members} {}", some(topics, 9)),
            ShutOut::Writer { .. } => String::new(),
        });
        (names.collect(), all.may_be_first())
    }

    #[test]
    fn only_who_is_let_in_by_no_acl_is_shut_out_and_only_by_the_first() {
        let shop = ["shop allow read topic orders", "shop allow read group shop"];
        let analytics = ["x allow read topic orders", "x allow read group analytics"];
        assert_eq!(shut_out(&[], &shop), (vec!["analytics 2 orders".to_owned(), "old 0 orders".to_owned()], true));
        // The topic has ACLs already: who reads it is a super user.
        assert_eq!(shut_out(&["x allow describe topic orders", "x allow read group shop"], &shop), (vec![], false));
        let both: Vec<&str> = shop.into_iter().chain(analytics).collect();
        assert_eq!(shut_out(&[], &both).0, ["old 0 orders"]);
        let group_first = shut_out(&["shop allow read topic orders"], &["shop allow read group analyt (prefix)"]);
        assert_eq!(group_first, (vec![], true));
        // A user that may do one and everybody who may do the other.
        assert_eq!(shut_out(&["* allow read group analytics"], &shop).0, ["old 0 orders"]);
        assert_eq!(shut_out(&[], &["shop allow read topic orders", "* allow read group *"]).0, [""; 0]);
    }

    #[test]
    fn a_writer_is_told_with_who_may_from_then_on() {
        let writes = acls(&["shop allow write topic orders"]);
        let all = Acls { now: Vec::new(), added: writes.iter().map(|(user, acl)| (user.as_str(), acl)).collect() };
        let writer = all.writer("orders", 200, true);
        assert!(writer.is_in_use() && writer.is_hit_by(&writes[0].1));
        assert!(writer.sentence().contains("written to 3 min ago") && writer.sentence().contains("on shop may"));
        assert!(!all.writer("orders", 200, false).is_in_use());
        assert!(!all.writer("orders", 4_000, true).is_in_use());
        for (seconds, said) in [(119, "119 s"), (7_200, "2 h"), (200_000, "2 days")] {
            assert_eq!(span(seconds), said);
        }
    }
}
