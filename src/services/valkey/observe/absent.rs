//! What cannot be told because a node could not be asked: the rest is not taken as the whole.

use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::valkey::connect::{Found, Unreached};
use crate::services::{Ask, Check};
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes are named in one line.
const SHOWN: usize = 3;

fn cannot(absent: &Unreached) -> String {
    format!("{} cannot be reached ({})", absent.node, absent.error.message)
}

/// What the reader of a plan must know of them.
pub fn notices(found: &Found) -> Vec<Notice> {
    let absent = found.unreached.iter().map(|absent| {
        format!(
            "{}: the users there are not known, and are set by the next apply once it is back; `nornplan doctor` says \
             what to do",
            cannot(absent)
        )
    });
    let notice = |text| Notice { level: Level::Warning, about: "valkey".to_owned(), text };
    absent.chain(found.warnings.iter().cloned()).map(notice).collect()
}

/// Every resource that was asked for is known in part at most while a node is absent.
pub fn unread(found: &Found, ask: &Ask) -> BTreeMap<Address, String> {
    if found.unreached.is_empty() {
        return BTreeMap::new();
    }
    let why = some(found.unreached.iter().map(cannot).collect::<BTreeSet<_>>(), SHOWN);
    ask.addresses().into_iter().map(|address| (address.clone(), why.clone())).collect()
}

/// As `nornplan doctor` tells it, but for sentinels, which it looks over by themselves.
pub fn checks(found: &Found) -> Vec<Check> {
    let absent = found.unreached.iter().filter(|absent| !absent.sentinel).map(|absent| Check::failed(&absent.error));
    let hint = "see what `CLUSTER NODES` says of each node";
    absent.chain(found.warnings.iter().map(|warning| Check::bad(warning, hint))).collect()
}
