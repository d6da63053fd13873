//! Puts the plan together: every service's steps, the edges between services, consent, order. Pure.

use crate::core::address::Address;
use crate::core::consent::{self, Circumstances, Consent};
use crate::core::graph;
use crate::core::lint;
use crate::core::name::AppName;
use crate::core::plan::{FORMAT_VERSION, Level, Notice, ServiceHead};
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use crate::error::{Diagnostic, Kind, Result};
use crate::scope::Scope;
use crate::secrets::model::{Published, SECRET, secret_address};
use crate::secrets::password::{carriers, placeholder, url_part};
use crate::secrets::usable::{gives_access, is_lacking, needs, sign_in_as};
use crate::services::postgres::model::Op::AlterDatabase;
use crate::services::{self, CredentialStatus, DiffInput, Model, Observation, Op, Plan, ServiceId, Step};
use crate::spec::model::Specs;
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a plan follows from. The same inputs make the same plan.
pub struct Inputs<'a> {
    pub environment: &'a str,
    /// The infraspecs as the scope takes them.
    pub specs: &'a Specs,
    pub scope: &'a Scope,
    pub consent: &'a Consent,
    /// Apps whose infraspec says `prevent_destroy`, those that are to be destroyed among them.
    pub prevented: BTreeSet<AppName>,
    /// In scope, of all services.
    pub wanted: BTreeMap<Address, Wanted<Model>>,
    /// What apps outside of the scope declare.
    pub elsewhere: BTreeMap<Address, AppName>,
    /// In scope, of all services.
    pub applied: BTreeMap<Address, Applied<Model>>,
    pub document: &'a Document,
    /// What could be read.
    pub observed: &'a BTreeMap<ServiceId, Observation>,
    /// One line for each service that could not be read.
    pub unreadable: &'a BTreeMap<ServiceId, String>,
    /// host:port of each service that was not read.
    pub endpoints: &'a BTreeMap<ServiceId, String>,
}

/// Makes the plan.
///
/// # Errors
/// Steps that wait for one another in a circle, or a plan that breaks a law of [`crate::core::lint`].
pub fn plan(mut inputs: Inputs<'_>) -> Result<Plan> {
    let circumstances = Circumstances {
        declared: inputs.specs.apps.keys().cloned().collect(),
        prevented: inputs.prevented.clone(),
        owned: inputs.document.resources.values().filter(|entry| !entry.app.is_workspace()).count(),
    };
    let nothing = BTreeMap::new();
    let mut steps = Vec::new();
    for (id, observation) in inputs.observed.iter().filter(|(id, _)| **id != ServiceId::Secrets) {
        steps.extend(services::diff(*id, inputs.diff_input(observation, &nothing)));
    }
    // Held rotations set no password, so nothing is staged or published for them: consent comes before secrets. Secrets
    // that go count all the same, where the number of what goes asks for more consent.
    let secrets = inputs.observed.get(&ServiceId::Secrets);
    let going = secrets.map(|secrets| services::diff(ServiceId::Secrets, inputs.diff_input(secrets, &nothing)));
    steps.extend(going.into_iter().flatten().filter(|step| step.action == Action::Destroy));
    block_half_moves(&mut steps, &inputs);
    consent::hold(&mut steps, inputs.consent, &circumstances);
    steps.retain(|step| step.address.kind != SECRET);
    keep_back_what_would_not_work(&mut inputs, &mut steps, &circumstances);
    let credentials = credentials_set(&steps);
    leave_out_unknown_passwords(&mut inputs, &credentials);
    keep_values_of_logins_that_stay(&mut inputs, &steps);
    keep_values_until_handed_over(&mut inputs, &steps);
    if let Some(observation) = inputs.observed.get(&ServiceId::Secrets) {
        steps.extend(services::diff(ServiceId::Secrets, inputs.diff_input(observation, &credentials)));
    }
    name_what_was_asked_for(&mut steps, &inputs.scope.destroy);
    connect(&mut steps);
    wait_for_what_is_published(&inputs, &mut steps);
    consent::hold(&mut steps, inputs.consent, &circumstances);
    let steps = graph::sort(steps).map_err(|cycle| Diagnostic::new(Kind::Plan, cycle.to_string()))?;
    let plan = inputs.assemble(steps);
    match lint::lint(&plan).as_slice() {
        [] => Ok(plan),
        broken => Err(Diagnostic::new(Kind::Plan, format!("the plan is not sound: {}", broken.join("; ")))
            .hint("this is a fault in nornplan; please report it with the infraspecs")),
    }
}

