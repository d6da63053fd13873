//! What cannot be told because a node could not be asked: the rest is not taken as the whole. And which nodes of earlier
//! runs are none any more.

use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::valkey::connect::{Found, Left, Unreached};
use crate::services::valkey::model::USER;
use crate::services::{Ask, Check};
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes or users are named in one line.
const SHOWN: usize = 3;

fn cannot(absent: &Unreached) -> String {
    format!("{} cannot be reached ({})", absent.node, absent.error.message)
}

/// What the reader of a plan must know of them.
pub fn notices(found: &Found, ask: &Ask) -> Vec<Notice> {
    let absent = found.unreached.iter().map(|absent| {
        let gone = match &absent.gone {
            Some(command) => format!("if it is gone for good: `{command}`"),
            None => "`nornplan doctor` says what to do".to_owned(),
        };
        format!(
            "{}: the users there are not known, and are set by the next apply once it is back; {gone}",
            cannot(absent)
        )
    });
    let left = found.left.iter().map(|left| farewell(left, ask));
    let notice = |text| Notice { level: Level::Warning, about: "valkey".to_owned(), text };
    absent.chain(left).chain(found.warnings.iter().cloned()).map(notice).collect()
}

/// What is said of a node that is none any more: whoever starts it again starts it with the users that it had.
fn farewell(left: &Left, ask: &Ask) -> String {
    let ours = ask.applied.keys().filter(|address| address.kind == USER).count();
    let users = match ours {
        0 => "users of ours may still be there".to_owned(),
        1 => "the user of ours may still be there, and sign in if it is started again".to_owned(),
        count => format!("{count} users of ours may still be there, and sign in if it is started again"),
    };
    format!(
        "{} was a node at the last apply, and is none any more: {}; {users}; the next apply forgets it",
        left.node, left.why
    )
}

/// Every resource that was asked for is known in part at most while a node is absent.
pub fn unread(found: &Found, ask: &Ask) -> BTreeMap<Address, String> {
    let Some(why) = why(found) else { return BTreeMap::new() };
    ask.addresses().into_iter().map(|address| (address.clone(), why.clone())).collect()
}

/// Which nodes are absent, and why, in one line; `None` if all are there.
fn why(found: &Found) -> Option<String> {
    let all: BTreeSet<String> = found.unreached.iter().map(cannot).collect();
    (!all.is_empty()).then(|| some(all, SHOWN))
}

/// The names of the absent nodes in one line; `None` if all are there.
pub fn names(found: &Found) -> Option<String> {
    let all: BTreeSet<&str> = found.unreached.iter().map(|absent| absent.node.as_str()).collect();
    (!all.is_empty()).then(|| some(all, SHOWN))
}

/// As `nornplan doctor` tells it, but for sentinels, which it looks over by themselves.
pub fn checks(found: &Found, ask: &Ask) -> Vec<Check> {
    let absent = found.unreached.iter().filter(|absent| !absent.sentinel).map(|absent| Check::failed(&absent.error));
    let left = found.left.iter().map(|left| Check::warning(farewell(left, ask), "look after that node, or wipe it"));
    let hint = "see what `CLUSTER NODES` says of each node";
    absent.chain(left).chain(found.warnings.iter().map(|warning| Check::bad(warning, hint))).collect()
}
