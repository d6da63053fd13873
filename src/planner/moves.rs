//! What was called otherwise: which moves of the workspace file are to be carried out here, and the steps that do it. Pure.
//!
//! A server that can rename is told to. Until then the state and what was read speak in old names, afterwards everything
//! does in new ones: plans are made in the new ones, so that all else about a renamed thing is an ordinary change of it.
//! A login that its server cannot rename is made anew under its new name, with the password that its app has, and the
//! former one goes when that is published.

use super::moved_apps::{self, MovedApp};
use crate::config::Move;
use crate::core::address::{APP, Address};
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::core::reconcile::Wanted;
use crate::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use crate::error::{Diagnostic, Kind};
use crate::scope::Scope;
use crate::services::kafka::model::{ACL, TOPIC, USER as KAFKA_USER};
use crate::services::postgres::Server;
use crate::services::postgres::diff::missing_right;
use crate::services::postgres::model::{DATABASE, Database, Op as PostgresOp, ROLE};
use crate::services::{CredentialStatus, Decision, Model, Named, Observation, Op, Renaming, ServiceId, Step};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// What the moves come to in this run.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// To be renamed, each with what is known of it by its name.
    pending: Vec<(Move, Named)>,
    /// Renamed already, by a run that did not get to note it.
    renamed: Vec<Move>,
    /// What cannot be done, and why.
    refused: Vec<(Move, String)>,
    /// Logins that are made anew under the new name.
    remade: Vec<Move>,
    /// Apps that have another name from now on.
    apps: Vec<MovedApp>,
    notices: Vec<Notice>,
}

/// What is wrong with moves as infraspecs are.
pub fn check(moves: &[Move], declared: &BTreeSet<Address>) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for Move { from, to, place } in moves {
        let mut push = |message: String, hint: String| {
            wrong.push(Diagnostic::new(Kind::Config, message).at(place.clone()).hint(hint));
        };
        if declared.contains(from) {
            push(
                format!("moved: {from} is declared still"),
                format!("an infraspec names it; let it name {to} there, or remove the move"),
            );
        } else if !declared.contains(to) {
            push(
                format!("moved: nothing declares {to}"),
                "name in an infraspec what it is called from now on, or remove the move".to_owned(),
            );
        }
    }
    wrong
}

/// Moves that are about a run, beside those that are done already: the state has what they lead to alone.
pub fn open<'a>(
    moves: &'a [Move],
    wanted: &BTreeMap<Address, Wanted<Model>>,
    document: &Document,
    scope: &Scope,
) -> Vec<&'a Move> {
    let is_open = |one: &&Move| {
        let (last, next) = (document.resources.get(&one.from), document.resources.get(&one.to));
        if one.from.kind == APP {
            return moved_apps::is_open(one, wanted, document, scope);
        }
        let app = last.map(|entry| &entry.app).or_else(|| wanted.get(&one.to).map(|wanted| &wanted.app));
        let in_scope = app.is_some_and(|app| scope.has_app(app)) && wanted.contains_key(&one.to);
        in_scope && (last.is_some() || next.is_none())
    };
    moves.iter().filter(is_open).collect()
}

