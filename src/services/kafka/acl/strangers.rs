//! Who else reaches what apps have, and who is kept out of it, by ACLs that no infraspec gives. Pure.

use super::authorizer::{EVERYBODY, implies, meet, takes_away};
use super::places::Places;
use crate::core::listing::some;
use crate::core::plan::Level;
use crate::services::kafka::model::Binding;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Who is not signed in, where a listener asks for no sign-in.
const ANONYMOUS: &str = "User:ANONYMOUS";
/// Principals, patterns and apps that are spelled out in one line; more are counted.
const SHOWN: usize = 3;
/// Lines of a plan; the doctor has all, up to its own bound.
const LINES_OF_A_PLAN: usize = 5;
const LINES_OF_THE_DOCTOR: usize = 20;
/// Operations, the most dangerous first.
const DANGERS: [&str; 11] = [
    "all",
    "alter",
    "cluster_action",
    "alter_configs",
    "delete",
    "write",
    "create",
    "read",
    "idempotent_write",
    "describe_configs",
    "describe",
];
/// With one of these on the cluster, what apps have is reached by whatever ACLs: operations, and how so.
const OVER_THE_CLUSTER: [(&str, &str); 5] = [
    ("all", SETS_ACLS),
    ("alter", SETS_ACLS),
    ("cluster_action", SETS_ACLS),
    ("alter_configs", "who may set the brokers' configs may have every message deleted"),
    ("create", "who may make any topic may take names that apps are to have"),
];
const SETS_ACLS: &str = "who may set ACLs may do everything";

/// An ACL and whose it is (`User:legacy`).
pub type Owned<'a> = (&'a str, &'a Binding);

/// Those that were found: by how bad it is and what they may do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Strangers(BTreeMap<Sort, BTreeSet<String>>);

/// What some strangers have in common. The worst comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sort {
    level: Level,
    danger: usize,
    may: String,
}