impl Inputs<'_> {
    fn diff_input<'a>(
        &'a self,
        observation: &'a Observation,
        credentials: &'a BTreeMap<AppName, BTreeSet<StepId>>,
    ) -> DiffInput<'a> {
        DiffInput { wanted: &self.wanted, applied: &self.applied, observation, rotate: &self.scope.rotate, credentials }
    }

    /// What the state says is ours was on another server than this one.
    fn another_server(&self, id: ServiceId, observation: &Observation) -> Option<Notice> {
        let (known, now) = (self.document.servers.get(id.as_str())?, observation.identity.as_ref()?);
        let owns = self.document.resources.keys().any(|address| ServiceId::of(address) == Some(id));
        let text = format!(
            "this is another server than at the last apply ({known} then, {now} now): what the state says is ours may be \
             somebody else's here"
        );
        (known != now && owns).then(|| Notice { level: Level::Warning, about: id.as_str().to_owned(), text })
    }

    fn assemble(&self, steps: Vec<Step>) -> Plan {
        let mut notices: BTreeSet<Notice> = BTreeSet::new();
        for (id, observation) in self.observed {
            notices.extend(observation.notices.iter().cloned());
            notices.extend(self.another_server(*id, observation));
        }
        Plan {
            format_version: FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            environment: self.environment.to_owned(),
            services: heads(self.observed, self.endpoints),
            apps: self
                .specs
                .apps
                .values()
                .filter(|app| self.scope.has_app(&app.name))
                .map(|app| (app.name.clone(), app.digest()))
                .collect(),
            narrowed_to: self.scope.describe(),
            steps,
            declared: self
                .wanted
                .keys()
                .filter(|address| ServiceId::of(address).is_some_and(|id| self.observed.contains_key(&id)))
                .count(),
            unread: self
                .observed
                .values()
                .flat_map(|observation| observation.unread.keys())
                .filter(|address| self.wanted.contains_key(address))
                .count(),
            notices: notices.into_iter().collect(),
            incomplete: self.unreadable.values().cloned().collect(),
            lineage: self.document.lineage.clone(),
            serial: self.document.serial,
        }
    }
}

/// Each service as a report's head names it; of one that could not be read there is only where it should be.
pub fn heads(
    observed: &BTreeMap<ServiceId, Observation>,
    endpoints: &BTreeMap<ServiceId, String>,
) -> BTreeMap<String, ServiceHead> {
    let unread = endpoints
        .iter()
        .map(|(id, endpoint)| (*id, ServiceHead { endpoint: endpoint.clone(), identity: None, version: None }));
    let read = observed.iter().map(|(id, observation)| (*id, observation.head()));
    unread.chain(read).map(|(id, head)| (id.as_str().to_owned(), head)).collect()
}

