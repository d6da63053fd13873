//! What most commands begin with: the workspace, its infraspecs, its state, its services, and the plan from all these.

use super::{Errors, Global, output, unmanaged};
use crate::config::{self, Config, Move, Source};
use crate::core::address::{APP, Address};
use crate::core::consent::Consent;
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::core::suggest::closest;
use crate::error::{Diagnostic, Kind, Place};
use crate::observe::{self, Depth, Reading};
use crate::planner;
use crate::planner::moves::{self, Moves};
use crate::planner::{moved_apps, moved_roles};
use crate::render::{Style, count, reading};
use crate::scope::{Scope, keep_other_values, take_from_others, take_grants_along};
use crate::secrets::model::{Known, secret_address};
use crate::secrets::{Vault, mixed_up, no_common_password};
use crate::services::postgres::Postgres;
use crate::services::valkey::{SharedPassword, no_such_database};
use crate::services::{self, Ask, Model, Observation, Plan, Service, ServiceId};
use crate::sharing;
use crate::spec::{self, model::App, model::Specs, overlap::Loaded};
use crate::state::{Document, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A loaded workspace. Services are connected to when they are first asked something.
pub struct Workspace {
    pub config: Config,
    pub vault: Arc<Vault>,
    pub services: BTreeMap<ServiceId, Box<dyn Service>>,
    verbose: u8,
}

/// Reads the workspace file and the environment's variables.
pub fn config(global: &Global) -> Result<Config, Errors> {
    let working_directory = std::env::current_dir().map_err(|error| {
        let wrong = Diagnostic::new(Kind::Config, "the working directory cannot be read").because(error);
        wrong.hint("it may have been removed: change to another")
    })?;
    let source = Source {
        config_file: global.config.clone(),
        environment: global.env.clone(),
        working_directory,
        variables: variables()?,
    };
    let config = config::load(&source)?;
    if global.verbose > 0 {
        match config::workspace_file(&source) {
            Some(file) => output::detail(&format!("workspace file {}", file.display())),
            None => output::detail(&format!("no workspace file from {} upwards: defaults", config.root.display())),
        }
        let names = source.variables.keys().map(String::as_str).filter(|name| config::keys::is_variable(name));
        let names: Vec<&str> = names.collect();
        output::detail(&format!("variables: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
    }
    Ok(config)
}

/// The environment's variables. Those of other programs may be anything; ours must be text.
fn variables() -> Result<BTreeMap<String, String>, Errors> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(variables.insert(name, value)),
            Err(_) if name.starts_with("NORNPLAN_") => {
                return Err(Diagnostic::new(Kind::Config, format!("{name}: is not UTF-8"))
                    .hint("set it anew, or unset it")
                    .into());
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

/// Loads the infraspecs and says what they name that is not managed.
pub fn specs(global: &Global, config: &Config) -> Result<Specs, Errors> {
    specs_beside(global, config, Vec::new())
}

/// The same for a run that may be narrowed to some apps: it knows those that another checkout declares from the state.
pub async fn specs_in(global: &Global, config: &Config, scope: &Scope) -> Result<Specs, Errors> {
    if scope.apps.is_empty() {
        return specs(global, config);
    }
    let store = Store::open(config).await?;
    specs_beside(global, config, neighbours(config, scope, store.document()))
}

/// The infraspecs again, beside what the state knows by now; `None` where it would be the same.
pub fn specs_again(config: &Config, scope: &Scope, document: &Document) -> Result<Option<Specs>, Errors> {
    let neighbours = neighbours(config, scope, document);
    Ok(if neighbours.is_empty() { None } else { Some(spec::load_beside(config, neighbours)?) })
}

/// Apps that the run leaves out. None, unless it is narrowed to some: then what nobody declares is to be destroyed. The
/// former name of an app is the app.
fn neighbours(config: &Config, scope: &Scope, document: &Document) -> Vec<Loaded> {
    let mut applied = document.applied();
    let has = |app: &str| scope.apps.iter().any(|one| one.as_str() == app);
    applied.retain(|_, one| !scope.apps.is_empty() && !has(one.app.as_str()) && !is_moved(&one.app, config, has));
    spec::neighbour::apps(&applied)
}

/// Whether it is the former name of an app that is there by its new one.
fn is_moved(app: &AppName, config: &Config, has: impl Fn(&str) -> bool) -> bool {
    let of_app = |one: &&Move| one.from.kind == APP && one.from.name == app.as_str();
    config.moved.iter().filter(of_app).any(|one| has(&one.to.name))
}

fn specs_beside(global: &Global, config: &Config, neighbours: Vec<Loaded>) -> Result<Specs, Errors> {
    let since = Instant::now();
    let specs = spec::load_beside(config, neighbours)?;
    if global.verbose > 0 {
        let apps = count(specs.apps.len() - specs.only_in_state.len(), "infraspec", "infraspecs");
        let from: Vec<String> = config.specs.iter().map(|path| path.display().to_string()).collect();
        output::detail(&format!("{apps} in {}, in {} ms", from.join(", "), since.elapsed().as_millis()));
    }
    if global.verbose > 1 {
        for (name, app) in &specs.apps {
            if let Place::Text { file, .. } | Place::File(file) = &app.place {
                output::detail(&format!("  {name}: {}", file.display()));
            }
        }
    }
    for note in &specs.notes {
        output::message(&format!("note: {note}"));
    }
    Ok(specs)
}

impl Workspace {
    pub fn open(global: &Global) -> Result<Self, Errors> {
        let config = config(global)?;
        let vault = Arc::new(Vault::open(&config));
        let mut services = BTreeMap::new();
        for id in ServiceId::ALL {
            services.insert(id, services::connect(&config, id, &vault)?);
        }
        if global.verbose > 0 {
            let postgres = Postgres::telling(&config.postgres, output::detail);
            services.insert(ServiceId::Postgres, Box::new(postgres));
        }
        Ok(Self { config, vault, services, verbose: global.verbose })
    }

    /// How results are shown.
    pub fn style(&self) -> Style {
        Style::of_stdout().detailed(self.verbose > 0)
    }

    /// Where a service is, as people know it.
    fn endpoint(&self, id: ServiceId) -> String {
        self.services.get(&id).map(|service| service.endpoint()).unwrap_or_default()
    }

    /// Where each service is that is asked something.
    pub fn endpoints(&self, asks: &BTreeMap<ServiceId, Ask>) -> BTreeMap<ServiceId, String> {
        asks.keys().map(|id| (*id, self.endpoint(*id))).collect()
    }

    /// One line that names the service that could not be read.
    pub fn unreadable(&self, id: ServiceId, error: &Diagnostic) -> String {
        format!("{} at {}: {}", id.title(), self.endpoint(id), error.message)
    }

    /// Reads services, and says with `-v` what each was asked and how long that took.
    pub async fn observe(
        &self,
        asks: &BTreeMap<ServiceId, Ask>,
        wait: Duration,
    ) -> BTreeMap<ServiceId, Result<Observation, Diagnostic>> {
        let watched: Vec<_> = asks.iter().map(|(id, ask)| (id.title(), ask.progress.clone())).collect();
        let work = observe::observe(&self.services, asks, wait);
        let readings = reading::shown(&watched, std::io::stderr().is_terminal(), work).await;
        if self.verbose > 0 {
            for (id, Reading { result, took }) in &readings {
                let endpoint = self.endpoint(*id);
                let asked = asks.get(id).map_or(0, |ask| ask.addresses().len());
                let found = match result {
                    Ok(seen) => format!("found {} of {}", seen.resources.len(), count(asked, "resource", "resources")),
                    Err(_) => "cannot be read".to_owned(),
                };
                output::detail(&format!("{} {endpoint}: {found}, in {} ms", id.title(), took.as_millis()));
            }
        }
        readings.into_iter().map(|(id, reading)| (id, reading.result)).collect()
    }

    /// Says with `-v` which state is compared with.
    pub fn tell_state(&self, document: &Document) {
        if self.verbose > 0 {
            let owned = count(document.resources.len(), "resource", "resources");
            let place = crate::state::backend(&self.config).place();
            output::detail(&format!("state {place}: serial {}, {owned}", document.serial));
        }
    }

    /// Reads what the plan is about, and plans.
    pub async fn plan(&self, request: &Request<'_>) -> Result<Planned, Errors> {
        let Request { specs: full, scope, consent, document, depth, wait } = *request;
        check_scope(full, scope, document)?;
        self.tell_state(document);
        tell_undeclared(full, scope, document, &self.config);
        let specs = scope.specs(full);
        let moves = self.moves(full, &specs, scope, document, wait).await?;
        // What servers have is told by the old names until it is read, and by the new ones from then on.
        let (pending, then) = (moves.pending(), document.renamed(&moves.unnoted()));
        let now = then.renamed(&pending.back());
        let document = &then;
        let Ends { wanted, applied, elsewhere } = self.ends(full, &specs, scope, document)?;
        let published = document.has_published_of(|app| scope.has_app(app));
        self.vault.check_lineage(&document.lineage, published)?;
        let mut asks = observe::asks(
            &pending.back().all(wanted.clone(), |one| (Some(&mut one.app), &mut one.model)),
            &pending.back().all(applied.clone(), |one| (Some(&mut one.app), &mut one.model)),
            &now,
            &self.vault,
            depth,
            &moves.followed(),
        )?;
        let shared: Vec<&App> =
            specs.apps.values().filter(|app| scope.has_app(&app.name) && app.shares_valkey()).collect();
        if let Some(app) = shared.first() {
            if !self.vault.common().is_configured() {
                return Err(no_common_password().at(specs.place_of_sharing(app)).into());
            }
            // They have nothing there that is ours, and are sent there all the same.
            observe::remind(asks.entry(ServiceId::Valkey).or_default(), ServiceId::Valkey, document);
        }
        self.tell_known(&mut asks, Some(full));
        let mut observed = BTreeMap::new();
        let mut unreadable = BTreeMap::new();
        let mut errors = Vec::new();
        for (id, read) in self.observe(&asks, wait).await {
            match read {
                Ok(mut observation) => {
                    pending.observation(id, &mut observation);
                    observed.insert(id, observation);
                }
                Err(error) => {
                    unreadable.insert(id, self.unreadable(id, &error));
                    errors.push(error);
                }
            }
        }
        if let Some(valkey) = observed.get_mut(&ServiceId::Valkey) {
            let wrong: Vec<Diagnostic> =
                shared.iter().filter_map(|app| no_such_database(app, specs.place_of_database(app), valkey)).collect();
            if !wrong.is_empty() {
                return Err(wrong.into());
            }
        }
        if !shared.is_empty() && observed.contains_key(&ServiceId::Valkey) {
            let tried = SharedPassword::tried(&self.config.valkey).await;
            if let Some(sink) = observed.get_mut(&ServiceId::Secrets) {
                sink.notices.extend(tried.notice());
                sink.server = Known { shared_password_refused: tried.why_not() }.into();
            }
        }
        if let Some(sink) = observed.get_mut(&ServiceId::Secrets) {
            sink.notices.extend(mixed_up::notices(&asks, &now));
        }
        let endpoints = self.endpoints(&asks);
        let ours = document.resources.keys();
        let kept_apart = ours.filter(|address| unmanaged::is_nobodys(address, &self.config)).cloned().collect();
        let mut plan = planner::plan(planner::Inputs {
            kept_apart,
            environment: &self.config.environment,
            specs: &specs,
            scope,
            consent,
            full,
            wanted,
            elsewhere,
            applied,
            document,
            observed: &observed,
            moves: &moves,
            unreadable: &unreadable,
            endpoints: &endpoints,
        })?;
        plan.workspace = self.config.settings();
        Ok(Planned { plan, errors })
    }

    /// What of `moved` is to be done in this run.
    async fn moves(
        &self,
        full: &Specs,
        specs: &Specs,
        scope: &Scope,
        document: &Document,
        wait: Duration,
    ) -> Result<Moves, Errors> {
        if self.config.moved.is_empty() {
            return Ok(Moves::default());
        }
        check_moves(&self.config, full)?;
        let mut wanted = BTreeMap::new();
        for id in ServiceId::ALL.into_iter().filter(|id| scope.has_service(*id)) {
            wanted.extend(services::desired(id, specs, &self.config)?);
        }
        let mut open = moves::open(&self.config.moved, &wanted, document, scope);
        let roles = moved_roles::derived(&self.config.moved, &wanted, document, scope);
        open.extend(&roles);
        let derived = moved_apps::derived(&open, &wanted, document);
        open.extend(&derived);
        moved_apps::check(&open, &wanted, document)?;
        let ends = open.iter().flat_map(|one| [one.from.clone(), one.to.clone()]);
        let asked: BTreeSet<Address> =
            ends.filter(|address| address.service() == ServiceId::Postgres.as_str()).collect();
        let postgres = self.services.get(&ServiceId::Postgres).filter(|_| !asked.is_empty());
        let named = match postgres {
            Some(service) => observe::named(service.as_ref(), &asked, wait).await,
            None => None,
        };
        let mut taken_over = BTreeSet::new();
        for Move { to, .. } in open.iter().filter(|one| one.from.kind == APP) {
            let published = wanted.get(&secret_address(&to.name)).and_then(|wanted| wanted.model.as_secret());
            if let (Some(published), Ok(app)) = (published, AppName::new(to.name.as_str()))
                && self.vault.observe(&app, &[published])?.is_some()
            {
                taken_over.insert(to.name.clone());
            }
        }
        Ok(Moves::judge(&open, document, named.as_ref(), &taken_over))
    }

    /// Adds the names of logins that no run may take for strangers, whatever its scope.
    pub fn tell_known(&self, asks: &mut BTreeMap<ServiceId, Ask>, specs: Option<&Specs>) {
        if let Some(ask) = asks.get_mut(&ServiceId::Valkey) {
            let declared = specs.iter().flat_map(|specs| specs.apps.values()).filter_map(|app| app.kv.as_ref());
            ask.known.extend(declared.map(|kv| kv.user.clone()));
            ask.known.extend(self.config.internal.iter().cloned());
        }
        if let Some(ask) = asks.get_mut(&ServiceId::Kafka) {
            let declared = specs.iter().flat_map(|specs| specs.apps.values()).filter_map(|app| app.events.as_ref());
            ask.known.extend(declared.map(|events| events.user.clone()));
            ask.known.extend(self.config.internal.iter().cloned());
        }
    }

    /// What is wanted and what is ours, in scope.
    fn ends(&self, full: &Specs, specs: &Specs, scope: &Scope, document: &Document) -> Result<Ends, Errors> {
        let mut all_wanted: BTreeMap<_, Wanted<Model>> = BTreeMap::new();
        for id in ServiceId::ALL.into_iter().filter(|id| scope.has_service(*id)) {
            all_wanted.extend(services::desired(id, specs, &self.config)?);
        }
        let mut wanted = scope.narrow(&all_wanted, |one: &Wanted<Model>| &one.app);
        let all_applied = document.applied();
        let mut applied = scope.narrow(&all_applied, |one| &one.app);
        sharing::settle(scope, specs, &all_wanted, &all_applied, &mut wanted, &mut applied);
        let elsewhere = all_wanted.iter().filter(|(address, _)| !wanted.contains_key(*address));
        let elsewhere = elsewhere.map(|(address, one)| (address.clone(), one.app.clone())).collect();
        take_from_others(&all_applied, &wanted, &mut applied);
        take_grants_along(&all_wanted, &all_applied, &wanted, &mut applied);
        if !scope.services.is_empty() {
            let all = services::desired(ServiceId::Secrets, full, &self.config)?;
            let all = scope.narrow(&all, |one: &Wanted<Model>| &one.app);
            keep_other_values(&all, &mut wanted, &mut applied, &all_applied);
        }
        if scope.has_app(&AppName::workspace()) {
            let own = services::desired_of_workspace(&self.config, &wanted, &applied);
            wanted.extend(own);
        }
        Ok(Ends { wanted, applied, elsewhere })
    }
}

/// What is wrong with `moved`, as infraspecs are.
///
/// # Errors
/// All of it, each with its place.
pub fn check_moves(config: &Config, specs: &Specs) -> Result<(), Errors> {
    let mut declared = BTreeSet::new();
    for id in
        [ServiceId::Postgres, ServiceId::Valkey, ServiceId::Kafka].into_iter().filter(|_| !config.moved.is_empty())
    {
        declared.extend(services::desired(id, specs, config)?.into_keys());
    }
    declared.extend(specs.apps.keys().map(|app| Address::new(APP, app.as_str())));
    let mut wrong = moves::check(&config.moved, &declared);
    let reserved = config.moved.iter().filter(|one| unmanaged::is_nobodys(&one.from, config));
    wrong.extend(reserved.map(|Move { from, place, .. }| {
        let error = Diagnostic::new(Kind::Config, format!("moved: {from} bears a reserved name, and is never renamed"));
        error.at(place.clone()).hint("take the move out")
    }));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}

struct Ends {
    wanted: BTreeMap<Address, Wanted<Model>>,
    applied: BTreeMap<Address, Applied<Model>>,
    /// What apps outside of the scope declare.
    elsewhere: BTreeMap<Address, AppName>,
}

/// What to plan.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub specs: &'a Specs,
    pub scope: &'a Scope,
    pub consent: &'a Consent,
    pub document: &'a Document,
    pub depth: Depth,
    pub wait: Duration,
}

/// A plan, and why it is incomplete if it is.
pub struct Planned {
    pub plan: Plan,
    pub errors: Vec<Diagnostic>,
}

/// Apps that have no infraspec here may have one in another checkout; not what is called otherwise from now on.
fn tell_undeclared(specs: &Specs, scope: &Scope, document: &Document, config: &Config) {
    const NAMED: usize = 5;
    if !scope.apps.is_empty() || !scope.destroy.is_empty() {
        return;
    }
    let is_declared = |app: &str| specs.apps.keys().any(|declared| declared.as_str() == app);
    let is_here = |app: &AppName| is_declared(app.as_str()) || is_moved(app, config, is_declared);
    let apps = document.keepers().into_iter().filter(|app| !app.is_workspace() && !is_here(app));
    let apps: Vec<&str> = apps.map(AppName::as_str).collect();
    if !apps.is_empty() {
        output::message(&format!(
            "note: no infraspec here declares {}, of which the state has something: if another checkout does, narrow this \
             run to its own apps with --app",
            some(apps, NAMED)
        ));
    }
}

/// Names on the command line that nothing declares and nothing owns are mistakes.
fn check_scope(specs: &Specs, scope: &Scope, document: &Document) -> Result<(), Errors> {
    check_apps(specs, document, scope.apps.iter().chain(&scope.destroy).chain(&scope.rotate))
}

/// The same for names of apps alone.
pub fn check_apps<'a>(
    specs: &Specs,
    document: &Document,
    named: impl IntoIterator<Item = &'a AppName>,
) -> Result<(), Errors> {
    let known: BTreeSet<&AppName> =
        specs.apps.keys().chain(document.resources.values().map(|entry| &entry.app)).collect();
    let named: BTreeSet<&AppName> = named.into_iter().collect();
    let errors: Vec<Diagnostic> = named
        .into_iter()
        .filter(|app| !known.contains(app))
        .map(|app| {
            let error = Diagnostic::new(
                Kind::Usage,
                format!("there is no app {app}: no infraspec declares it and the state owns nothing of it"),
            );
            let near =
                closest(app.as_str(), known.iter().filter(|known| !known.is_workspace()).map(|known| known.as_str()));
            match near {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("`nornplan validate` lists the apps"),
            }
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}
