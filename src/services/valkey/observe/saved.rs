//! What the nodes would have after a restart, as far as that can be seen from here.

use super::Seen;
use super::notices::places;
use super::user_file::{UserFile, user_file};
use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::valkey::acl::{Account, Meaning, parse_line, rules_of, saved_accounts};
use crate::services::valkey::everybody::{Open, open};
use crate::services::valkey::model::{USER, User, persistence_address};
use crate::services::valkey::node::Node;
use crate::services::valkey::presets::Persistence;
use crate::services::valkey::unsaved::{Fate, Unsaved};
use crate::services::{Ask, Observed, ServiceId};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Users that are spelled out in one line; more are counted.
const NAMES_SHOWN: usize = 5;

/// One node after a restart.
pub struct AtRestart {
    pub node: String,
    /// Where it saves its users; `None` where that cannot be seen from here.
    pub file: Option<UserFile>,
    pub persistence: Persistence,
    /// Whether what it has saved could be compared with what it has.
    pub compared: bool,
    /// What becomes of users that are wanted or ours and are not saved as they are.
    pub ours: BTreeMap<String, Fate>,
    /// Users of others that are not saved as they are.
    pub others: BTreeSet<String>,
    /// Users that would ask for no password, and do now or may do less now.
    pub open: Vec<(String, Open)>,
}

/// Looks at what every node has saved.
pub async fn at_restart(nodes: &[Node], seen: &[Seen], ask: &Ask) -> Vec<AtRestart> {
    let each = nodes.iter().zip(seen).map(async |(node, seen)| of_one(seen, user_file(node, &seen.server).await, ask));
    join_all(each).await
}

fn of_one(seen: &Seen, file: Option<UserFile>, ask: &Ask) -> AtRestart {
    let text = file.as_ref().and_then(|file| file.text.as_deref());
    let saved = text.and_then(|text| saved_accounts(text, seen.server.database_rules));
    let unseen = AtRestart::unseen(&seen.node, seen.server.persistence());
    let mut at = AtRestart { compared: saved.is_some(), file, ..unseen };
    let Some(mut saved) = saved else { return at };
    if at.persistence == Persistence::AclFile {
        // Where the file does not name it, it is as it was made, and `requirepass` counts for nothing.
        let as_made = || parse_line("user default on nopass ~* &* +@all", seen.server.database_rules).ok();
        saved.entry("default".to_owned()).or_insert_with(as_made);
    }
    let (ours, places) = (ask.names(&USER), places(ask));
    let catalogue = &seen.server.catalogue;
    let meaning = Meaning::new(catalogue);
    for name in differing(seen, &saved, &meaning) {
        let there = seen.accounts.get(name);
        let saved = saved.get(name).and_then(Option::as_ref);
        if ours.contains(name) {
            at.ours.insert(name.to_owned(), fate(there, saved, &meaning));
        } else {
            at.others.insert(name.to_owned());
        }
        let opens = |account: Option<&Account>| open(&account?.user, catalogue, &places);
        let is_new = |opened: &Open| opened.is_alarming() && opens(there).as_ref() != Some(opened);
        if let Some(opened) = opens(saved).filter(is_new) {
            at.open.push((name.to_owned(), opened));
        }
    }
    at
}

/// Users that a node has otherwise than its file, or that only one of them has.
fn differing<'a>(
    seen: &'a Seen,
    saved: &'a BTreeMap<String, Option<Account>>,
    meaning: &Meaning<'_>,
) -> BTreeSet<&'a str> {
    // A configuration file need not name `default`: `requirepass` and the server's own defaults stand for it.
    let is_implied = |name: &str| name == "default" && seen.server.persistence() == Persistence::ConfigFile;
    let differs = |name: &&str| match (seen.accounts.get(*name), saved.get(*name)) {
        (Some(_), None) if is_implied(name) => false,
        (Some(there), Some(Some(saved))) => !meaning.same_account(there, saved),
        (Some(_), Some(None)) | (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    };
    seen.accounts.keys().chain(saved.keys()).map(String::as_str).filter(differs).collect()
}