/// A value that names what is not made for now keeps its former value, or is left out; all others are published. A
/// password that no value would carry is not set: a login that only such a value names waits as well.
fn keep_back_what_would_not_work(inputs: &mut Inputs<'_>, steps: &mut [Step], circumstances: &Circumstances) {
    let secret = |(address, one): (&Address, &Wanted<Model>)| Some((address.clone(), one.model.as_secret()?.clone()));
    let full: BTreeMap<Address, Published> = inputs.wanted.iter().filter_map(secret).collect();
    loop {
        let mut told: BTreeMap<(StepId, &str), Vec<String>> = BTreeMap::new();
        let lacking = steps.iter().filter(|step| is_lacking(step));
        let lacking: BTreeMap<Address, (bool, StepId)> = lacking
            .map(|step| (step.address.clone(), (matches!(step.hold, Some(Hold::Waits { .. })), step.id())))
            .collect();
        let mut waiting: BTreeMap<StepId, StepId> = BTreeMap::new();
        for app in inputs.specs.apps.values() {
            let address = secret_address(app.name.as_str());
            let Some(Published { mut values }) = full.get(&address).cloned() else { continue };
            let last = last_values(&inputs.applied, &address);
            let kept = keep_back(&mut values, &last, &needs(app), &lacking);
            for (name, on) in &kept {
                let how = if last.contains_key(name) { "published as before" } else { "not published" };
                told.entry((on.clone(), how)).or_default().push(name.clone());
            }
            for step in steps.iter().filter(|step| step.app == app.name && step.sets_credential && step.runs()) {
                let Some(service) = ServiceId::of(&step.address) else { continue };
                let lacks = carriers(service).iter().find_map(|carrier| kept.get(*carrier));
                if let Some(on) = lacks.filter(|_| !sign_in_as(&values, service, &step.address.name)) {
                    waiting.insert(step.id(), on.clone());
                }
            }
            if let Some(Model::Secret(wanted)) = inputs.wanted.get_mut(&address).map(|one| &mut one.model) {
                wanted.values = values;
            }
        }
        if waiting.is_empty() {
            for ((on, how), names) in told {
                let note = format!("{how} until this is done: {}", names.join(", "));
                steps.iter_mut().filter(|step| step.id() == on).for_each(|step| step.notes.push(note.clone()));
            }
            return;
        }
        for step in steps.iter_mut() {
            if let Some(on) = waiting.remove(&step.id()) {
                step.hold = Some(Hold::Waits { on });
            }
        }
        consent::hold(steps, inputs.consent, circumstances);
    }
}

/// Puts former values in the place of those that need what is lacking. Returns these, and what each of them waits for.
fn keep_back(
    values: &mut BTreeMap<String, String>,
    last: &BTreeMap<String, String>,
    needs: &BTreeMap<String, BTreeSet<Address>>,
    lacking: &BTreeMap<Address, (bool, StepId)>,
) -> BTreeMap<String, StepId> {
    let mut kept = BTreeMap::new();
    for (name, needed) in needs {
        // What only waits for another is not the reason.
        let Some((_, on)) = needed.iter().filter_map(|address| lacking.get(address)).min() else { continue };
        if values.get(name) == last.get(name) {
            continue;
        }
        match last.get(name) {
            Some(former) => values.insert(name.clone(), former.clone()),
            None => values.remove(name),
        };
        kept.insert(name.clone(), on.clone());
    }
    kept
}

/// What was last published for an app.
fn last_values(applied: &BTreeMap<Address, Applied<Model>>, secret: &Address) -> BTreeMap<String, String> {
    let last = applied.get(secret).and_then(|last| last.model.as_secret());
    last.map(|last| last.values.clone()).unwrap_or_default()
}

/// New values are published after what they need is there. A new password of a running app is not even set before that:
/// where something fails, what is published goes on working. A login of another app has nothing of this one before it.
fn wait_for_what_is_published(inputs: &Inputs<'_>, steps: &mut [Step]) {
    let made: BTreeMap<Address, StepId> = steps
        .iter()
        .filter(|step| step.part == Part::Main && step.runs() && step.address.kind != SECRET && gives_access(step))
        .map(|step| (step.address.clone(), step.id()))
        .collect();
    let mut awaited: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter_mut().filter(|step| step.part == Part::Publish && step.runs()) {
        let (Some(app), Some(Model::Secret(after))) = (inputs.specs.apps.get(&step.app), &step.after) else { continue };
        let last = last_values(&inputs.applied, &step.address);
        let changed = |name: &String| after.values.contains_key(name) && after.values.get(name) != last.get(name);
        let needed = needs(app).into_iter().filter(|(name, _)| changed(name)).flat_map(|(_, needed)| needed);
        let needed: BTreeSet<StepId> = needed.filter_map(|address| made.get(&address).cloned()).collect();
        step.needs.extend(needed.clone());
        awaited.insert(step.app.clone(), needed);
    }
    for step in steps.iter_mut().filter(|step| step.part == Part::Credential && !step.moves()) {
        step.needs.extend(awaited.get(&step.app).into_iter().flatten().cloned());
    }
}