impl Moves {
    /// Judges open moves. `named` says what servers that can rename have; `None` is that nobody could look.
    /// `taken_over` are apps whose values are published under their new names.
    pub fn judge(
        open: &[&Move],
        document: &Document,
        named: Option<&BTreeMap<Address, Named>>,
        taken_over: &BTreeSet<String>,
    ) -> Self {
        let mut moves = Self::default();
        let owned = |address: &Address| document.resources.contains_key(address);
        for one in open.iter().map(|one| (*one).clone()) {
            let Move { from, to, .. } = &one;
            let is_named = from.kind == DATABASE || from.kind == ROLE;
            let is_ours = owned(from) || from.kind == APP && document.has_app(&from.name);
            if !is_named && !is_ours {
                moves.note_not_ours(&one);
                continue;
            }
            if from.kind == APP {
                let is_taken_over = taken_over.contains(&one.to.name);
                moves.apps.push(MovedApp::new(one, is_taken_over, document));
                continue;
            }
            if from.kind == TOPIC {
                moves.refused.push((one.clone(), cannot_rename_a_topic(from, to)));
                continue;
            }
            if !is_named {
                moves.remade.push(one);
                continue;
            }
            let there = |address: &Address| named.is_none_or(|named| named.contains_key(address));
            match (owned(from), there(from), named.is_some() && there(to)) {
                (true, true, false) => {
                    let named = named.and_then(|named| named.get(from)).cloned().unwrap_or_default();
                    moves.pending.push((one, named));
                }
                (true, true, true) if owned(to) => {
                    let reason = format!(
                        "{from} and {to} are both ours by now: take the move out of the workspace file, and let {from} go. Or, \
                         to rename it all the same, have {} in the infraspec again without the move, let {to} go with \
                         --allow-destroy {to}, and move then",
                        from.name
                    );
                    moves.refused.push((one, reason));
                }
                (true, true, true) => {
                    let reason = format!(
                        "both {from} and {to} are there, and only one can have the name: look into both, then remove or \
                         rename by hand the one that is not wanted, or take the move out of the workspace file"
                    );
                    moves.refused.push((one, reason));
                }
                (true, false, true) if owned(to) => {}
                // Only what a run of ours was about to rename is taken for ours under a name that we do not know.
                (true, false, true) => {
                    let begun = document.renaming.get(to).filter(|begun| begun.from == *from);
                    let there = named.and_then(|named| named.get(to)).map(|there| &there.identity);
                    if begun.is_some_and(|begun| Some(&begun.identity) == there) {
                        moves.renamed.push(one);
                    } else {
                        moves.note_another(&one);
                    }
                }
                (false, true, false) => {
                    let reason = format!(
                        "{from} is there, and the state does not say that it is ours: declare it under that name and \
                         apply once, so that it is adopted; then move it. Or take the move out of the workspace file, so \
                         that {} is made empty",
                        to
                    );
                    moves.refused.push((one, reason));
                }
                (true | false, false, false) => moves.note(&one),
                (false, true | false, true) => {}
            }
        }
        moves
    }

    fn note(&mut self, one: &Move) {
        let text = format!("there is no {}, so nothing is renamed to {}", one.from, one.to);
        self.notices.push(Notice { level: Level::Note, about: "moved".to_owned(), text });
    }

    fn note_not_ours(&mut self, one: &Move) {
        let text = format!("the state has no {}, so nothing is renamed to {}", one.from, one.to);
        self.notices.push(Notice { level: Level::Note, about: "moved".to_owned(), text });
    }

    fn note_another(&mut self, Move { from, to, .. }: &Move) {
        let text = format!(
            "there is no {from} any more, and no run of ours has renamed it: {to} is taken for what nobody has called ours yet"
        );
        self.notices.push(Notice { level: Level::Note, about: "moved".to_owned(), text });
    }

    /// Logins that another one follows.
    pub fn followed(&self) -> BTreeSet<&Address> {
        self.remade.iter().map(|one| &one.from).collect()
    }

