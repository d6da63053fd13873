//! How a broker decides by ACLs: Kafka's StandardAuthorizer (StandardAuthorizerData.java of 4.1), which Redpanda's agrees
//! with for principals of the kind `User:`. Pure.

use crate::services::kafka::model::Binding;

/// Stands for every user in an ACL.
pub const EVERYBODY: &str = "User:*";

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// `User:mail-agent`.
    pub principal: &'a str,
    /// Its address, as ACLs spell it.
    pub host: &'a str,
    pub resource: &'a str,
    pub name: &'a str,
    pub operation: &'a str,
}

/// What ACLs say of it. Super users are asked nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// By a DENY, whatever else allows it.
    Denied,
    /// There are ACLs on the resource, and none lets it.
    NotAllowed,
    /// There is no ACL on the resource at all, of anybody: `allow.everyone.if.no.acl.found` decides.
    NoAcls,
}

/// Decides by all ACLs that there are, with whose each is (`User:mail-agent`).
pub fn decide<'a>(acls: impl IntoIterator<Item = (&'a str, &'a Binding)>, deed: &Deed<'_>) -> Verdict {
    let mut verdict = Verdict::NoAcls;
    for (principal, acl) in acls {
        if !is_about(acl, deed.resource, deed.name) {
            continue;
        }
        if verdict == Verdict::NoAcls {
            verdict = Verdict::NotAllowed;
        }
        let is_theirs =
            (principal == deed.principal || principal == EVERYBODY) && (acl.host == "*" || acl.host == deed.host);
        if !is_theirs || !means(acl, deed.operation) {
            continue;
        }
        if !acl.allow {
            return Verdict::Denied;
        }
        verdict = Verdict::Allowed;
    }
    verdict
}

/// Whether an ACL is about a resource. A prefix of `*` is the letter; no other name than the literal `*` is a wildcard.
pub fn is_about(acl: &Binding, resource: &str, name: &str) -> bool {
    let matches = if acl.prefixed { name.starts_with(&acl.name) } else { acl.name == name || acl.name == "*" };
    acl.resource == resource && matches
}

/// Whether an ACL's operation takes another in. Only what allows implies anything: a denied read leaves describe.
fn means(acl: &Binding, operation: &str) -> bool {
    let has = acl.operation.as_str();
    has == "all" || has == operation || (acl.allow && implies(has, operation))
}

/// Whether an allowed operation brings another with it.
pub fn implies(has: &str, operation: &str) -> bool {
    match operation {
        "describe" => ["read", "write", "delete", "alter"].contains(&has),
        "describe_configs" => has == "alter_configs",
        _ => false,
    }
}

/// Whether all that an ACL is about is what another is about too: `mail.` (prefix) covers `mail.inbound`.
fn covers(wide: &Binding, narrow: &Binding) -> bool {
    let names = match (wide.prefixed, narrow.prefixed) {
        _ if wide.is_every() => true,
        (true, true | false) => narrow.name.starts_with(&wide.name) && !narrow.is_every(),
        (false, false) => narrow.name == wide.name,
        (false, true) => false,
    };
    wide.resource == narrow.resource && names && (wide.host == "*" || wide.host == narrow.host)
}

/// Whether ACLs of the same principal give all that one gives, so that it may come or go and changes nothing.
pub fn gives_already<'a>(others: impl IntoIterator<Item = &'a Binding>, one: &Binding) -> bool {
    others.into_iter().any(|other| other.allow && covers(other, one) && gives(other, one))
}

/// Whether an allowed operation takes in all of another, which may be `all`.
fn gives(other: &Binding, one: &Binding) -> bool {
    other.operation == "all" || other.operation == one.operation || implies(&other.operation, &one.operation)
}

/// Whether a DENY takes away all that another ACL allows.
pub fn takes_away(deny: &Binding, allowed: &Binding) -> bool {
    !deny.allow && covers(deny, allowed) && (deny.operation == "all" || deny.operation == allowed.operation)
}

