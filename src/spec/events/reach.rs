//! What infraspecs say of Kafka that may not be meant: prefixes and groups that reach further than they look. Said in
//! every plan.

use crate::core::name::AppName;
use crate::core::plan::Level;
use crate::services::ServiceId;
use crate::spec::claims::Claim;
use crate::spec::model::Warning;
use crate::spec::names::Named;
use crate::spec::overlap::Loaded;
use std::collections::BTreeSet;

/// Names of groups that stand in tutorials and defaults: whoever copies one shares the group, and with it the messages.
const ANYBODYS: [&str; 14] = [
    "app",
    "connect",
    "consumer",
    "consumer-group",
    "consumers",
    "default",
    "dev",
    "foo",
    "group",
    "group1",
    "my-group",
    "mygroup",
    "test",
    "test-group",
];

/// Looks all apps over.
pub fn lint(loaded: &[Loaded]) -> Vec<Warning> {
    let apps: BTreeSet<&AppName> =
        loaded.iter().filter(|one| one.app.events.is_some()).map(|one| &one.app.name).collect();
    let claims = loaded.iter().flat_map(|one| one.claims.claims.iter().map(|claim| (&one.app.name, claim)));
    claims.filter_map(|(app, claim)| judge(app, claim, &apps)).collect()
}

fn judge(app: &AppName, claim: &Claim, apps: &BTreeSet<&AppName>) -> Option<Warning> {
    let name = &claim.name;
    let said = match claim.named {
        Named::Prefix => open_ended(name).or_else(|| anothers(name, app, apps))?,
        Named::Group if ANYBODYS.contains(&name.to_ascii_lowercase().as_str()) => format!(
            "the group {name:?} has a name that anybody may think of: whoever else takes it gets a part of the \
             messages; {app} and all that starts {app}. are the app's without saying so"
        ),
        Named::Group
        | Named::TransactionalId
        | Named::Topic
        | Named::Database
        | Named::Role
        | Named::Namespace
        | Named::KvUser
        | Named::KafkaUser => return None,
    };
    let text = format!("{}: {said}", claim.spot);
    Some(Warning { level: Level::Warning, app: app.clone(), service: ServiceId::Kafka, text })
}

/// A prefix that does not end where a name's part ends.
fn open_ended(prefix: &str) -> Option<String> {
    let ends = prefix.ends_with(['.', '-', '_']);
    (!ends).then(|| {
        format!(
            "the prefix {prefix:?} reaches {:?} as well; end it with a dot: {:?}",
            format!("{prefix}box"),
            format!("{prefix}.")
        )
    })
}

/// A prefix that starts as another app is called, which people take for that app's.
fn anothers(prefix: &str, app: &AppName, apps: &BTreeSet<&AppName>) -> Option<String> {
    let head = prefix.split('.').next().filter(|head| *head != app.as_str())?;
    let other = apps.iter().find(|other| other.as_str() == head)?;
    Some(format!(
        "the prefix {prefix:?} starts with the name of the app {other}, which could not have internal_topics then; start \
         it with {app}."
    ))
}
