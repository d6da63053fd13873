//! One workspace and one real service: specs are planned by the service's differ and carried out by the executor.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

use futures_util::FutureExt;
use nornplan::config::{self, Config, Source};
use nornplan::core::address::Address;
use nornplan::core::consent::Consent;
use nornplan::core::graph::sort;
use nornplan::core::name::AppName;
use nornplan::core::plan::Notice;
use nornplan::core::step::{Action, Part};
use nornplan::error::Place;
use nornplan::exec::{Executed, Job, Listener, execute};
use nornplan::observe::{Depth, asks};
use nornplan::secrets::Vault;
use nornplan::services::{
    self, ApplyContext, Ask, CredentialStatus, DiffInput, Fingerprint, Model, Observation, Outcome, Progress, Service,
    ServiceId, Step,
};
use nornplan::spec::model::{App, Specs};
use nornplan::state::{Document, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A variable that `make test` sets when it starts the services.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the services"))
}

/// The services that were started for us, and all else by default.
fn config(root: &Path) -> Config {
    // The variable that says whether they were.
    variable("NORNPLAN_POSTGRES_PORT");
    let variables = std::env::vars().filter(|(name, _)| name.starts_with("NORNPLAN_")).collect();
    config::load(&Source { working_directory: root.to_owned(), variables, ..Source::default() }).unwrap()
}

/// One workspace, of which one service is looked at.
pub struct World {
    id: ServiceId,
    /// Begins the names of this test alone.
    pub prefix: String,
    _directory: tempfile::TempDir,
    pub config: Config,
    vault: Arc<Vault>,
    services: BTreeMap<ServiceId, Box<dyn Service>>,
    pub specs: Specs,
    pub rotate: BTreeSet<AppName>,
    /// What the user has consented to while steps are carried out.
    pub consent: Consent,
}

impl World {
    pub fn new(id: ServiceId, test: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config(directory.path());
        let vault = Arc::new(Vault::open(&config));
        let mut world = Self {
            id,
            prefix: format!("np{}{test}", std::process::id()),
            _directory: directory,
            config,
            vault,
            services: BTreeMap::new(),
            specs: Specs::default(),
            rotate: BTreeSet::new(),
            consent: Consent::default(),
        };
        world.connect();
        world
    }

    /// Connects as the configuration says by now.
    pub fn connect(&mut self) {
        let service = services::connect(&self.config, self.id, &self.vault).unwrap();
        self.services = BTreeMap::from([(self.id, service)]);
    }

    /// The name of an app of this test.
    pub fn name(&self, app: &str) -> AppName {
        AppName::new(format!("{}-{app}", self.prefix)).unwrap()
    }

    /// An app that wants nothing yet.
    pub fn app(&self, name: AppName) -> App {
        App {
            name,
            place: Place::File("test".into()),
            postgres: None,
            kv: None,
            events: None,
            publish: BTreeMap::new(),
            prevent_destroy: None,
        }
    }

    pub fn insert(&mut self, app: App) {
        self.specs.apps.insert(app.name.clone(), app);
    }

    pub fn forget(&mut self, app: &str) {
        let name = self.name(app);
        self.specs.apps.remove(&name);
    }

    pub fn service(&self) -> &dyn Service {
        self.services[&self.id].as_ref()
    }

    pub fn ask(&self) -> Ask {
        let wanted = services::desired(self.id, &self.specs, &self.config).unwrap();
        let document = self.document();
        let mut asks =
            asks(&wanted, &document.applied(), &document, &self.vault, Depth::default(), &BTreeSet::new()).unwrap();
        asks.remove(&self.id).unwrap_or_default()
    }

