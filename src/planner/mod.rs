//! Puts the plan together: every service's steps, the edges between services, consent, order. Pure.

mod did_you_mean;
pub mod moved_apps;
pub mod moved_roles;
pub mod moves;
mod prevention;
mod published;
mod publishing;
mod unasked;
mod unknown;
pub mod written;

pub use publishing::{is_published, tell_drifted_passwords};

use crate::core::address::Address;
use crate::core::consent::{self, Circumstances, Consent};
use crate::core::graph;
use crate::core::lint;
use crate::core::name::AppName;
use crate::core::nodes::Nodes;
use crate::core::plan::{FORMAT_VERSION, Level, Notice, ServiceHead};
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Hold, Part, Reason, StepId};
use crate::error::{Diagnostic, Kind, Result};
use crate::scope::Scope;
use crate::secrets::model::{SECRET, secret_address};
use crate::services::kafka::diff::{self as kafka, keep_open_what_stays, keep_users_of_what_is_in_use};
use crate::services::kafka::model::Op as KafkaOp;
use crate::services::valkey::diff::ask_about_takeovers;
use crate::services::{self, DiffInput, Model, Observation, Op, Plan, ServiceId, Step};
use crate::spec::model::{Specs, Warning};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a plan follows from. The same inputs make the same plan.
pub struct Inputs<'a> {
    pub environment: &'a str,
    /// The infraspecs as the scope takes them.
    pub specs: &'a Specs,
    pub scope: &'a Scope,
    pub consent: &'a Consent,
    /// All infraspecs, those of apps that are to be destroyed among them.
    pub full: &'a Specs,
    /// In scope, of all services.
    pub wanted: BTreeMap<Address, Wanted<Model>>,
    /// What apps outside of the scope declare.
    pub elsewhere: BTreeMap<Address, AppName>,
    /// In scope, of all services.
    pub applied: BTreeMap<Address, Applied<Model>>,
    pub document: &'a Document,
    /// What the state says is ours and bears a name that nothing of ours may have: the service's own, or what nornplan
    /// signs in with.
    pub kept_apart: BTreeSet<Address>,
    /// What could be read.
    pub observed: &'a BTreeMap<ServiceId, Observation>,
    /// What is called otherwise from now on; all else here is told in the new names.
    pub moves: &'a moves::Moves,
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
        prevented: prevention::prevented(inputs.full),
        remembered: prevention::remembered(inputs.full, inputs.document),
        owned: inputs.document.resources.values().filter(|entry| !entry.app.is_workspace()).count(),
    };
    let nothing = BTreeMap::new();
    let mut steps = Vec::new();
    for (id, observation) in inputs.observed.iter().filter(|(id, _)| **id != ServiceId::Secrets) {
        steps.extend(services::diff(*id, inputs.diff_input(observation, &nothing)));
    }
    if let Some(valkey) = inputs.observed.get(&ServiceId::Valkey) {
        let ours = inputs.document.resources.iter().map(|(address, entry)| (address, &entry.app, &entry.applied));
        ask_about_takeovers(&mut steps, ours, valkey);
    }
    let ours = inputs.document.resources.iter().map(|(address, entry)| (address, &entry.app, &entry.applied));
    kafka::ask_about_takeovers(&mut steps, ours, &inputs.declared());
    inputs.moves.add(&mut steps, &inputs.wanted, inputs.observed);
    tell_drifted_passwords(&mut steps, inputs.document);
    // Held rotations set no password, so nothing is staged or published for them: consent comes before secrets. Secrets
    // that go count all the same, where the number of what goes asks for more consent.
    let may_go = |address: &Address| address.kind == SECRET && !inputs.wanted.contains_key(address);
    let secrets = inputs.observed.get(&ServiceId::Secrets).filter(|_| inputs.applied.keys().any(may_go));
    let going = secrets.map(|secrets| services::diff(ServiceId::Secrets, inputs.diff_input(secrets, &nothing)));
    steps.extend(going.into_iter().flatten().filter(|step| step.action == Action::Destroy));
    block_half_moves(&mut steps, &inputs);
    change_before_passwords(&mut steps);
    never_destroy(&mut steps, &inputs.kept_apart);
    prevention::block_what_would_lose_it(&mut steps, &circumstances, inputs.document);
    consent::hold(&mut steps, inputs.consent, &circumstances);
    inputs.moves.hold_together(&mut steps);
    consent::hold(&mut steps, inputs.consent, &circumstances);
    steps.retain(|step| step.address.kind != SECRET);
    keep_users_of_what_is_in_use(&mut steps);
    publishing::keep_back_what_would_not_work(&mut inputs, &mut steps, &circumstances);
    let credentials = publishing::credentials_set(&steps);
    let untouched = unknown::leave_out(&mut inputs, &mut steps, &credentials);
    publishing::tell_what_does_not_sign_in(&inputs, &mut steps);
    publishing::keep_values_of_logins_that_stay(&mut inputs, &steps, &credentials);
    if let Some(observation) = inputs.observed.get(&ServiceId::Secrets) {
        let rest = unknown::without(observation, &untouched);
        let mut told = services::diff(ServiceId::Secrets, inputs.diff_input(&rest, &credentials));
        unknown::remember(&mut told, &untouched, observation);
        steps.extend(told);
    }
    publishing::hold_names_that_cannot_be_told(&mut steps);
    inputs.moves.add_apps(&mut steps, &inputs.wanted);
    inputs.moves.hold_together(&mut steps);
    name_what_was_asked_for(&mut steps, &inputs.scope.destroy);
    connect(&mut steps, &inputs);
    publishing::wait_for_what_is_published(&inputs, &mut steps);
    consent::hold(&mut steps, inputs.consent, &circumstances);
    keep_open_what_stays(&mut steps, &inputs.applied);
    unasked::hold_owners(&mut steps);
    consent::hold(&mut steps, inputs.consent, &circumstances);
    did_you_mean::ask(&mut steps, inputs.document, &circumstances.declared);
    let steps = graph::sort(steps).map_err(|cycle| Diagnostic::new(Kind::Plan, cycle.to_string()))?;
    let takes_all = consent::takes_all(&steps, &circumstances);
    let plan = Plan { takes_all, ..inputs.assemble(steps) };
    let mut broken = lint::lint(&plan);
    // What reading a saved plan would refuse must never be made; that is looked for where this is developed.
    if cfg!(debug_assertions) {
        broken.extend(written::check(&plan).err());
    }
    match broken.as_slice() {
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

    /// What infraspecs declare: of those in this run what they say, of the others whose it is.
    fn declared(&self) -> kafka::Declared<'_> {
        let elsewhere = self.elsewhere.iter().map(|(address, app)| (address, (app, None)));
        let here = self.wanted.iter().map(|(address, wanted)| (address, (&wanted.app, Some(&wanted.model))));
        elsewhere.chain(here).collect()
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

    /// Whose in the state the resources are that steps are about.
    fn owners(&self, steps: &[Step]) -> BTreeMap<Address, AppName> {
        let owner = |step: &Step| Some((step.address.clone(), self.document.resources.get(&step.address)?.app.clone()));
        steps.iter().filter_map(owner).collect()
    }

    fn assemble(&self, steps: Vec<Step>) -> Plan {
        let mut notices: BTreeSet<Notice> = BTreeSet::new();
        for (id, observation) in self.observed {
            notices.extend(observation.notices.iter().cloned());
            notices.extend(self.another_server(*id, observation));
        }
        notices.extend(self.moves.notices().iter().cloned());
        let in_scope = |warning: &&Warning| {
            let app = self.specs.apps.get(&warning.app).filter(|app| self.scope.has_app(&app.name));
            app.is_some_and(|app| match warning.service {
                ServiceId::Postgres => app.postgres.is_some(),
                ServiceId::Valkey => app.kv.is_some(),
                ServiceId::Kafka => app.events.is_some(),
                ServiceId::Secrets => true,
            })
        };
        let warnings = self.full.warnings.iter().filter(in_scope);
        notices.extend(warnings.map(|warning| Notice {
            level: warning.level,
            about: warning.app.to_string(),
            text: warning.text.clone(),
        }));
        let prevent_destroy = prevention::changes(self, &steps);
        notices.extend(prevention::notices(self.document, &prevent_destroy));
        Plan {
            format_version: FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            environment: self.environment.to_owned(),
            workspace: BTreeMap::new(),
            services: heads(self.observed, self.endpoints),
            // Of the whole infraspecs, which a later run has to hold against them.
            apps: self
                .full
                .apps
                .values()
                .filter(|app| self.specs.apps.contains_key(&app.name) && self.scope.has_app(&app.name))
                .map(|app| (app.name.clone(), app.digest()))
                .collect(),
            prevent_destroy,
            narrowed_to: self.scope.describe(),
            owners: self.owners(&steps),
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
            takes_all: false,
            incomplete: self.unreadable.values().cloned().collect(),
            lineage: (!self.document.is_new()).then(|| self.document.lineage.clone()),
            serial: self.document.serial,
        }
    }
}

