//! What most commands begin with: the workspace, its infraspecs, its state, its services, and the plan from all these.

use super::{Errors, Global, output};
use crate::config::{self, Config, Source};
use crate::core::consent::Consent;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::error::{Diagnostic, Kind};
use crate::observe::{self, Depth};
use crate::planner;
use crate::scope::{Scope, keep_other_values, take_grants_along};
use crate::secrets::Vault;
use crate::services::{self, Model, Plan, Service, ServiceId};
use crate::spec::{self, model::Specs};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A loaded workspace. Services are connected to when they are first asked something.
pub struct Workspace {
    pub config: Config,
    pub vault: Arc<Vault>,
    pub services: BTreeMap<ServiceId, Box<dyn Service>>,
}

/// Reads the workspace file and the environment's variables.
pub fn config(global: &Global) -> Result<Config, Errors> {
    let working_directory = std::env::current_dir()
        .map_err(|error| Diagnostic::new(Kind::Config, "the working directory cannot be read").because(error))?;
    let source = Source {
        config_file: global.config.clone(),
        environment: global.env.clone(),
        working_directory,
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    };
    Ok(config::load(&source)?)
}

/// Loads the infraspecs and says what they name that is not managed.
pub fn specs(config: &Config) -> Result<Specs, Errors> {
    let specs = spec::load(config)?;
    for note in &specs.notes {
        output::message(&format!("note: {note}"));
    }
    Ok(specs)
}

impl Workspace {
    pub fn open(global: &Global) -> Result<Self, Errors> {
        let config = config(global)?;
        let vault = Arc::new(Vault::open(&config)?);
        let mut services = BTreeMap::new();
        for id in ServiceId::ALL {
            services.insert(id, services::connect(&config, id, &vault)?);
        }
        Ok(Self { config, vault, services })
    }

    /// Reads what the plan is about, and plans.
    pub async fn plan(&self, request: &Request<'_>) -> Result<Planned, Errors> {
        let Request { specs: full, scope, consent, document, depth, wait } = *request;
        check_scope(full, scope, document)?;
        let specs = scope.specs(full);
        let (wanted, applied) = self.ends(full, &specs, scope, document)?;
        self.vault.check_lineage(&document.lineage, document.has_published())?;
        let asks = observe::asks(&wanted, &applied, document, &self.vault, depth)?;
        let mut observed = BTreeMap::new();
        let mut unreadable = BTreeMap::new();
        let mut errors = Vec::new();
        for (id, read) in observe::observe(&self.services, &asks, wait).await {
            match read {
                Ok(observation) => {
                    observed.insert(id, observation);
                }
                Err(error) => {
                    unreadable.insert(id, error.message.clone());
                    errors.push(error);
                }
            }
        }
        let endpoints = asks.keys().filter_map(|id| Some((*id, self.services.get(id)?.endpoint()))).collect();
        let prevented = full.apps.values().filter(|app| app.prevent_destroy).map(|app| app.name.clone()).collect();
        let plan = planner::plan(planner::Inputs {
            environment: &self.config.environment,
            specs: &specs,
            scope,
            consent,
            prevented,
            wanted,
            applied,
            document,
            observed: &observed,
            unreadable: &unreadable,
            endpoints: &endpoints,
        })?;
        Ok(Planned { plan, errors })
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
        take_grants_along(&all_wanted, &all_applied, &wanted, &mut applied);
        if !scope.services.is_empty() {
            let all = services::desired(ServiceId::Secrets, full, &self.config)?;
            let all = scope.narrow(&all, |one: &Wanted<Model>| &one.app);
            keep_other_values(&all, &mut wanted, &mut applied, &all_applied);
        }
        Ok((wanted, applied))
    }
}

type Ends =
    (BTreeMap<crate::core::address::Address, Wanted<Model>>, BTreeMap<crate::core::address::Address, Applied<Model>>);

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

/// Names on the command line that nothing declares and nothing owns are mistakes.
fn check_scope(specs: &Specs, scope: &Scope, document: &Document) -> Result<(), Errors> {
    let known: BTreeSet<&AppName> =
        specs.apps.keys().chain(document.resources.values().map(|entry| &entry.app)).collect();
    let named = scope.apps.iter().chain(&scope.destroy).chain(&scope.rotate);
    let errors: Vec<Diagnostic> = named
        .filter(|app| !known.contains(app))
        .map(|app| {
            let error = Diagnostic::new(
                Kind::Usage,
                format!("there is no app {app}: no infraspec declares it and the state owns nothing of it"),
            );
            let near = known.iter().find(|known| strsim::jaro_winkler(known.as_str(), app.as_str()) > 0.8);
            match near {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("`nornplan validate` lists the apps"),
            }
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}