    fn names<'a>(moves: impl Iterator<Item = &'a Move>) -> Renaming {
        Renaming::of(moves.map(|one| (&one.from, &one.to)))
    }

    /// What servers still have under its old name.
    pub fn pending(&self) -> Renaming {
        let apps = self.apps.iter().filter(|app| !app.is_taken_over).map(|app| &app.name);
        Self::names(self.pending.iter().map(|(one, _)| one).chain(apps))
    }

    /// What the state knows by its old name.
    pub fn unnoted(&self) -> Renaming {
        Self::names(
            self.pending.iter().map(|(one, _)| one).chain(&self.renamed).chain(self.apps.iter().map(|app| &app.name)),
        )
    }

    /// Adds what the sink has to do.
    pub fn add_apps(&self, steps: &mut Vec<Step>, wanted: &BTreeMap<Address, Wanted<Model>>) {
        self.apps.iter().for_each(|app| moved_apps::add(steps, app, wanted));
    }

    /// An app is told all of its names at once: where one of them has to wait, all of them do. Of an app that is renamed
    /// itself that goes for every service, until a run with consent to all of it has begun; of any other, for the names that
    /// one server gives.
    pub fn hold_together(&self, steps: &mut [Step]) {
        let whole: BTreeSet<&str> =
            self.apps.iter().filter(|app| !app.is_taken_over).map(|app| app.name.to.name.as_str()).collect();
        let is_of_it = |step: &Step| {
            step.action == Action::Rename && (step.part == Part::Rename || whole.contains(step.app.as_str()))
        };
        // What only waits itself is no reason, if there is another.
        let mut held: BTreeMap<AppName, (bool, StepId)> = BTreeMap::new();
        for step in steps.iter().filter(|step| is_of_it(step)) {
            let Some(hold) = &step.hold else { continue };
            let why = (matches!(hold, Hold::Waits { .. }), step.id());
            held.entry(step.app.clone()).and_modify(|known| *known = why.clone().min(known.clone())).or_insert(why);
        }
        for step in steps.iter_mut().filter(|step| is_of_it(step) && step.runs()) {
            step.hold = held.get(&step.app).map(|(_, on)| Hold::Waits { on: on.clone() });
        }
    }

    /// Topics that cannot get another name, with that name.
    pub fn kept_topics(&self) -> impl Iterator<Item = (&Address, &Address)> {
        self.refused.iter().map(|(one, _)| (&one.from, &one.to)).filter(|(from, _)| from.kind == TOPIC)
    }

    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Adds what renames, and lets everything that names the thing wait for it.
    pub fn add(
        &self,
        steps: &mut Vec<Step>,
        wanted: &BTreeMap<Address, Wanted<Model>>,
        observed: &BTreeMap<ServiceId, Observation>,
    ) {
        let renames: Vec<(Step, Renaming)> = self.renames(wanted, observed);
        for step in steps.iter_mut() {
            let touched = |names: &Renaming| {
                let ends = [&step.before, &step.after].into_iter().flatten().map(Some).chain([None]);
                ends.into_iter()
                    .any(|model| names.touches(&step.address, model) || names.back().touches(&step.address, model))
            };
            let awaited = renames.iter().filter(|(_, names)| touched(names)).map(|(rename, _)| rename.id());
            step.needs.extend(awaited.collect::<Vec<_>>());
        }
        steps.extend(renames.into_iter().map(|(step, _)| step));
        one_after_another(steps);
        for Move { from, to, .. } in &self.remade {
            remake(steps, from, to, observed);
        }
        self.tell_of_kafka(steps);
        for (one, reason) in self.refused.iter().filter(|(one, _)| one.from.kind == TOPIC) {
            for step in steps.iter_mut().filter(|step| step.address == one.from || step.address == one.to) {
                step.hold = Some(Hold::Blocked { reason: reason.clone() });
            }
        }
    }

    /// What a user of Kafka that is made anew comes to.
    fn tell_of_kafka(&self, steps: &mut [Step]) {
        let is_made = |step: &&mut Step| step.action == Action::Rename && step.address.kind == KAFKA_USER;
        for step in steps.iter_mut().filter(is_made) {
            step.notes.push(
                "Kafka cannot rename a user, nor tell who is signed in as one: whoever still is loses its rights when the \
                 former one goes, so that takes consent"
                    .to_owned(),
            );
            let app = self.apps.iter().map(|app| &app.name).find(|app| app.to.name == step.app.as_str());
            step.notes.extend(app.map(|Move { from, to, .. }| {
                let (from, to) = (&from.name, &to.name);
                format!(
                    "offsets belong to a group's name: consumers whose group is named {to} or {to}.* from then on, and not \
                     {from} or {from}.*, start anew as their auto.offset.reset says. groups = [{from:?}] in the infraspec \
                     lets it go on as that group"
                )
            }));
        }
    }

    fn renames(
        &self,
        wanted: &BTreeMap<Address, Wanted<Model>>,
        observed: &BTreeMap<ServiceId, Observation>,
    ) -> Vec<(Step, Renaming)> {
        let Some(postgres) = observed.get(&ServiceId::Postgres) else { return Vec::new() };
        let unknown = &Named::default();
        let back = self.pending().back();
        let pending = self.pending.iter().map(|(one, named)| (one, Action::Rename, named, None));
        let renamed = self.renamed.iter().map(|one| (one, Action::Record, unknown, None));
        let refused = self.refused.iter().filter(|(one, _)| one.from.kind != TOPIC);
        let refused = refused.map(|(one, reason)| (one, Action::Rename, unknown, Some(reason)));
        let step = |(one, action, named, refused): (&Move, Action, &Named, Option<&String>)| {
            let wanted = wanted.get(&one.to)?;
            let there = postgres.resources.get(&one.to).map(|there| there.model.clone());
            let after = there.clone().unwrap_or_else(|| wanted.model.clone());
            let op = if action == Action::Record { Op::State } else { operation(&one.from, named) };
            let decision = Decision {
                address: one.to.clone(),
                app: wanted.app.clone(),
                action,
                reasons: BTreeSet::from([Reason::Moved]),
                changes: Vec::new(),
                notes: Vec::new(),
                before: there,
                after: Some(after),
            };
            let mut step = decision.step(op);
            (step.part, step.renamed_from) = (Part::Rename, Some(one.from.clone()));
            if action == Action::Rename {
                tell_users(&mut step, &named.users);
                tell_password(&mut step, &one.from, &wanted.model, named.loses_password);
                step.hold = impossible(&step, &back, postgres).or(step.hold);
            }
            step.hold = refused.map(|reason| Hold::Blocked { reason: reason.clone() }).or(step.hold);
            Some((step, Renaming::of([(&one.from, &one.to)])))
        };
        pending.chain(renamed).chain(refused).filter_map(step).collect()
    }
}