/// Each service as a report's head names it; of one that could not be read there is only where it should be.
pub fn heads(
    observed: &BTreeMap<ServiceId, Observation>,
    endpoints: &BTreeMap<ServiceId, String>,
) -> BTreeMap<String, ServiceHead> {
    let unread = endpoints.iter().map(|(id, endpoint)| {
        (*id, ServiceHead { endpoint: endpoint.clone(), identity: None, version: None, nodes: Nodes::default() })
    });
    let read = observed.iter().map(|(id, observation)| (*id, observation.head()));
    unread.chain(read).map(|(id, head)| (id.as_str().to_owned(), head)).collect()
}

/// No infraspec may declare such a name, so a state that has one is wrong: of an earlier version, or mended by hand.
fn never_destroy(steps: &mut [Step], kept_apart: &BTreeSet<Address>) {
    for step in steps.iter_mut().filter(|step| step.action == Action::Destroy && kept_apart.contains(&step.address)) {
        let reason = format!(
            "the name is reserved for what is not an app's, so it is never destroyed: `nornplan state forget {}` strikes it \
             from the state",
            step.address
        );
        step.hold = Some(Hold::Blocked { reason });
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

/// A change of a login comes before its new password: where the one is held the other is not set, nor staged.
fn change_before_passwords(steps: &mut [Step]) {
    let changes: BTreeSet<StepId> = steps.iter().filter(|step| step.part == Part::Main).map(Step::id).collect();
    for step in steps.iter_mut().filter(|step| step.part == Part::Credential) {
        step.needs.extend(changes.get(&StepId::main(step.address.clone())).cloned());
    }
}

/// Adds the edges that no service can know: staging before setting, and an app's secret last of all that is destroyed, or
/// goes to another app. Also one that is only forgotten: with a state that checkouts share, it may be in another's sink, and
/// not gone.
fn connect(steps: &mut [Step], inputs: &Inputs<'_>) {
    let ids: BTreeSet<StepId> = steps.iter().map(Step::id).collect();
    let mut destroyed: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.action == Action::Destroy && step.address.kind != SECRET) {
        destroyed.entry(step.app.clone()).or_default().insert(step.id());
    }
    for step in steps.iter().filter(|step| step.moves()) {
        let Some(former) = inputs.document.resources.get(&step.address).map(|entry| &entry.app) else { continue };
        let publish = StepId { address: secret_address(step.app.as_str()), part: Part::Publish };
        destroyed.entry(former.clone()).or_default().extend([step.id(), publish]);
    }
    for step in steps.iter_mut() {
        if step.sets_credential && step.address.kind != SECRET {
            step.needs.insert(StepId { address: secret_address(step.app.as_str()), part: Part::Stage });
        }
        // A former password, or mechanism, goes when apps are told the new one.
        let removes_credentials = step.op == Op::Kafka(KafkaOp::RemoveCredentials);
        if step.part == Part::Close && (step.action == Action::Rotate || removes_credentials) {
            step.needs.insert(StepId { address: secret_address(step.app.as_str()), part: Part::Publish });
        }
        if matches!(step.action, Action::Destroy | Action::Forget) && step.address.kind == SECRET {
            step.needs.extend(destroyed.get(&step.app).into_iter().flatten().cloned());
        }
        step.needs.retain(|need| ids.contains(need));
    }
}
