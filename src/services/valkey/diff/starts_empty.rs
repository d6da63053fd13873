//! An app whose keys are to be elsewhere from now on, while there are some where they are now: it would start empty, and
//! is asked about. Pure.

use super::losses::{holdings_of, in_words, why_unread};
use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::step::{Action, Part, Reason, Risk, StepId};
use crate::services::valkey::model::{Holdings, KEYS, USER, User};
use crate::services::valkey::place::{Fate, Place, fate, left, others_at};
use crate::services::valkey::presets::Server;
use crate::services::{DiffInput, Model, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Users that a sentence names at most.
const NAMED: usize = 5;

/// Lets a user wait for consent that does not get to its keys any more. What is published is as before until then, and
/// whoever reads the app's keys reads them where they are.
pub fn mark(steps: &mut [Step], input: DiffInput<'_>, server: Option<&Server>) {
    let lasts = lasts(input);
    let mut moves: Vec<(Place, StepId)> = Vec::new();
    for step in steps.iter_mut().filter(|step| may_move(step)) {
        let Some(wanted) = step.after.as_ref().and_then(Model::as_valkey_user).cloned() else { continue };
        let Some((address, former)) = former(step, &wanted, &lasts, input) else { continue };
        let holdings = holdings_of(address, input);
        if holdings.are_none() {
            continue;
        }
        step.reasons.insert(Reason::StartsEmpty);
        step.risks.insert(Risk::Interrupts);
        step.notes.push(stays(step, &former, &holdings, input));
        let Some(next) = Place::of(&wanted) else { continue };
        step.notes.push(what_to_do(&former, &next, input, server));
        moves.push((next, step.id()));
    }
    let moving: BTreeSet<StepId> = moves.iter().map(|(_, moved)| moved.clone()).collect();
    for step in steps.iter_mut().filter(|step| !moving.contains(&step.id())) {
        let reader = step.after.as_ref().and_then(Model::as_valkey_user);
        let reads = |place: &Place| reader.is_some_and(|reader| reads(reader, place));
        let remembers = |moved: &StepId| step.address.kind == KEYS && is_of_same_app(moved, step, input);
        let awaited = moves.iter().filter(|(next, moved)| reads(next) || remembers(moved));
        step.needs.extend(awaited.map(|(_, moved)| moved.clone()).collect::<Vec<_>>());
    }
}

/// Whether a step may send an app elsewhere.
pub fn may_move(step: &Step) -> bool {
    let changes = match step.action {
        Action::Create | Action::Update | Action::Replace | Action::Adopt | Action::Record | Action::Rename => true,
        Action::Destroy | Action::Forget | Action::Rotate => false,
    };
    changes && step.address.kind == USER && step.part == Part::Main
}

/// The users that each app has as last applied.
type Lasts<'a> = BTreeMap<&'a AppName, Vec<(&'a Address, &'a User)>>;

fn lasts(input: DiffInput<'_>) -> Lasts<'_> {
    let mut lasts = Lasts::new();
    for (address, last) in input.applied {
        if let Some(user) = last.model.as_valkey_user() {
            lasts.entry(&last.app).or_default().push((address, user));
        }
    }
    lasts
}

/// Where the app had its keys with this user; or with the one that it had before, if this one is new.
fn former<'a>(step: &Step, wanted: &User, lasts: &Lasts<'a>, input: DiffInput<'a>) -> Option<(&'a Address, Place)> {
    let is_ours = input.applied.contains_key(&step.address);
    let given_up = |address: &Address| !is_ours && input.wanted.get(address).is_none_or(|one| one.app != step.app);
    let mut users = lasts.get(&step.app)?.iter().filter(|(address, _)| **address == step.address || given_up(address));
    users.find_map(|(address, last)| Some((*address, left(last, wanted)?)))
}

/// What lies where, and who reaches it.
fn stays(step: &Step, former: &Place, holdings: &Holdings, input: DiffInput<'_>) -> String {
    let lie = former.describe();
    let mut others: Vec<&str> = others_at(former, &step.app, input.wanted).into_iter().collect();
    others.extend(holdings.reached_by.iter().flatten().map(String::as_str));
    let who = match others.as_slice() {
        [] => "nobody who is declared reaches them any more".to_owned(),
        [other] => format!("{other} may use them, and {} does not any more", step.app),
        others => format!("{} may use them, and {} does not any more", some(others, NAMED), step.app),
    };
    let remembered = former.keys().is_some_and(|keys| {
        let last =
            input.applied.values().any(|last| last.app == step.app && last.model.as_valkey_keys() == Some(&keys));
        last && holdings.reached_by.is_none() && fate(&keys, &step.app, input.wanted, input.applied) == Fate::Remembered
    });
    let go = if remembered { "; they go when the app is destroyed, as before" } else { "" };
    let stay = if holdings.keys == Some(1) { "stays" } else { "stay" };
    let comma = if holdings.size_bytes.is_some() { "," } else { "" };
    match in_words(holdings) {
        Some(told) => format!("{told}{comma} {stay} {lie}: {who}{go}"),
        None => format!("how many keys stay {lie} is not known{}: {who}{go}", why_unread(holdings)),
    }
}

/// How keys are brought along, in a line that works, and how the question is dropped.
fn what_to_do(former: &Place, next: &Place, input: DiffInput<'_>, server: Option<&Server>) -> String {
    let mut back = Vec::new();
    match &former.namespace {
        Some(namespace) if former.namespace != next.namespace => back.push(format!("namespace = {namespace:?}")),
        None if next.namespace.is_some() => back.push("namespace = false".to_owned()),
        Some(_) | None => {}
    }
    if former.db != next.db {
        back.push(format!("db = {}", former.db));
    }
    let back = back.join(", ");
    if server.is_some_and(|server| server.cluster) {
        return format!(
            "have {back} again; or, to bring them along, stop the app and move each by DUMP and RESTORE (RENAME and COPY \
             stay in one slot)"
        );
    }
    let pattern = former.namespace.as_ref().map(|name| format!(" --pattern '{name}:*'")).unwrap_or_default();
    let key = match (&former.namespace, &next.namespace) {
        (Some(former), Some(next)) if former != next => format!("{next}:${{k#{former}:}}"),
        (None, Some(next)) => format!("{next}:$k"),
        (_, _) => "$k".to_owned(),
    };
    let (from, to) = (former.db, next.db);
    // Those that it gets to already, copies among them, are not copied.
    let others = match (&former.namespace, &next.namespace) {
        (None, Some(next)) if from == to => format!(" | grep -v '^{next}:'"),
        (_, _) => String::new(),
    };
    let cli = client(&input.observation.endpoint, server);
    format!(
        "have {back} again; or, to bring them along, stop the app and copy them as the administrator, whose password is in \
         REDISCLI_AUTH: `{cli} -n {from} --scan{pattern}{others} | sort -u | while IFS= read -r k; do {cli} -n {from} COPY \
         \"$k\" \"{key}\" DB {to} </dev/null; done`"
    )
}

/// How redis-cli gets to the server as the administrator; the socket or the primary behind sentinels is for the reader to
/// name.
fn client(endpoint: &str, server: Option<&Server>) -> String {
    let port = |port: &str| port.parse::<u16>().is_ok();
    let place = endpoint.rsplit_once(':').filter(|(host, number)| port(number) && !host.contains([' ', ',', '/']));
    let to = place.map(|(host, port)| format!(" -h {} -p {port}", host.trim_matches(['[', ']']))).unwrap_or_default();
    let admin = server.map(|server| server.admin.as_str()).filter(|admin| *admin != "default");
    let user = admin.map(|admin| format!(" --user {admin}")).unwrap_or_default();
    format!("redis-cli{to}{user}")
}

fn reads(user: &User, place: &Place) -> bool {
    match &place.namespace {
        Some(namespace) => user.reads.as_ref().is_some_and(|reads| reads.get(namespace) == Some(&place.db)),
        None => user.reads_databases.as_ref().is_some_and(|databases| databases.contains(&place.db)),
    }
}

fn is_of_same_app(moved: &StepId, step: &Step, input: DiffInput<'_>) -> bool {
    input.wanted.get(&moved.address).is_some_and(|one| one.app == step.app)
}