/// Whether there is a resource that both ACLs are about, from whatever host.
pub fn meet(one: &Binding, other: &Binding) -> bool {
    let names = match (one.prefixed, other.prefixed) {
        _ if one.is_every() || other.is_every() => true,
        (false, false) => one.name == other.name,
        (true, false) => other.name.starts_with(&one.name),
        (false, true) => one.name.starts_with(&other.name),
        (true, true) => one.name.starts_with(&other.name) || other.name.starts_with(&one.name),
    };
    one.resource == other.resource && names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(text: &str) -> (String, Binding) {
        let (principal, binding) = text.split_once(' ').unwrap();
        (format!("User:{principal}"), Binding::try_from(binding.to_owned()).unwrap())
    }

    #[test]
    fn deny_wins_and_only_allow_implies() {
        use Verdict::{Allowed, Denied, NoAcls, NotAllowed};
        let cases: [(&[&str], &str, Verdict); 19] = [
            (&[], "read", NoAcls),
            (&["a allow read group orders"], "read", NoAcls),
            (&["b allow read topic orders"], "read", NotAllowed),
            (&["b allow read topic ord (prefix)"], "read", NotAllowed),
            (&["a allow read topic orders"], "read", Allowed),
            (&["a allow read topic orders"], "describe", Allowed),
            (&["a allow read topic orders"], "write", NotAllowed),
            (&["a allow create topic orders"], "describe", NotAllowed),
            (&["a allow all topic orders"], "alter_configs", Allowed),
            (&["a allow alter_configs topic orders"], "describe_configs", Allowed),
            (&["a allow alter topic orders"], "describe_configs", NotAllowed),
            (&["a allow read topic *", "* deny read topic ord (prefix)"], "read", Denied),
            (&["* deny read topic ord (prefix)", "a allow read topic orders"], "read", Denied),
            (&["a allow read topic orders", "a deny read topic orders"], "describe", Allowed),
            (&["a allow read topic orders", "a deny describe topic orders"], "read", Allowed),
            (&["a allow read topic orders", "a deny all topic orders from 10.0.0.2"], "read", Allowed),
            (&["a allow read topic orders from 10.0.0.2"], "read", NotAllowed),
            (&["a allow read topic * (prefix)"], "read", NoAcls),
            (&["* allow read topic orders"], "read", Allowed),
        ];
        for (acls, operation, expected) in cases {
            let acls: Vec<_> = acls.iter().map(|text| acl(text)).collect();
            let deed = Deed { principal: "User:a", host: "10.0.0.1", resource: "topic", name: "orders", operation };
            let verdict = decide(acls.iter().map(|(principal, acl)| (principal.as_str(), acl)), &deed);
            assert_eq!(verdict, expected, "{acls:?} {operation}");
        }
    }

    #[test]
    fn what_comes_or_goes_may_change_nothing() {
        let binding = |text: &str| Binding::try_from(text.to_owned()).unwrap();
        let cases = [
            ("allow read topic mail. (prefix)", "allow describe topic mail.in", true),
            ("allow read topic mail. (prefix)", "allow read topic mail. (prefix)", true),
            ("allow read topic mail. (prefix)", "allow read topic mail (prefix)", false),
            ("allow read topic *", "allow read topic mail (prefix)", true),
            ("allow read topic mail.in", "allow read topic mail. (prefix)", false),
            ("allow read topic m (prefix)", "allow read topic *", false),
            ("allow all topic mail.in", "allow write topic mail.in from 10.0.0.1", true),
            ("allow all topic mail.in from 10.0.0.1", "allow write topic mail.in", false),
            ("allow read topic mail.in", "allow all topic mail.in", false),
            ("deny all topic mail.in", "allow read topic mail.in", false),
            ("allow read group mail", "allow read topic mail", false),
        ];
        for (other, one, expected) in cases {
            assert_eq!(gives_already([&binding(other)], &binding(one)), expected, "{other}; {one}");
        }
    }

    #[test]
    fn patterns_meet_where_a_name_could_be_in_both() {
        let meet_by = |one: &str, other: &str| {
            let binding = |text: &str| Binding::try_from(format!("allow read topic {text}")).unwrap();
            assert_eq!(meet(&binding(one), &binding(other)), meet(&binding(other), &binding(one)));
            meet(&binding(one), &binding(other))
        };
        for (one, other) in
            [("*", "x"), ("*", "x (prefix)"), ("x", "x"), ("x (prefix)", "xy"), ("x (prefix)", "xyz (prefix)")]
        {
            assert!(meet_by(one, other), "{one} {other}");
        }
        for (one, other) in [("x", "y"), ("xy (prefix)", "x"), ("x (prefix)", "y (prefix)"), ("* (prefix)", "x")] {
            assert!(!meet_by(one, other), "{one} {other}");
        }
    }
}
