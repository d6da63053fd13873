//! Whether the users of a saved plan get what is told of them: rules are told by what the infraspecs say, and what that
//! means depends on the server. Pure.

use super::as_of_now;
use super::words::Teller;
use crate::core::address::Address;
use crate::core::change::FieldChange;
use crate::core::reconcile::Applied;
use crate::core::step::Hold;
use crate::services::valkey::model::{Op as UserOp, RULES_IN_WORDS, User};
use crate::services::valkey::presets::{Expansion, Server};
use crate::services::{Model, Op, Step};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is wrong with a step on a user.
#[derive(Debug, PartialEq, Eq)]
pub enum Amiss {
    /// It would get other rules than what is declared means on this server.
    OtherRules,
    /// It would get, or lose, more than is told; or another thing was last applied when that was told.
    Untold,
}

/// The steps on users with which something is wrong.
///
/// Where the server is of another version than was planned for (`is_as_planned`), as while its nodes are upgraded one after
/// the other, commands may rightly be others: only keys and channels are looked at.
pub fn not_as_declared<'a>(
    steps: impl IntoIterator<Item = &'a Step>,
    applied: &BTreeMap<Address, Applied<Model>>,
    server: &Value,
    is_as_planned: bool,
) -> Vec<(&'a Step, Amiss)> {
    let Ok(server) = serde_json::from_value::<Server>(server.clone()) else { return Vec::new() };
    let (expansion, teller) = (Expansion::on(&server), Teller::new(Some(&server.catalogue)));
    let is_set =
        |step: &&Step| step.op == Op::Valkey(UserOp::SetUser) && !matches!(step.hold, Some(Hold::Blocked { .. }));
    let amiss = |step: &'a Step| {
        let after = step.after.as_ref().and_then(Model::as_valkey_user)?;
        let is_declared = after.namespace.is_some() || after.whole_database == Some(true) || server.sentinel;
        let mut meant = expansion.of(after);
        if !is_as_planned {
            (meant.commands, meant.databases) = (after.commands.clone(), after.databases.clone());
        }
        if after.access.is_none() || !is_declared || meant != *after {
            return Some((step, Amiss::OtherRules));
        }
        let there = step.before.as_ref().and_then(Model::as_valkey_user)?;
        let last = applied.get(&step.address).map(|last| as_of_now(last, Some(&server)).model);
        let last = last.as_ref().and_then(Model::as_valkey_user);
        (is_as_planned && !is_told(step, &teller, (there, after), last)).then_some((step, Amiss::Untold))
    };
    steps.into_iter().filter(is_set).filter_map(amiss).collect()
}

/// Whether a step tells a change as it is: by what the infraspec says otherwise than was applied last, or, where that may
/// have been another app's, all of it by what the rules allow. It tells nothing else in words.
fn is_told(step: &Step, teller: &Teller<'_>, (there, after): (&User, &User), last: Option<&User>) -> bool {
    let same = |one: &FieldChange, other: &FieldChange| {
        (&one.field, &one.before, &one.after) == (&other.field, &other.before, &other.after)
    };
    let is_among = |one: &FieldChange, all: &[FieldChange]| all.iter().any(|other| same(one, other));
    let is_so = |last: Option<&User>| {
        let told = teller.tell(there, after, last);
        let mut in_words = step.changes.iter().filter(|change| change.field == RULES_IN_WORDS);
        told.risks.is_subset(&step.risks)
            && told.changes.iter().all(|change| is_among(change, &step.changes))
            && in_words.all(|change| is_among(change, &told.changes))
    };
    is_so(last) || last.is_some() && is_so(None)
}