fn operation(from: &Address, named: &Named) -> Op {
    let (name, oid) = (from.name.clone(), Some(named.identity.clone()).filter(|oid| !oid.is_empty()));
    let rename = if from.kind == DATABASE {
        PostgresOp::RenameDatabase { from: name, oid }
    } else {
        PostgresOp::RenameRole { from: name, oid }
    };
    Op::Postgres(rename)
}

/// What stands in the way of it: our rights, on what is called as before until then, or what the database is for.
fn impossible(step: &Step, back: &Renaming, postgres: &Observation) -> Option<Hold> {
    if let Some(Model::PostgresDatabase(Database { holds_state: true, .. })) = &step.before {
        let reason = format!("{}, so it is never renamed", Database::HOLDS_STATE);
        return Some(Hold::Blocked { reason });
    }
    let mut now = Observation { server: postgres.server.clone(), ..Observation::default() };
    back.observation(ServiceId::Postgres, &mut now);
    let mut called = step.clone();
    called.before.iter_mut().for_each(|model| back.model(model));
    missing_right(&called, &Server::of(&now)).map(|reason| Hold::Blocked { reason })
}

/// A password of the kind MD5 is gone with the name. One that nornplan knows is set anew with it.
fn tell_password(step: &mut Step, from: &Address, wanted: &Model, loses_password: Option<bool>) {
    let Model::PostgresRole(role) = wanted else { return };
    let once_more = "set it once more while password_encryption is scram-sha-256";
    match loses_password {
        Some(false) => {}
        _ if !role.login => {}
        Some(true) if wanted.generates_password() => {
            let note =
                format!("{} has a password of the kind MD5, which is set anew as SCRAM with the name", from.name);
            step.notes.push(note);
        }
        Some(true) => {
            let reason = format!(
                "{} has a password of the kind MD5, which the server throws away when it renames it, and nornplan does not \
                 know it: {once_more}, then rename",
                from.name
            );
            step.hold = Some(Hold::Blocked { reason });
        }
        None if wanted.generates_password() => {}
        None => step.notes.push(format!(
            "whether its password is of the kind MD5 cannot be read here: such a one is thrown away with the name; \
             {once_more}, if it may be"
        )),
    }
}

