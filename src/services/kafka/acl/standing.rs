//! Whether somebody may do more than ACLs give: told from what the broker lets them do. Pure.

use super::authorizer::{EVERYBODY, implies, is_about};
use crate::services::kafka::model::Binding;
use std::collections::BTreeSet;

/// The one resource of the kind `cluster`, as ACLs name it.
const CLUSTER: &str = "kafka-cluster";
/// What the names end with that nobody has.
const NOBODYS: &str = "nornplan-asks-who-is-let-in";
/// What such a name may begin with, so that no pattern is about it.
const STARTS: &str = "nabcdefghijklmopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
/// Names of topics are no longer than this.
const LONGEST: usize = 249;

/// All ACLs that there are, with whose each is (`User:mail-agent`).
pub type All<'a> = &'a [(String, &'a Binding)];

/// What follows from what somebody may do to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No more than ACLs give, and the cluster has none: what has no ACL is nobody's.
    Closed,
    /// No more than ACLs give. What becomes of that which has no ACL does not follow.
    Ordinary,
    /// More than ACLs give, though the cluster has ACLs: only super users may.
    Super,
    /// More than ACLs give, and the cluster has none: a super user, or everybody may so.
    Either,
}

/// Judges by what the broker says somebody may do to the cluster. It says nothing to those who may not describe it.
pub fn standing(acls: All<'_>, principal: &str, allowed: &BTreeSet<&str>) -> Standing {
    let has_acls = acls.iter().any(|(_, acl)| is_about(acl, "cluster", CLUSTER));
    let is_given = |operation: &&str| may_be_given(acls, principal, "cluster", CLUSTER, operation);
    match (allowed.iter().all(is_given), has_acls) {
        (true, false) => Standing::Closed,
        (true, true) => Standing::Ordinary,
        (false, true) => Standing::Super,
        (false, false) => Standing::Either,
    }
}

/// A topic or a group that nobody has and no ACL is about; `None` if there are ACLs on every one.
pub fn unlisted(acls: All<'_>, resource: &str) -> Option<String> {
    let mut names = STARTS.chars().map(|start| format!("{start}{}", NOBODYS.trim_start_matches('n')));
    names.find(|name| !acls.iter().any(|(_, acl)| is_about(acl, resource, name)))
}

/// The name of a topic, there or not, that has ACLs, none of which lets somebody alter it: who may is a super user.
pub fn not_theirs(acls: All<'_>, principal: &str) -> Option<String> {
    let of_topics = acls.iter().filter(|(_, acl)| acl.resource == "topic");
    let mut names = of_topics.map(|(_, acl)| if acl.is_every() { NOBODYS } else { acl.name.as_str() });
    let found = names.find(|name| is_a_name(name) && !may_be_given(acls, principal, "topic", name, "alter"));
    found.map(str::to_owned)
}

/// An ACL that is nobody's, and gives nothing: with it, a topic that nobody has is none without ACLs.
pub fn marker() -> (String, Binding) {
    let mut nobodys = Binding::allow("topic", NOBODYS, false, "alter");
    nobodys.allow = false;
    (format!("User:{NOBODYS}"), nobodys)
}

fn is_a_name(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_letter) && ![".", ".."].contains(&name)
}

/// Whether some ACL lets somebody do it, from wherever.
fn may_be_given(acls: All<'_>, principal: &str, resource: &str, name: &str, operation: &str) -> bool {
    let gives =
        |acl: &Binding| acl.operation == "all" || acl.operation == operation || implies(&acl.operation, operation);
    acls.iter().any(|(whose, acl)| {
        acl.allow && (whose == principal || whose == EVERYBODY) && is_about(acl, resource, name) && gives(acl)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<(String, Binding)> {
        let owned = |text: &&str| {
            let (principal, acl) = text.split_once(' ').unwrap();
            (principal.to_owned(), Binding::try_from(acl.to_owned()).unwrap())
        };
        texts.iter().map(owned).collect()
    }

    fn refs(all: &[(String, Binding)]) -> Vec<(String, &Binding)> {
        all.iter().map(|(principal, acl)| (principal.clone(), acl)).collect()
    }

    #[test]
    fn who_may_more_than_acls_give_is_told() {
        use Standing::{Closed, Either, Ordinary, Super};
        let cases: [(&[&str], &[&str], Standing); 9] = [
            (&[], &[], Closed),
            (&["User:x allow all topic *"], &[], Closed),
            (&["User:x allow all topic *"], &["alter", "describe"], Either),
            (&["User:other allow describe cluster kafka-cluster"], &[], Ordinary),
            (&["User:other allow describe cluster kafka-cluster"], &["describe"], Super),
            (&["User:x allow alter cluster kafka-cluster"], &["alter", "describe"], Ordinary),
            (&["User:x allow alter cluster kafka-cluster from 10.0.0.1"], &["alter", "describe"], Ordinary),
            (&["User:x allow describe cluster *"], &["describe", "create"], Super),
            (&["User:* allow all cluster kafka-cluster"], &["describe", "alter"], Ordinary),
        ];
        for (acls, allowed, expected) in cases {
            let acls = owned(acls);
            let allowed = allowed.iter().copied().collect();
            assert_eq!(standing(&refs(&acls), "User:x", &allowed), expected, "{acls:?} {allowed:?}");
        }
    }

    #[test]
    fn a_name_without_acls_is_found_beside_prefixes() {
        let unlisted = |texts: &[&str]| unlisted(&refs(&owned(texts)), "topic");
        assert_eq!(unlisted(&[]).as_deref(), Some("nornplan-asks-who-is-let-in"));
        assert_eq!(unlisted(&["User:x allow read group *"]).as_deref(), Some("nornplan-asks-who-is-let-in"));
        let beside = ["User:x allow read topic n (prefix)", "User:y deny read topic a (prefix)"];
        assert_eq!(unlisted(&beside).as_deref(), Some("bornplan-asks-who-is-let-in"));
        assert_eq!(unlisted(&["User:exporter allow describe topic *"]), None);
    }

    #[test]
    fn a_topic_that_only_a_super_user_may_alter_is_found() {
        let not_theirs = |texts: &[&str]| not_theirs(&refs(&owned(texts)), "User:x");
        assert_eq!(not_theirs(&[]), None);
        assert_eq!(not_theirs(&["User:x allow read topic mail.in"]).as_deref(), Some("mail.in"));
        assert_eq!(not_theirs(&["User:other allow all topic mail. (prefix)"]).as_deref(), Some("mail."));
        assert_eq!(not_theirs(&["User:other allow all topic *"]).as_deref(), Some(NOBODYS));
        let theirs =
            ["User:x allow all topic m (prefix)", "User:other allow read topic mail", "User:o allow read topic a/b"];
        assert_eq!(not_theirs(&theirs), None);
        let (nobody, marker) = marker();
        assert_eq!(super::not_theirs(&[(nobody, &marker)], "User:x").as_deref(), Some(NOBODYS));
    }
}