    pub async fn observe(&self) -> Observation {
        self.service().observe(&self.ask()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn status(&self, login: &Address) -> Option<CredentialStatus> {
        self.observe().await.resources[login].credential
    }

    pub async fn plan(&self) -> Vec<Step> {
        let ask = self.ask();
        let observation = self.observe().await;
        // That objects belong to others, or that we may not look, is told at every plan for as long as it is so; and so is
        // what other tests open on the same servers meanwhile.
        let lasting = [
            "which the app cannot use",
            "could not be looked into",
            "that no infraspec declares",
            "which no infraspec says",
            // Wherever sessions have no end.
            "new users (",
            "until the first app has signed in",
            "of a kind that is not known here",
        ];
        let unexpected = |notice: &&Notice| !lasting.iter().any(|words| notice.text.contains(words));
        assert_eq!(observation.notices.iter().find(unexpected), None);
        assert!(observation.identity.is_some());
        let input = DiffInput {
            wanted: &ask.wanted,
            applied: &ask.applied,
            observation: &observation,
            rotate: &self.rotate,
            credentials: &BTreeMap::new(),
        };
        sort(services::diff(self.id, input)).unwrap()
    }

    /// Applies whatever is to be done, and demands that nothing is left then.
    pub async fn converge(&self) {
        self.apply(self.plan().await).await;
        assert_eq!(self.plan().await, Vec::new());
    }

    /// Demands that something is only to be noted, and nothing is left then.
    pub async fn only_records(&self) {
        let plan = self.plan().await;
        assert_eq!(plan.iter().map(|step| step.action).collect::<Vec<_>>(), [Action::Record]);
        self.apply(plan).await;
        assert_eq!(self.plan().await, Vec::new());
    }

    pub async fn apply(&self, steps: Vec<Step>) {
        self.try_apply(steps).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Carries out every step, with the passwords staged before and published after; the first error of a service.
    pub async fn try_apply(&self, steps: Vec<Step>) -> Result<(), String> {
        for step in steps.iter().filter(|step| step.sets_credential) {
            let renew = step.part == Part::Credential;
            self.vault.stage(&step.app, &BTreeMap::from([(self.id, renew)])).unwrap();
        }
        let mut store = Store::lock(&self.config, Duration::ZERO, "a test").await.unwrap();
        let job = Job {
            steps: &steps,
            services: &self.services,
            context: &ApplyContext {
                vault: self.vault.clone(),
                consent: self.consent.clone(),
                removed: Progress::default(),
                stop: CancellationToken::new(),
            },
            saved: None,
            parallelism: 8,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let Executed { mut outcomes, unrecorded, .. } = execute(&job, &mut store, &Publisher(self)).await;
        assert!(unrecorded.is_none(), "{unrecorded:?}");
        store.finish().await.unwrap();
        let mut failed = None;
        for step in &steps {
            match outcomes.remove(&step.id()) {
                Some(Outcome::Done { fingerprint, .. }) => {
                    assert_eq!(fingerprint.is_some(), step.sets_credential, "{}", step.id());
                }
                // What a new owner brings along need not be granted again.
                Some(Outcome::AlreadySo) if self.id == ServiceId::Postgres => {}
                Some(Outcome::Failed { error, .. }) => drop(failed.get_or_insert(error.to_string())),
                Some(Outcome::Skipped { .. }) if failed.is_some() => {}
                other => panic!("{}: {other:?}\nplanned: {step:#?}", step.id()),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Has the service carry out steps as they are: nothing is read before, tried again or recorded.
    pub async fn carry_out(&self, steps: &[&Step]) -> Vec<Outcome> {
        let (vault, consent, stop) = (self.vault.clone(), self.consent.clone(), CancellationToken::new());
        self.service().apply(steps, &ApplyContext { vault, consent, removed: Progress::default(), stop }).await
    }

    fn publish(&self, app: &AppName) {
        let wanted = services::desired(ServiceId::Secrets, &self.specs, &self.config).unwrap();
        let secret = wanted.into_values().find(|secret| secret.app == *app).unwrap();
        let Model::Secret(values) = secret.model else { panic!("{app} has no secret") };
        self.vault.publish(app, None, &values, &BTreeSet::from([self.id])).unwrap();
    }

    /// Stages a password as a run does that is killed before it sets it.
    pub fn stage(&self, app: &AppName) {
        self.vault.stage(app, &BTreeMap::from([(self.id, true)])).unwrap();
    }

    /// The published password of an app.
    pub fn password(&self, app: &AppName) -> String {
        self.vault.published(app, self.id).unwrap().unwrap().expose().to_owned()
    }

    pub fn document(&self) -> Document {
        Store::open(&self.config).now_or_never().unwrap().unwrap().document().clone()
    }

    pub fn fingerprints(&self) -> BTreeMap<Address, Fingerprint> {
        let entries = self.document().resources.into_iter();
        entries.filter_map(|(address, entry)| Some((address, entry.fingerprint?))).collect()
    }

    pub fn lose_fingerprints(&self) {
        self.rewrite(|document| document.resources.values_mut().for_each(|entry| entry.fingerprint = None));
    }

    pub fn lose_state(&self) {
        self.rewrite(|document| document.resources.clear());
    }

    fn rewrite(&self, change: impl FnOnce(&mut Document)) {
        let mut document = self.document();
        change(&mut document);
        let file = self.config.state.path.join(format!("{}.json", self.config.environment));
        fs::write(file, serde_json::to_vec(&document).unwrap()).unwrap();
    }

    /// Removes all that is declared, by nornplan itself.
    pub async fn clean_up(mut self) {
        self.specs.apps.clear();
        let steps = self.plan().await;
        assert!(steps.iter().all(|step| step.action == Action::Destroy), "{steps:#?}");
        self.apply(steps).await;
        assert_eq!(self.plan().await, Vec::new());
        assert!(self.document().resources.is_empty());
    }
}

/// Publishes a password as soon as it is set, as the step after it does in a whole plan.
struct Publisher<'a>(&'a World);

impl Listener for Publisher<'_> {
    fn started(&self, _: &[&Step]) {}

    fn finished(&self, step: &Step, outcome: &Outcome) {
        if step.sets_credential && matches!(outcome, Outcome::Done { .. }) {
            self.0.publish(&step.app);
        }
    }
}