/// Who is there now is asked about: sessions in a database are ended, and those of a role cannot sign in anew by its former
/// name.
fn tell_users(step: &mut Step, users: &[String]) {
    if users.is_empty() {
        return;
    }
    let names: BTreeSet<&str> = users.iter().map(String::as_str).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let sessions = if users.len() == 1 { "1 session is".to_owned() } else { format!("{} sessions are", users.len()) };
    step.risks.insert(Risk::Interrupts);
    step.hold = Some(Hold::Interrupt);
    step.notes.push(if step.address.kind == DATABASE {
        format!(
            "{sessions} in it now ({names}): stop the app first, or have them ended by --allow-interrupt {}",
            step.address
        )
    } else {
        format!("{sessions} signed in as it now (in {names}): they go on, and sign in anew by the new name only")
    });
}

/// What one app has gets its new names in one order, so that where one is refused the next keeps its own.
fn one_after_another(steps: &mut [Step]) {
    let mut last: BTreeMap<AppName, StepId> = BTreeMap::new();
    for step in steps.iter_mut().filter(|step| step.part == Part::Rename) {
        let before = last.insert(step.app.clone(), step.id());
        step.needs.extend(before);
    }
}

/// A login that is made anew keeps its password, so that its former name is all that goes. If it is there already, it is
/// ours where it has that password.
fn remake(steps: &mut [Step], from: &Address, to: &Address, observed: &BTreeMap<ServiceId, Observation>) {
    let apps: Vec<&AppName> =
        steps.iter().filter(|step| step.address == *from || step.address == *to).map(|step| &step.app).collect();
    if apps.windows(2).any(|pair| matches!(pair, [one, other] if one != other)) {
        return;
    }
    let is_verified = |login: &Address| {
        let there = ServiceId::of(login).and_then(|id| observed.get(&id)?.resources.get(login));
        there.is_some_and(|there| there.credential == Some(CredentialStatus::Verified))
    };
    let made = steps.iter_mut().find(|step| step.address == *to && step.action == Action::Create);
    // With any other password than that of the former login it is another login, and the former one goes with consent.
    let gets_it = |step: &Step| step.sets_credential && is_verified(from);
    let is_ours = match made {
        Some(step) if !gets_it(step) => {
            step.notes.push(format!(
                "it is not {} under another name, whose password nornplan does not know: that one is removed with consent",
                from.name
            ));
            false
        }
        Some(step) => {
            (step.action, step.renamed_from) = (Action::Rename, Some(from.clone()));
            step.reasons.insert(Reason::Moved);
            step.notes
                .push(format!("it gets the password and the rights of {}, which goes when its app is told", from.name));
            true
        }
        None => is_verified(to) && is_verified(from),
    };
    if !is_ours {
        return;
    }
    let mut in_use = false;
    for step in steps.iter_mut().filter(|step| step.action == Action::Destroy && is_of_login(&step.address, from)) {
        step.risks.remove(&Risk::RemovesLogin);
        step.reasons.insert(Reason::Moved);
        step.needs.insert(StepId::main(to.clone()));
        // Kafka does not tell who is signed in.
        in_use |= step.address == *from && (from.kind == KAFKA_USER || step.risks.contains(&Risk::Interrupts));
        // The one question is asked where the new name is given.
        let (asks, asked) = (format!("--allow-interrupt {from}"), format!("--allow-interrupt {to}"));
        step.notes.iter_mut().for_each(|note| *note = note.replace(&asks, &asked));
    }
    let made = |step: &&mut Step| in_use && step.address == *to && step.action == Action::Rename;
    for step in steps.iter_mut().filter(made) {
        step.risks.insert(Risk::Interrupts);
        step.hold = step.hold.take().or(Some(Hold::Interrupt));
    }
}

/// The login itself, and what it may do where that is a resource of its own.
fn is_of_login(address: &Address, login: &Address) -> bool {
    address == login || login.kind == KAFKA_USER && address.kind == ACL && address.name == login.name
}

fn cannot_rename_a_topic(from: &Address, to: &Address) -> String {
    format!(
        "Kafka cannot rename a topic. Take the move out of the workspace file, and: have name = {:?} in the infraspec \
         again; or declare both, mirror one into the other (MirrorMaker) and let consumers follow; or let {} go with all \
         that is in it by --allow-destroy {from}",
        from.name, from.name
    ) + &format!(", and begin with an empty {}", to.name)
}