/// What one principal may do from one host: operations and what of apps they are about, by resource and pattern.
type Rights<'a> = BTreeMap<(&'a str, String), (BTreeSet<&'a str>, Vec<String>)>;

impl Strangers {
    /// Finds them among the ACLs of all principals that nobody knows.
    pub fn find(acls: &[Owned<'_>], places: &Places) -> Self {
        let denies: Vec<Owned<'_>> = acls.iter().filter(|(_, acl)| !acl.allow).copied().collect();
        let is_void = |(principal, acl): &Owned<'_>| {
            let theirs = denies.iter().filter(|(denied, _)| denied == principal || *denied == EVERYBODY);
            theirs.into_iter().any(|(_, deny)| takes_away(deny, acl))
        };
        let mut all: BTreeMap<(&str, &str), Rights<'_>> = BTreeMap::new();
        for (principal, acl) in acls.iter().filter(|owned| owned.1.allow && !is_void(owned)) {
            let reached = places.reached(acl);
            let rules = OVER_THE_CLUSTER.iter().any(|(operation, _)| acl.operation == *operation);
            if reached.is_empty() && !(acl.resource == "cluster" && rules) {
                continue;
            }
            let rights = all.entry((principal, acl.host.as_str())).or_default();
            let (operations, _) =
                rights.entry((acl.resource.as_str(), acl.pattern())).or_insert_with(|| (BTreeSet::new(), reached));
            operations.insert(&acl.operation);
        }
        let mut sorts: BTreeMap<Sort, BTreeSet<String>> = BTreeMap::new();
        for ((principal, host), rights) in all {
            sorts.entry(Sort::of(principal, host, &rights)).or_default().insert(principal.to_owned());
        }
        Self(sorts)
    }

    fn lines(&self) -> impl Iterator<Item = (Level, String)> {
        self.0.iter().map(|(sort, principals)| {
            let who = principals.iter().map(|principal| name(principal));
            (sort.level, format!("{} may {}", some(who, SHOWN), sort.may))
        })
    }

    /// For a plan: the worst of them, and how many more there are.
    pub fn sentences(&self) -> Vec<(Level, String)> {
        let said = |(level, line)| (level, format!("{line}, which no infraspec says"));
        let mut sentences: Vec<(Level, String)> = self.lines().take(LINES_OF_A_PLAN).map(said).collect();
        let more: BTreeSet<&String> = self.0.values().skip(LINES_OF_A_PLAN).flatten().collect();
        if !more.is_empty() {
            let text = format!("{} more principals reach what apps have: see `nornplan doctor`", more.len());
            sentences.push((Level::Warning, text));
        }
        sentences
    }

    /// For the doctor: line by line, who may do what; and whether everybody may.
    pub fn report(&self) -> Option<(Level, String)> {
        let worst = self.0.keys().next()?.level;
        let more = self.0.len().saturating_sub(LINES_OF_THE_DOCTOR);
        let rest = (more > 0).then(|| format!("and {more} more sorts of principals"));
        let lines: Vec<String> = self.lines().map(|(_, line)| line).take(LINES_OF_THE_DOCTOR).chain(rest).collect();
        Some((worst, format!("ACLs that no infraspec gives reach what apps have:\n{}", lines.join("\n"))))
    }
}

impl Sort {
    fn of(principal: &str, host: &str, rights: &Rights<'_>) -> Self {
        let rank = |operation: &&str| DANGERS.iter().position(|known| known == operation).unwrap_or(DANGERS.len());
        let worst = |operations: &BTreeSet<&str>| operations.iter().map(rank).min().unwrap_or(DANGERS.len());
        let danger = rights.values().map(|(operations, _)| worst(operations)).min().unwrap_or(DANGERS.len());
        let only_looks = DANGERS.get(danger).is_none_or(|worst| worst.starts_with("describe"));
        let is_everybody = [EVERYBODY, ANONYMOUS].contains(&principal);
        let level = if is_everybody && !only_looks { Level::Alarm } else { Level::Warning };
        let mut phrases: Vec<(Reverse<usize>, usize, String)> = Vec::new();
        for ((resource, pattern), (operations, reached)) in rights {
            let mut shown: Vec<&&str> =
                operations.iter().filter(|one| !operations.iter().any(|other| implies(other, one))).collect();
            shown.sort_by_key(|operation| rank(operation));
            let shown: Vec<String> = shown.into_iter().map(|operation| operation.replace('_', " ")).collect();
            let what = if reached.len() == 1 && reached.first() == Some(pattern) {
                String::new()
            } else if reached.is_empty() {
                let how = OVER_THE_CLUSTER.iter().find(|(operation, _)| operations.contains(operation));
                how.map(|(_, how)| format!(" ({how})")).unwrap_or_default()
            } else {
                format!(" (of apps: {})", some(reached, SHOWN))
            };
            let phrase = format!("{} {} {pattern}{what}", shown.join(", "), resource.replace('_', " "));
            phrases.push((Reverse(reached.len()), worst(operations), phrase));
        }
        phrases.sort_by(|one, other| (one.1, &one.0, &one.2).cmp(&(other.1, &other.0, &other.2)));
        let from = if host == "*" { String::new() } else { format!(" from {host}") };
        let more = phrases.len().saturating_sub(SHOWN);
        let rest = (more > 0).then(|| format!("and {more} more"));
        let phrases: Vec<String> = phrases.into_iter().map(|(_, _, phrase)| phrase).take(SHOWN).chain(rest).collect();
        Self { level, danger, may: format!("{}{from}", phrases.join("; ")) }
    }
}

/// As people know it.
fn name(principal: &str) -> String {
    match principal {
        EVERYBODY => "everybody (User:*)".to_owned(),
        other => other.to_owned(),
    }
}

/// A resource, its pattern and the host of a DENY.
type Denied<'a> = (&'a str, String, &'a str);

/// What everybody is denied and apps are to have: a DENY wins over whatever allows it. By app name in `allowed`.
pub fn shut_out<'a>(acls: &[Owned<'_>], allowed: &[(&'a str, &'a BTreeSet<Binding>)]) -> Vec<String> {
    let denies = acls.iter().filter(|(principal, acl)| *principal == EVERYBODY && !acl.allow);
    let mut found: BTreeMap<Denied<'_>, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for (_, deny) in denies {
        let denies = |acl: &&Binding| {
            acl.allow && meet(deny, acl) && (deny.operation == "all" || deny.operation == acl.operation)
        };
        let apps = allowed.iter().filter(|(_, acls)| acls.iter().any(|acl| denies(&acl))).map(|(app, _)| *app);
        let apps: BTreeSet<&str> = apps.collect();
        if !apps.is_empty() {
            let key = (deny.resource.as_str(), deny.pattern(), deny.host.as_str());
            let (operations, of) = found.entry(key).or_default();
            operations.insert(&deny.operation);
            of.extend(apps);
        }
    }
    let tell = |((resource, pattern, host), (operations, apps)): (Denied<'_>, (BTreeSet<&str>, BTreeSet<&str>))| {
        let what: Vec<String> = operations.into_iter().map(|operation| operation.replace('_', " ")).collect();
        let (what, resource) = (what.join(", "), resource.replace('_', " "));
        let from = if host == "*" { String::new() } else { format!(" from {host}") };
        format!(
            "everybody (User:*) is denied {what} on {resource} {pattern}{from}: {} cannot, whatever they are allowed",
            some(apps, SHOWN)
        )
    };
    found.into_iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let mut places = Places::default();
        for (resource, name) in [("topic", "mail.in"), ("topic", "mail.out"), ("topic", "orders"), ("group", "mail")] {
            places.add(resource, name, false);
        }
        for (resource, name) in [("topic", "mail."), ("group", "mail."), ("transactional_id", "mail.")] {
            places.add(resource, name, true);
        }
        places
    }

    fn owned(texts: &[&str]) -> Vec<(String, Binding)> {
        let owned = |text: &&str| {
            let (principal, acl) = text.split_once(' ').unwrap();
            (principal.to_owned(), Binding::try_from(acl.to_owned()).unwrap())
        };
        texts.iter().map(owned).collect()
    }

    fn refs(all: &[(String, Binding)]) -> Vec<Owned<'_>> {
        all.iter().map(|(principal, acl)| (principal.as_str(), acl)).collect()
    }

    #[test]
    fn who_reaches_what_apps_have_is_told_with_what_it_reaches() {
        type Case<'a> = (&'a [&'a str], &'a [(Level, &'a str)]);
        let cases: [Case<'_>; 16] = [
            (&["User:x allow read topic other"], &[]),
            (
                &[
                    "User:x allow read topic mailbox",
                    "User:x allow read topic mail.",
                    "User:x allow describe cluster kafka-cluster",
                ],
                &[(Level::Warning, "User:x may read topic mail.")],
            ),
            (&["User:x allow read topic mail. (prefix)"], &[(Level::Warning, "User:x may read topic mail.*")]),
            (&["User:x allow read topic mail.secret"], &[(Level::Warning, "User:x may read topic mail.secret")]),
            (
                &["User:x allow describe topic *", "User:x allow read topic *", "User:x allow write topic *"],
                &[(Level::Warning, "User:x may write, read topic * (of apps: mail.*, orders)")],
            ),
            (
                &["User:x allow read topic ma (prefix)"],
                &[(Level::Warning, "User:x may read topic ma* (of apps: mail.*)")],
            ),
            (
                &["User:x allow alter_configs cluster kafka-cluster", "User:x allow create cluster kafka-cluster"],
                &[(
                    Level::Warning,
                    "User:x may alter configs, create cluster kafka-cluster (who may set the brokers' configs may have every \
                     message deleted)",
                )],
            ),
            (
                &["User:x allow create cluster kafka-cluster"],
                &[(
                    Level::Warning,
                    "User:x may create cluster kafka-cluster (who may make any topic may take names that apps are to have)",
                )],
            ),
            (
                &["User:* allow create cluster kafka-cluster"],
                &[(
                    Level::Alarm,
                    "everybody (User:*) may create cluster kafka-cluster (who may make any topic may take names that apps are \
                     to have)",
                )],
            ),
            (&["User:x allow read group mail.y"], &[(Level::Warning, "User:x may read group mail.y")]),
            (&["User:x allow read topic *", "User:x deny read topic *"], &[]),
            (&["User:x allow read topic *", "User:* deny all topic *"], &[]),
            (&["User:* allow read topic orders"], &[(Level::Alarm, "everybody (User:*) may read topic orders")]),
            (
                &["User:* allow describe topic orders"],
                &[(Level::Warning, "everybody (User:*) may describe topic orders")],
            ),
            (
                &["User:x allow alter cluster kafka-cluster from 10.0.0.1"],
                &[(
                    Level::Warning,
                    "User:x may alter cluster kafka-cluster (who may set ACLs may do everything) from 10.0.0.1",
                )],
            ),
            (
                &[
                    "User:z allow describe topic orders",
                    "User:b allow read topic orders",
                    "User:a allow read topic orders",
                    "User:* allow write topic orders",
                ],
                &[
                    (Level::Alarm, "everybody (User:*) may write topic orders"),
                    (Level::Warning, "User:a, User:b may read topic orders"),
                    (Level::Warning, "User:z may describe topic orders"),
                ],
            ),
        ];
        for (acls, expected) in cases {
            let acls = owned(acls);
            let lines: Vec<(Level, String)> = Strangers::find(&refs(&acls), &places()).lines().collect();
            let expected: Vec<(Level, String)> =
                expected.iter().map(|(level, text)| (*level, (*text).to_owned())).collect();
            assert_eq!(lines, expected, "{acls:?}");
        }
    }

    #[test]
    fn many_are_counted() {
        let texts: Vec<String> =
            (0..40).map(|number| format!("User:x{number} allow read topic mail.{number}")).collect();
        let all = owned(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let strangers = Strangers::find(&refs(&all), &places());
        let sentences = strangers.sentences();
        assert_eq!(sentences.len(), 6);
        assert!(sentences[5].1.starts_with("35 more principals"), "{sentences:?}");
        assert_eq!(strangers.report().unwrap().1.lines().count(), 22);
        assert_eq!((Strangers::default().sentences(), Strangers::default().report()), (Vec::new(), None));
    }

    #[test]
    fn a_deny_of_everybody_is_told_with_whom_it_keeps_out() {
        let bindings = |texts: &[&str]| -> BTreeSet<Binding> {
            texts.iter().map(|text| Binding::try_from((*text).to_owned()).unwrap()).collect()
        };
        let (mail, shop) = (
            bindings(&["allow write topic mail. (prefix)", "allow describe topic mail. (prefix)"]),
            bindings(&["allow read topic orders"]),
        );
        let allowed = [("mail-agent", &mail), ("shop", &shop)];
        let said = |texts: &[&str]| shut_out(&refs(&owned(texts)), &allowed);
        assert_eq!(
            said(&["User:* deny write topic mail. (prefix)"]),
            ["everybody (User:*) is denied write on topic mail.*: mail-agent cannot, whatever they are allowed"]
        );
        assert_eq!(said(&["User:* deny all topic * from 10.0.0.1"]).len(), 1);
        assert!(said(&["User:* deny all topic *"])[0].contains("mail-agent, shop"));
        for nothing in [
            "User:* deny read topic mail.in",
            "User:x deny all topic *",
            "User:* deny write topic mailbox",
            "User:* allow write topic mail.in",
        ] {
            assert_eq!(said(&[nothing]), [""; 0], "{nothing}");
        }
    }
}