/// The steps that set a password and will run, by app.
fn credentials_set(steps: &[Step]) -> BTreeMap<AppName, BTreeSet<StepId>> {
    let mut credentials: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.sets_credential && step.runs()) {
        credentials.entry(step.app.clone()).or_default().insert(step.id());
    }
    credentials
}

/// Values with a password that nobody knows, and that this plan does not set, cannot be published yet. A secret of which
/// nothing is left is not looked at: it is not to be taken for one that is no longer declared.
fn leave_out_unknown_passwords(inputs: &mut Inputs<'_>, credentials: &BTreeMap<AppName, BTreeSet<StepId>>) {
    let mut unknown: BTreeMap<AppName, BTreeSet<&str>> = BTreeMap::new();
    for (address, one) in inputs.wanted.iter().filter(|(_, one)| one.model.generates_password()) {
        let Some(id) = ServiceId::of(address) else { continue };
        let Some(service) = inputs.observed.get(&id) else { continue };
        // A login that is not there, and is not made for now, has no password either.
        let seen = service.resources.get(address);
        let nobody_knows = seen.is_none_or(|seen| seen.credential == Some(CredentialStatus::Absent));
        let is_set = credentials.get(&one.app).is_some_and(|steps| steps.iter().any(|step| step.address == *address));
        if nobody_knows && !is_set {
            unknown.entry(one.app.clone()).or_default().extend(placeholder(id));
        }
    }
    for one in inputs.wanted.values_mut() {
        if let (Model::Secret(secret), Some(unknown)) = (&mut one.model, unknown.get(&one.app)) {
            secret.values.retain(|_, value| !unknown.iter().any(|placeholder| value.contains(placeholder)));
        }
    }
    let applied = &mut inputs.applied;
    inputs.wanted.retain(|address, one| {
        let empty = matches!(&one.model, Model::Secret(secret) if secret.values.is_empty());
        if empty {
            applied.remove(address);
        }
        !empty
    });
}

