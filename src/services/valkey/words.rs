//! Tells in words what a change of rules gives and takes. Pure.

use super::acl::{Catalogue, includes};
use super::model::User;
use crate::core::listing::some;
use crate::core::step::Risk;
use std::collections::BTreeSet;

/// What the reader of a plan should know of a change.
pub struct Told {
    pub risks: BTreeSet<Risk>,
    pub notes: Vec<String>,
}

/// How many names a note has at most.
const SHOWN: usize = 12;

/// Compares what a user may do now with what it shall be able to do.
pub fn tell(there: &User, wanted: &User, catalogue: Option<&Catalogue>) -> Told {
    let mut told = Told { risks: BTreeSet::new(), notes: Vec::new() };
    let commands = |user: &User| {
        let rules = user.commands.clone().unwrap_or_default();
        catalogue.and_then(|catalogue| catalogue.allowed(&rules)).unwrap_or_else(|| rules.into_iter().collect())
    };
    if wanted.commands.is_some() {
        told.compare("commands", &commands(there), &commands(wanted), |_, _| false);
    }
    told.compare("keys", &known(&there.keys), &known(&wanted.keys), covers);
    told.compare("channels", &known(&there.channels), &known(&wanted.channels), covers);
    told.compare("selectors", &known(&there.selectors), &known(&wanted.selectors), |_, _| false);
    match (&there.databases, &wanted.databases) {
        (Some(there), Some(wanted)) if there != wanted => {
            if there != "resetdbs" {
                told.risks.insert(Risk::Interrupts);
            }
            if there != "alldbs" {
                told.risks.insert(Risk::WidensAccess);
            }
            told.notes.push(format!("databases: {there} becomes {wanted}"));
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    if there.enabled != wanted.enabled {
        told.risks.insert(if wanted.enabled { Risk::WidensAccess } else { Risk::Interrupts });
        told.notes.push(if wanted.enabled { "it can sign in again" } else { "it can no longer sign in" }.to_owned());
    }
    if there.nopass && !wanted.nopass {
        told.risks.insert(Risk::Interrupts);
        told.notes.push("just any password signs in today: only the published one will".to_owned());
    }
    if let (Some(extra @ 1..), Some(0)) = (there.extra_passwords, wanted.extra_passwords) {
        told.risks.insert(Risk::Interrupts);
        told.notes.push(match extra {
            1 => "an extra password is accepted for this user: only the published one will be".to_owned(),
            _ => format!("{extra} extra passwords are accepted for this user: only the published one will be"),
        });
    }
    if there.skips_sanitizing && !wanted.skips_sanitizing {
        told.risks.insert(Risk::Interrupts);
        told.notes.push("what it gives to RESTORE goes unchecked today: it will be checked".to_owned());
    }
    if !there.uneven_nodes.is_empty() {
        // What a node has beyond the others is taken away there.
        if there.differs_somewhere() {
            told.risks.insert(Risk::Interrupts);
        }
        told.notes.push(format!("missing or different on {}", some(&there.uneven_nodes, SHOWN)));
    }
    told
}

impl Told {
    fn compare(
        &mut self,
        what: &str,
        there: &BTreeSet<String>,
        wanted: &BTreeSet<String>,
        covers: fn(&str, &str) -> bool,
    ) {
        let beyond = |some: &BTreeSet<String>, others: &BTreeSet<String>| -> BTreeSet<String> {
            let new = some.difference(others);
            new.filter(|one| !others.iter().any(|other| covers(other, one))).cloned().collect()
        };
        let (given, taken) = (beyond(wanted, there), beyond(there, wanted));
        if !given.is_empty() {
            self.risks.insert(Risk::WidensAccess);
            self.notes.push(format!("gives {what}: {}", some(&given, SHOWN)));
        }
        if !taken.is_empty() {
            self.risks.insert(Risk::Interrupts);
            self.notes.push(format!("takes {what} away: {}", some(&taken, SHOWN)));
        }
    }
}

fn known(set: &Option<BTreeSet<String>>) -> BTreeSet<String> {
    set.clone().unwrap_or_default()
}

/// Whether one key rule opens all that another opens: `~` opens more than `%R~`.
fn covers(wide: &str, narrow: &str) -> bool {
    let (Some((wide_mode, wide)), Some((narrow_mode, narrow))) = (wide.split_once('~'), narrow.split_once('~')) else {
        return wide == "&*";
    };
    (wide_mode.is_empty() || wide_mode == narrow_mode) && includes(wide, narrow)
}
