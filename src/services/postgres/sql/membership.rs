//! Statements that take memberships away.

use postgres_protocol::escape::escape_identifier;
use serde::Deserialize;

/// That one role is a member of another because a third one said so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Membership {
    pub role: String,
    pub member: String,
    pub grantor: String,
    /// Whether several roles may have granted it, so that each must be named: from 16 on.
    pub by_grantor: bool,
}

impl Membership {
    /// The statement that takes it away.
    pub fn revoke(&self) -> String {
        let (role, member) = (escape_identifier(&self.role), escape_identifier(&self.member));
        let by =
            if self.by_grantor { format!(" GRANTED BY {}", escape_identifier(&self.grantor)) } else { String::new() };
        format!("REVOKE {role} FROM {member}{by}")
    }
}

/// The same, so that what a member handed on goes before its own membership: the server refuses the other way round.
pub fn leaves_first(mut memberships: Vec<Membership>) -> Vec<Membership> {
    let mut ordered = Vec::with_capacity(memberships.len());
    while !memberships.is_empty() {
        let handed_on = |one: &Membership| {
            memberships.iter().any(|other| other.role == one.role && other.grantor == one.member && other != one)
        };
        let (later, now): (Vec<_>, Vec<_>) = memberships.iter().cloned().partition(handed_on);
        if now.is_empty() {
            ordered.extend(later);
            break;
        }
        ordered.extend(now);
        memberships = later;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(member: &str, grantor: &str, by_grantor: bool) -> Membership {
        Membership { role: "own\"er".to_owned(), member: member.to_owned(), grantor: grantor.to_owned(), by_grantor }
    }

    #[test]
    fn each_grantor_is_named_where_there_may_be_several() {
        assert_eq!(membership("a", "g", true).revoke(), "REVOKE \"own\"\"er\" FROM \"a\" GRANTED BY \"g\"");
        assert_eq!(membership("a", "g", false).revoke(), "REVOKE \"own\"\"er\" FROM \"a\"");
    }

    #[test]
    fn what_was_handed_on_goes_first() {
        let chain = vec![membership("a", "postgres", true), membership("b", "a", true), membership("c", "b", true)];
        let members: Vec<String> = leaves_first(chain).into_iter().map(|one| one.member).collect();
        assert_eq!(members, ["c", "b", "a"]);
        // What the catalogs never hold must not keep us busy for ever either.
        let ring = vec![membership("a", "b", true), membership("b", "a", true)];
        assert_eq!(leaves_first(ring).len(), 2);
    }
}
