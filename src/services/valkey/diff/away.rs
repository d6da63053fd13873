//! What a node that cannot be asked, or was away and is back, means for what is planned. Pure.

use crate::core::address::Address;
use crate::core::change::Cause;
use crate::core::nodes::Nodes;
use crate::core::step::{Action, Hold, Reason};
use crate::services::valkey::model::{MISSING, UNEVEN_NODES, USER};
use crate::services::{Decision, Model, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A login that goes while a node is away is still there when the node comes back: until that is known, it stays ours.
pub fn keep_for_absent(step: &mut Step, unread: &BTreeMap<Address, String>) {
    let Some(why) = unread.get(&step.address) else { return };
    match step.action {
        Action::Destroy if step.address.kind == USER => {
            step.notes
                .push(format!("{why}: there the user stays, and it stays in the state until it is gone there too"));
        }
        Action::Destroy => {
            let reason = format!("{why}: what is there would stay; bring it back first");
            step.hold = Some(Hold::Blocked { reason });
        }
        Action::Forget if step.address.kind == USER => {
            let reason = format!(
                "{why}: the user may still be there, so it is not forgotten; it goes once the node is back (`nornplan \
                 doctor` says what to do if it never is)"
            );
            step.hold = Some(Hold::Blocked { reason });
        }
        Action::Rotate => {
            let note = format!("{why}: there the former password signs in until the node is back and the next apply");
            if !step.notes.is_empty() {
                step.notes.push(note);
            }
        }
        Action::Create
        | Action::Update
        | Action::Replace
        | Action::Adopt
        | Action::Forget
        | Action::Record
        | Action::Rename => {}
    }
}

/// What a node misses because it was away at the last apply was changed by nobody.
pub fn tell_from_drift(decision: &mut Decision, nodes: &Nodes) {
    let Some(user) = decision.before.as_ref().and_then(Model::as_valkey_user) else { return };
    let uneven = &user.uneven_nodes;
    if only_where_missed(uneven, nodes) {
        decision.reasons.insert(Reason::WasAway);
        return;
    }
    let back = &nodes.back;
    let was_away = |uneven: &String| uneven.split_once(" (").is_some_and(|(node, _)| back.contains(node));
    if uneven.is_empty() || !uneven.iter().all(was_away) {
        return;
    }
    for change in decision.changes.iter_mut().filter(|change| change.field == UNEVEN_NODES) {
        if change.cause == Cause::Drifted {
            change.cause = Cause::WasAway;
            decision.reasons.insert(Reason::WasAway);
        }
    }
    if !decision.changes.iter().any(|change| matches!(change.cause, Cause::Drifted | Cause::ChangedAndDrifted)) {
        decision.reasons.remove(&Reason::Drifted);
    }
}

/// Whether a user is on no node but some that were away: either it was destroyed meanwhile, or somebody removed it from
/// all others. Whoever knows whether it was destroyed can tell these apart.
fn only_where_missed(uneven: &BTreeSet<String>, nodes: &Nodes) -> bool {
    let is_missing = |node: &&String| uneven.contains(&format!("{node} ({MISSING})"));
    let mut others = nodes.here.difference(&nodes.back).peekable();
    !nodes.back.is_empty() && others.peek().is_some() && others.all(|node| is_missing(&node))
}
