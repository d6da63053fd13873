//! What is done to the user `default`, and where it would shut somebody out who must stay in.

use super::Server;
use crate::core::listing::some;
use crate::core::reconcile::reconcile;
use crate::core::step::{Action, Hold, Reason, Risk};
use crate::services::valkey::model::{Accepts, DEFAULT_USER, DefaultUser, Mode, Op as UserOp, UsedBy};
use crate::services::{Decision, DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Names that are spelled out in one note; more are counted.
const NAMES_SHOWN: usize = 5;

/// The one step, if any.
pub fn diff(input: DiffInput<'_>, server: Option<&Server>) -> Vec<Step> {
    let is_it = |model: &Model| model.as_valkey_default_user().is_some();
    let wanted = input.wanted.iter().filter(|(_, wanted)| is_it(&wanted.model));
    let wanted: BTreeMap<_, _> = wanted.map(|(address, wanted)| (address.clone(), wanted.clone())).collect();
    let applied = input.applied.iter().filter(|(address, _)| address.kind == DEFAULT_USER);
    let applied: BTreeMap<_, _> = applied.map(|(address, applied)| (address.clone(), applied.clone())).collect();
    if wanted.is_empty() && applied.is_empty() {
        return Vec::new();
    }
    let decisions = reconcile(&wanted, &input.observation.models(), &applied);
    decisions.into_iter().map(|decision| step(decision, input, server)).collect()
}

fn step(decision: Decision, input: DiffInput<'_>, server: Option<&Server>) -> Step {
    let (before, after) = (decision.before.clone(), decision.after.clone());
    let mut step = decision.step(Op::State);
    let before = before.as_ref().and_then(Model::as_valkey_default_user);
    let Some(after) = after.as_ref().and_then(Model::as_valkey_default_user) else {
        leave(&mut step);
        return step;
    };
    if step.action.only_state() {
        return step;
    }
    step.op = Op::Valkey(UserOp::SetDefaultUser);
    let used_by = input.observation.resources.get(&step.address).and_then(|there| there.facts.get("used_by"));
    let used_by: UsedBy = used_by.and_then(|facts| serde_json::from_value(facts.clone()).ok()).unwrap_or_default();
    tell(&mut step, before, after, &used_by);
    let unread = input.observation.unread.get(&step.address);
    step.hold = super::blocked(&step.address, step.action, server)
        .or_else(|| {
            unread.map(|why| Hold::Blocked { reason: format!("{why}: whether it relies on this user is not known") })
        })
        .or_else(|| shut_out(after, &used_by).map(|reason| Hold::Blocked { reason }))
        .or_else(|| cuts_off(&step).then_some(Hold::Interrupt));
    step
}

/// Whether somebody who may come in as it until now is shut out by an edit. Who came in since it was closed was never let
/// in: that is drift, and is repaired unasked.
fn cuts_off(step: &Step) -> bool {
    let edited = [Reason::ChangedInSpec, Reason::NotOursYet].iter().any(|reason| step.reasons.contains(reason));
    edited && step.risks.contains(&Risk::Interrupts)
}

/// A user that is no longer to be kept off: nothing is changed.
fn leave(step: &mut Step) {
    step.action = Action::Forget;
    step.before = None;
    step.changes.clear();
    step.notes.push(
        "it stays as it is; to let people in again by hand: ACL SETUSER default on, and a password or nopass"
            .to_owned(),
    );
}

fn tell(step: &mut Step, before: Option<&DefaultUser>, after: &DefaultUser, used_by: &UsedBy) {
    if let Some(uneven) = before.map(|before| &before.uneven_nodes).filter(|nodes| !nodes.is_empty()) {
        step.notes.push(format!("only on {} of {} nodes: {}", uneven.len(), used_by.nodes, some(uneven, NAMES_SHOWN)));
    }
    let is_on = before.is_none_or(|before| before.enabled);
    if !is_on {
        step.risks.insert(Risk::WidensAccess);
        step.notes.push("whoever has the administrator's password can sign in as it again".to_owned());
        return;
    }
    step.notes.push(match after.mode {
        Some(Mode::AdminOnly) => match before.and_then(|before| before.accepts) {
            Some(Accepts::Anything) => "no password is needed today: only the one that nornplan signs in with will do",
            Some(Accepts::OtherPasswords) => "other passwords sign in as it today: only the one that nornplan signs in with will",
            Some(Accepts::AdminPassword | Accepts::NoPassword) | None => {
                "only the password that nornplan signs in with will do"
            }
        },
        Some(Mode::Off) | None => {
            "who does not sign in, or gives a password without a user's name, gets nothing from then on; its passwords and \
             rules stay"
        }
    }
    .to_owned());
    if !used_by.clients_unknown.is_empty() {
        step.risks.insert(Risk::Interrupts);
        let nodes = some(&used_by.clients_unknown, NAMES_SHOWN);
        step.notes.push(format!(
            "who is connected as it is not known: {} may not run CLIENT ID and CLIENT LIST on {nodes}",
            used_by.admin
        ));
    }
    if used_by.clients > 0 {
        step.risks.insert(Risk::Interrupts);
        let (connections, they) =
            if used_by.clients == 1 { ("connection is", "it stays") } else { ("connections are", "they stay") };
        let whoever = match after.mode {
            Some(Mode::AdminOnly) => "cannot come back without that password",
            Some(Mode::Off) | None => "cannot come back",
        };
        step.notes.push(format!(
            "{} {connections} made as it now, from {}: {they} until closed (CLIENT KILL USER default closes them), and \
             {whoever}",
            used_by.clients,
            some(&used_by.hosts, NAMES_SHOWN)
        ));
    }
    if after.mode == Some(Mode::AdminOnly) && !used_by.watched.is_empty() {
        step.risks.insert(Risk::Interrupts);
        step.notes.push(format!(
            "sentinels sign in as it on {}: their auth-pass must be the password that nornplan signs in with",
            some(&used_by.watched, NAMES_SHOWN)
        ));
    } else if used_by.nodes > 1 {
        step.notes.push(
            "a replica or sentinel that is not connected now is not looked at: see that its masterauth or auth-pass fits"
                .to_owned(),
        );
    }
}

/// Who must stay in and would not, and what to do about it.
fn shut_out(after: &DefaultUser, used_by: &UsedBy) -> Option<String> {
    let UsedBy { admin, .. } = used_by;
    let list = |nodes: &BTreeSet<String>| some(nodes, NAMES_SHOWN);
    let off = after.mode != Some(Mode::AdminOnly);
    if off && admin == "default" {
        return Some(
            "nornplan itself signs in as it: make a user for nornplan on every node (ACL SETUSER nornplan on >PASSWORD ~* \
             &* +@all), then set user = \"nornplan\" under [valkey], and its password"
                .to_owned(),
        );
    }
    if !off && !used_by.admin_has_password {
        return Some(
            "nornplan signs in without a password, so there is none to leave to it: set NORNPLAN_VALKEY_PASSWORD (or \
             password_file, password_command under [valkey]) to the password that it shall have"
                .to_owned(),
        );
    }
    if !used_by.replication_unknown.is_empty() {
        return Some(format!(
            "whether replicas sign in as it cannot be read on {nodes}: let {admin} read it (ACL SETUSER {admin} \
             +config|get)",
            nodes = list(&used_by.replication_unknown)
        ));
    }
    let shut_out = if off { &used_by.replicating } else { &used_by.with_another_password };
    if !shut_out.is_empty() {
        let nodes = list(shut_out);
        return Some(if off {
            format!(
                "replication signs in as it on {nodes}: make a user for it on every node (ACL SETUSER replica on >PASSWORD \
                 +psync +replconf +ping), and set masteruser and masterauth to that on every node"
            )
        } else {
            format!(
                "replication signs in as it, and not with that password, on {nodes}: CONFIG SET masterauth to the password \
                 that nornplan signs in with, or set masteruser to a user of its own"
            )
        });
    }
    (off && !used_by.watched.is_empty()).then(|| {
        format!(
            "sentinels sign in as it on {}: give them a user of their own (SENTINEL SET NAME auth-user, auth-pass)",
            list(&used_by.watched)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::AppName;
    use crate::core::reconcile::{Applied, Wanted};
    use crate::services::valkey::model::default_user_address;
    use crate::services::{Observation, Observed};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn open() -> DefaultUser {
        let declared = DefaultUser::declared(Mode::Off);
        DefaultUser { mode: None, enabled: true, accepts: Some(Accepts::Anything), ..declared }
    }

    fn plan(wanted: Option<Mode>, there: DefaultUser, ours: Option<Mode>, used_by: UsedBy) -> Vec<Step> {
        let (address, app) = (default_user_address(), AppName::workspace());
        let model = |mode| Model::ValkeyDefaultUser(DefaultUser::declared(mode));
        let wanted = wanted.map(|mode| (address.clone(), Wanted { app: app.clone(), model: model(mode) }));
        let applied = ours.map(|mode| (address.clone(), Applied { app, model: model(mode) }));
        let facts = BTreeMap::from([("used_by".to_owned(), json!(used_by))]);
        let there = Observed { facts, ..Observed::plain(Model::ValkeyDefaultUser(there)) };
        let input = DiffInput {
            wanted: &wanted.into_iter().collect(),
            applied: &applied.into_iter().collect(),
            observation: &Observation { resources: BTreeMap::from([(address, there)]), ..Observation::default() },
            rotate: &BTreeSet::new(),
            credentials: &BTreeMap::new(),
        };
        diff(input, None)
    }

    fn beside() -> UsedBy {
        UsedBy { admin: "nornplan".to_owned(), admin_has_password: true, nodes: 1, ..UsedBy::default() }
    }

    #[test]
    fn it_is_switched_off_or_taken_over_or_left_and_never_opened() {
        let off = || DefaultUser { enabled: false, accepts: None, ..open() };
        let actions = |wanted, there, ours| -> Vec<Action> {
            plan(wanted, there, ours, beside()).iter().map(|step| step.action).collect()
        };
        let wanted = Some(Mode::Off);
        assert_eq!(actions(wanted, open(), None), [Action::Update]);
        assert_eq!(actions(wanted, off(), None), [Action::Adopt]);
        assert_eq!(actions(wanted, off(), wanted), []);
        assert_eq!(actions(None, open(), wanted), [Action::Forget]);
        assert_eq!(actions(None, off(), wanted), [Action::Forget]);
        let drifted = plan(wanted, open(), wanted, beside());
        assert_eq!(drifted[0].reasons, BTreeSet::from([Reason::Drifted]));
    }

    #[test]
    fn whoever_must_stay_in_is_not_shut_out() {
        let nodes = || BTreeSet::from(["one:1".to_owned()]);
        let cases: [(Mode, UsedBy, &str); 6] = [
            (Mode::Off, UsedBy { admin: "default".to_owned(), ..beside() }, "nornplan itself"),
            (Mode::AdminOnly, UsedBy { admin_has_password: false, ..beside() }, "without a password"),
            (Mode::Off, UsedBy { replication_unknown: nodes(), ..beside() }, "+config|get"),
            (Mode::Off, UsedBy { replicating: nodes(), ..beside() }, "masteruser and masterauth"),
            (Mode::AdminOnly, UsedBy { with_another_password: nodes(), ..beside() }, "CONFIG SET masterauth"),
            (Mode::Off, UsedBy { watched: nodes(), ..beside() }, "SENTINEL SET"),
        ];
        for (mode, used_by, why) in cases {
            let step = plan(Some(mode), open(), None, used_by).remove(0);
            let Some(Hold::Blocked { reason }) = step.hold else { panic!("{mode:?}: {why}") };
            assert!(reason.contains(why), "{reason}");
        }
        let fits = UsedBy { replicating: nodes(), nodes: 2, ..beside() };
        assert_eq!(plan(Some(Mode::AdminOnly), open(), None, fits)[0].hold, None);
    }

    #[test]
    fn who_uses_it_now_is_told_and_interrupted() {
        let used = UsedBy { clients: 1, hosts: BTreeSet::from(["10.0.0.1".to_owned()]), ..beside() };
        let unknown = UsedBy { clients_unknown: BTreeSet::from(["one:1".to_owned()]), ..beside() };
        let watched = UsedBy { watched: BTreeSet::from(["one:1".to_owned()]), ..beside() };
        for (mode, used_by, said) in [
            (Mode::Off, used, "1 connection is made as it now, from 10.0.0.1"),
            (Mode::Off, unknown, "is not known"),
            (Mode::AdminOnly, watched, "sentinels sign in as it"),
        ] {
            let step = plan(Some(mode), open(), None, used_by).remove(0);
            assert!(step.risks.contains(&Risk::Interrupts), "{step:#?}");
            assert!(step.notes.iter().any(|note| note.contains(said)), "{:?}", step.notes);
            assert_eq!(step.hold, Some(Hold::Interrupt));
        }
        assert!(plan(Some(Mode::Off), open(), None, beside())[0].risks.is_empty());
    }

    #[test]
    fn whoever_an_edit_cuts_off_is_asked_for_and_who_came_in_by_drift_is_not() {
        let used = || UsedBy { clients: 1, hosts: BTreeSet::from(["10.0.0.1".to_owned()]), ..beside() };
        let with_ours = || DefaultUser { accepts: Some(Accepts::AdminPassword), ..open() };
        let hold = |there, ours, used_by| plan(Some(Mode::Off), there, Some(ours), used_by).remove(0).hold;
        assert_eq!(hold(with_ours(), Mode::AdminOnly, used()), Some(Hold::Interrupt));
        assert_eq!(hold(with_ours(), Mode::AdminOnly, beside()), None);
        assert_eq!(hold(open(), Mode::Off, used()), None);
    }
}