/// A login that is no longer declared may stay for now: its removal is held, or it is out of scope. Until it is gone its
/// published password stays too, or nobody would know it any more.
fn keep_values_of_logins_that_stay(inputs: &mut Inputs<'_>, steps: &[Step]) {
    let gives_up =
        |step: &&Step| (matches!(step.action, Action::Destroy | Action::Forget) || step.moves()) && step.runs();
    let going: BTreeSet<&Address> = steps.iter().filter(gives_up).map(|step| &step.address).collect();
    let mut staying: BTreeMap<&AppName, BTreeSet<&str>> = BTreeMap::new();
    for (address, entry) in &inputs.document.resources {
        let declared = inputs.wanted.get(address).is_some_and(|wanted| wanted.app == entry.app);
        if entry.applied.generates_password() && !declared && !going.contains(address) {
            staying.entry(&entry.app).or_default().extend(ServiceId::of(address).and_then(placeholder));
        }
    }
    for (address, last) in &inputs.applied {
        let (Model::Secret(last), Some(staying)) = (&last.model, staying.get(&last.app)) else { continue };
        let Some(Model::Secret(wanted)) = inputs.wanted.get_mut(address).map(|one| &mut one.model) else { continue };
        for (name, value) in &last.values {
            if staying.iter().any(|placeholder| value.contains(placeholder)) {
                wanted.values.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// Nobody is told to sign in as a new user that does not have yet what the former one owns, or that is another app's.
fn keep_values_until_handed_over(inputs: &mut Inputs<'_>, steps: &[Step]) {
    let waits = |step: &&Step| (step.reasons.contains(&Reason::HandsOver) || step.moves()) && !step.runs();
    for step in steps.iter().filter(waits) {
        let user = if let Op::Postgres(AlterDatabase { user }) = &step.op { user } else { &step.address.name };
        let address = secret_address(step.app.as_str());
        let last = last_values(&inputs.applied, &address);
        let Some(Model::Secret(secret)) = inputs.wanted.get_mut(&address).map(|one| &mut one.model) else { continue };
        let names_user = |value: &str| value.contains(user.as_str()) || value.contains(&url_part(user));
        let kept = std::mem::take(&mut secret.values).into_iter().filter_map(|(name, value)| {
            let value = if names_user(&value) { last.get(&name)?.clone() } else { value };
            Some((name, value))
        });
        secret.values = kept.collect();
        if secret.values.is_empty() {
            secret.values = last;
        }
    }
}

/// What passes from one app to another is planned for both at once: each alone would be left with half of it.
fn block_half_moves(steps: &mut [Step], inputs: &Inputs<'_>) {
    for step in steps.iter_mut() {
        let former = inputs.document.resources.get(&step.address).map(|entry| &entry.app);
        let reason = match (former, inputs.elsewhere.get(&step.address)) {
            (Some(former), _) if step.moves() && !inputs.scope.has_app(former) => {
                format!("it belongs to the app {former} until now, which this run leaves out: plan without --app")
            }
            (_, Some(other)) if step.action == Action::Destroy => format!(
                "the app {other} declares it, which this run leaves out: plan without --app, or take it out of that infraspec"
            ),
            (_, _) => continue,
        };
        step.hold = Some(Hold::Blocked { reason });
    }
}

/// What `destroy` removes may well be declared still.
fn name_what_was_asked_for(steps: &mut [Step], apps: &BTreeSet<AppName>) {
    for step in steps.iter_mut().filter(|step| apps.contains(&step.app)) {
        if step.reasons.remove(&Reason::NoLongerDeclared) {
            step.reasons.insert(Reason::AskedFor);
        }
    }
}

/// Adds the edges that no service can know: staging before setting, a change before a new password of the same login, what
/// a former user owns before the new one is published, and an app's secret last of all that is destroyed.
fn connect(steps: &mut [Step]) {
    let ids: BTreeSet<StepId> = steps.iter().map(Step::id).collect();
    let logins_go = |step: &&Step| step.runs() && step.risks.contains(&Risk::RemovesLogin);
    let logins_go: BTreeSet<StepId> = steps.iter().filter(logins_go).map(Step::id).collect();
    let mut destroyed: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.action == Action::Destroy && step.address.kind != SECRET) {
        destroyed.entry(step.app.clone()).or_default().insert(step.id());
    }
    let mut handed_over: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    let hands_over = |step: &&Step| step.reasons.contains(&Reason::HandsOver) || step.moves();
    for step in steps.iter().filter(hands_over).filter(|step| step.runs()) {
        handed_over.entry(step.app.clone()).or_default().insert(step.id());
    }
    for step in steps.iter_mut() {
        if step.part == Part::Publish {
            step.needs.extend(handed_over.get(&step.app).into_iter().flatten().cloned());
        }
        if step.sets_credential && step.address.kind != SECRET {
            step.needs.insert(StepId { address: secret_address(step.app.as_str()), part: Part::Stage });
        }
        if step.part == Part::Credential {
            step.needs.insert(StepId::main(step.address.clone()));
        }
        let removes = step.action == Action::Destroy && matches!(step.op, Op::Secrets(_));
        // Values of logins that go, where no new password waits for being published.
        let updates = step.part == Part::Publish && !step.sets_credential;
        if removes || updates {
            let goes = |id: &&StepId| removes || logins_go.contains(*id);
            step.needs.extend(destroyed.get(&step.app).into_iter().flatten().filter(goes).cloned());
        }
        step.needs.retain(|need| ids.contains(need));
    }
}