/// What a restart makes of a user that is saved otherwise than it is.
fn fate(there: Option<&Account>, saved: Option<&Account>, meaning: &Meaning<'_>) -> Fate {
    let (Some(there), Some(saved)) = (there, saved.filter(|saved| saved.user.enabled)) else {
        return if there.is_none() { Fate::ComesBack } else { Fate::Lost };
    };
    if saved.user.nopass && !there.user.nopass {
        Fate::NeedsNoPassword
    } else if may_more(&saved.user, &there.user, meaning) {
        Fate::MayMore
    } else if saved.hashes.is_superset(&there.hashes) && saved.hashes != there.hashes {
        Fate::TakesMorePasswords
    } else {
        Fate::Lost
    }
}

/// Whether one user may do something that another may not: then the other one, with the first one's rules beside its own,
/// may do more than without.
fn may_more(one: &User, other: &User, meaning: &Meaning<'_>) -> bool {
    let more = one.selectors.iter().flatten().cloned().chain([rules_of(one).selector()]);
    let selectors = other.selectors.iter().flatten().cloned().chain(more).collect();
    !meaning.same(&User { selectors: Some(selectors), ..other.clone() }, other)
}

/// What would be lost at the next restart, where anything can be saved at all.
pub fn unsaved(nodes: &[AtRestart], seen: &[Seen], ask: &Ask) -> Option<(Address, Observed)> {
    if seen.iter().all(|node| node.server.persistence() == Persistence::Volatile) {
        return None;
    }
    let users = nodes.iter().filter(|at| !at.ours.is_empty()).map(|at| (at.node.clone(), at.ours.clone())).collect();
    let others = nodes.iter().flat_map(|at| &at.others).cloned().collect();
    let unsaved = Unsaved { by_earlier_run: ask.unsaved, users, others };
    Some((persistence_address(), unsaved.observed()?))
}

impl AtRestart {
    /// Of a node that is somewhere else.
    pub fn unseen(node: &str, persistence: Persistence) -> Self {
        Self {
            node: node.to_owned(),
            file: None,
            persistence,
            compared: false,
            ours: BTreeMap::new(),
            others: BTreeSet::new(),
            open: Vec::new(),
        }
    }

    fn path(&self) -> String {
        self.file.as_ref().map(|file| file.path.display().to_string()).unwrap_or_default()
    }

    /// What saves what the server has now, over what it has saved.
    pub fn saved_by(&self) -> &'static str {
        match self.persistence {
            _ if !self.ours.is_empty() => "`nornplan apply`",
            Persistence::ConfigFile => "CONFIG REWRITE",
            Persistence::AclFile | Persistence::Volatile | Persistence::Unknown => "ACL SAVE",
        }
    }

    /// What would be open after a restart and is not now, in sentences.
    pub fn dangers(&self) -> Vec<String> {
        let path = self.path();
        let open = self
            .open
            .iter()
            .map(|(user, open)| format!("after the next restart, {}: so it stands in {path}", open.describe(user)));
        let would = |fate: Fate, what: &str| {
            let those: Vec<&String> = self.ours.iter().filter(|(_, one)| **one == fate).map(|(name, _)| name).collect();
            let told = || {
                format!("after the next restart, {what}, by what stands in {path}: {}", some(those.iter(), NAMES_SHOWN))
            };
            (!those.is_empty()).then(told)
        };
        let more = would(Fate::MayMore, "these users may do more than now");
        let passwords = would(Fate::TakesMorePasswords, "these users take passwords that they do not take now");
        open.chain(more).chain(passwords).collect()
    }
}

/// What must be known of what every node has saved and can save.
pub fn notices(nodes: &[AtRestart]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for at in nodes {
        let mut tell = |level, text: String| {
            let about = ServiceId::Valkey.as_str().to_owned();
            notices.push(Notice { level, about, text: format!("{}: {text}", at.node) });
        };
        for danger in at.dangers() {
            tell(Level::Alarm, format!("{danger}. {} saves what the server has now", at.saved_by()));
        }
        let Some(file) = &at.file else { continue };
        let path = file.path.display();
        match &file.obstacle {
            Some(obstacle) => tell(
                Level::Warning,
                format!(
                    "users cannot be saved in {path}: {}; every apply stops before it changes anything. {}",
                    obstacle.why, obstacle.next
                ),
            ),
            None if file.missing => tell(
                Level::Warning,
                format!(
                    "{path} is gone, and without it the server does not start again: what saves users makes it anew"
                ),
            ),
            None => {}
        }
    }
    notices
}
