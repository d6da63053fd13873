//! The sink of one environment, and what passwords mean in it.

use super::common::Common;
use super::dotenv::Dotenv;
use super::generate;
use super::model::{ANOTHER_VALUE, Published};
use super::password::{self, Passwords};
use super::sink::{Sink, Values};
use crate::config::Config;
use crate::core::name::AppName;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::{Check, Proof, ServiceId, SignInAs};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Passwords are generated, staged, published and found again here. Nothing is cached: every answer is read from the
/// sink, so two steps of one run never disagree.
pub struct Vault {
    sink: Box<dyn Sink>,
    common: Common,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.sink.describe())
    }
}

impl Vault {
    /// Over the sink of the workspace; nothing is read yet.
    pub fn open(config: &Config) -> Self {
        let sink = Box::new(Dotenv::new(config.secrets.dir.clone(), config.root.clone()));
        Self { sink, common: Common::of(&config.valkey) }
    }

    /// The password that apps of Valkey share. It is not ours: nothing of it is kept.
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// The password that was published for an app on a service.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn published(&self, app: &AppName, service: ServiceId) -> Result<Option<Secret>> {
        Ok(self.sink.read(app)?.and_then(|values| password::published(&values, service)))
    }

    /// How an app is told to sign in to the databases of PostgreSQL, by the names of its values. Those that `[publish]` makes
    /// may lead elsewhere, to a pooler that calls databases otherwise.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn sign_ins(&self, app: &AppName, published: &Published) -> Result<BTreeMap<String, SignInAs>> {
        let there = self.sink.read(app)?.unwrap_or_default();
        let is_url = |name: &str| name == "DATABASE_URL" || name.starts_with("DATABASE_URL_");
        let names = published.values.keys().filter(|name| is_url(name));
        let one = |name: &String| Some((name.clone(), password::sign_in_of(there.get(name)?.expose())?));
        Ok(names.filter_map(one).collect())
    }

    /// The password that an unfinished run has staged. One that is already published is not unfinished.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn staged(&self, app: &AppName, service: ServiceId) -> Result<Option<Secret>> {
        Ok(self.proof(app, service)?.staged)
    }

    /// What is published and what is staged, to be held against what the server has.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn proof(&self, app: &AppName, service: ServiceId) -> Result<Proof> {
        self.proof_among(app, service, &self.sink.read(app)?.unwrap_or_default())
    }

    fn proof_among(&self, app: &AppName, service: ServiceId, values: &Values) -> Result<Proof> {
        let published = password::published(values, service);
        let is_new = |staged: &Secret| published.as_ref().is_none_or(|published| published.expose() != staged.expose());
        let staged = staged_of(&self.sink.staged(app)?, service).filter(is_new);
        Ok(Proof { published, staged, ..Proof::default() })
    }

    /// The same for one login.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn proof_of(&self, app: &AppName, service: ServiceId, user: &str) -> Result<Proof> {
        let values = self.sink.read(app)?;
        let signs_in =
            |values: &Values| password::sign_in_as(|name| values.get(name).map(|value| value.expose()), service, user);
        let names_another = values.as_ref().is_some_and(|values| !signs_in(values));
        Ok(Proof { names_another, ..self.proof_among(app, service, &values.unwrap_or_default())? })
    }

    /// The password to set now: the staged one, else the published one.
    ///
    /// # Errors
    /// The sink cannot be read, or has neither.
    pub fn password(&self, app: &AppName, service: ServiceId) -> Result<Secret> {
        self.proof(app, service)?.to_set(app, service)
    }

    /// Stages a password for each service: the staged one if there is one; else, unless its flag (renew) is set, the
    /// published one; else a generated one. Durable when [`Self::settle`] has returned.
    ///
    /// # Errors
    /// The sink cannot be read or written, or there is no randomness.
    pub fn stage(&self, app: &AppName, services: &BTreeMap<ServiceId, bool>) -> Result<()> {
        let mut stage = self.sink.staged(app)?;
        for (service, renew) in services {
            let Some(name) = password::stage_name(*service) else { continue };
            let Proof { published, staged, .. } = self.proof(app, *service)?;
            let password = staged.or(published.filter(|_| !renew)).map_or_else(generate::password, Ok)?;
            stage.insert(name.to_owned(), password);
        }
        self.sink.stage(app, &stage)
    }

    /// Proves that passwords and values of so many apps can be staged and published, before a server is told any of them.
    ///
    /// # Errors
    /// They cannot.
    pub fn prove(&self, apps: usize) -> Result<()> {
        self.sink.prove(apps)
    }

    /// Makes all that was staged, published and removed durable.
    ///
    /// # Errors
    /// It cannot be: what was written may be lost in a crash.
    pub fn settle(&self) -> Result<()> {
        self.sink.settle()
    }

    /// The services for which something is staged, whether it is published already or not.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn staged_services(&self, app: &AppName) -> Result<BTreeSet<ServiceId>> {
        let stage = self.sink.staged(app)?;
        Ok(ServiceId::ALL.into_iter().filter(|service| staged_of(&stage, *service).is_some()).collect())
    }

    /// Takes passwords out of the stage: those that are published, or that no server was ever told.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn discard(&self, app: &AppName, services: &BTreeSet<ServiceId>) -> Result<()> {
        let mut stage = self.sink.staged(app)?;
        let staged = stage.len();
        for name in services.iter().filter_map(|service| password::stage_name(*service)) {
            stage.remove(name);
        }
        if stage.len() == staged { Ok(()) } else { self.sink.stage(app, &stage) }
    }

    /// Takes passwords out of the stage that are published.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn unstage_published(&self, app: &AppName) -> Result<()> {
        let staged = self.sink.staged(app)?;
        if staged.is_empty() {
            return Ok(());
        }
        let published = self.sink.read(app)?.unwrap_or_default();
        let is_published = |service: &ServiceId| {
            let published = password::published(&published, *service);
            staged_of(&staged, *service)
                .is_some_and(|staged| published.is_some_and(|published| published.expose() == staged.expose()))
        };
        self.discard(app, &ServiceId::ALL.into_iter().filter(is_published).collect())
    }

    /// Publishes an app's values in one atomic write. `proved` names the services whose staged passwords are on their
    /// servers by now: these are promoted; all others keep the published password. They stay in the stage until this is durable
    /// and [`Self::unstage_published`] is called.
    ///
    /// # Errors
    /// The sink cannot be read or written, or a password is neither staged nor published; then nothing has changed.
    pub fn publish(
        &self,
        app: &AppName,
        before: Option<&Published>,
        after: &Published,
        proved: &BTreeSet<ServiceId>,
    ) -> Result<()> {
        let stage = self.sink.staged(app)?;
        let mut passwords = password::all_published(&self.sink.read(app)?.unwrap_or_default());
        passwords.extend(proved.iter().filter_map(|service| Some((*service, staged_of(&stage, *service)?))));
        let mut set = Values::new();
        for (name, template) in &after.values {
            let template = self.common.fill(template)?;
            let value = password::fill(&template, &passwords).map_err(|service| {
                Diagnostic::new(
                    Kind::Secrets,
                    format!("{name} of {app} needs a password on {service} that is not there"),
                )
                .hint(format!("`nornplan rotate {app} --service {service}` makes a new one"))
            })?;
            set.insert(name.clone(), value);
        }
        let names_before = before.map(|before| before.values.keys()).into_iter().flatten();
        let gone = names_before.filter(|name| !after.values.contains_key(*name)).cloned().collect();
        self.sink.promote(app, &set, &gone)
    }

    /// Publishes and stages for an app all that is there for it under its former name; that stays.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn take_over(&self, from: &AppName, app: &AppName) -> Result<()> {
        let staged = self.sink.staged(from)?;
        if !staged.is_empty() {
            self.sink.stage(app, &staged)?;
        }
        match self.sink.read(from)? {
            Some(values) => self.sink.promote(app, &values, &BTreeSet::new()),
            None => Ok(()),
        }
    }

    /// Removes what is published for an app under these names, and all that is staged. Foreign names stay.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn remove(&self, app: &AppName, names: &BTreeSet<String>) -> Result<()> {
        self.sink.promote(app, &Values::new(), names)?;
        self.sink.stage(app, &Values::new())
    }

    /// What is published under the names that the templates have, each value as the first of the templates that makes
    /// it with the sink's own passwords. `None` if none of these names is there.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn observe(&self, app: &AppName, templates: &[&Published]) -> Result<Option<Published>> {
        let Some(there) = self.sink.read(app)? else { return Ok(None) };
        let passwords = password::all_published(&there);
        let names: BTreeSet<&String> = templates.iter().flat_map(|published| published.values.keys()).collect();
        let values: BTreeMap<String, String> = names
            .into_iter()
            .filter_map(|name| {
                let value = there.get(name)?;
                let mut known = templates.iter().filter_map(|published| published.values.get(name));
                let template = known.find(|template| self.makes(template, value, &passwords));
                Some((name.clone(), template.map_or_else(|| ANOTHER_VALUE.to_owned(), Clone::clone)))
            })
            .collect();
        Ok((!values.is_empty()).then_some(Published { values }))
    }

    fn makes(&self, template: &str, value: &Secret, passwords: &Passwords) -> bool {
        let Ok(template) = self.common.fill(template) else { return false };
        password::fill(&template, passwords).is_ok_and(|filled| filled.expose() == value.expose())
    }

    /// Refuses a sink that is not the state's. `has_published` says whether the state has published secrets: one that
    /// has none may take over any sink, for its passwords are verified before they are kept.
    ///
    /// # Errors
    /// The state has published secrets, and the sink has no marker or that of another state.
    pub fn check_lineage(&self, lineage: &str, has_published: bool) -> Result<()> {
        let marker = self.sink.marker()?;
        if !has_published || marker.as_deref() == Some(lineage) {
            return Ok(());
        }
        let here = self.sink.describe();
        let message = match marker {
            Some(other) => format!("{here} belongs to another state ({other}; this state is {lineage})"),
            None => format!("{here} has no marker of a state, and this state has published secrets"),
        };
        Err(Diagnostic::new(Kind::Secrets, message).hint(
            "bring back the directory that these secrets were published to, or name it by secrets.dir; if they are \
             lost for good, nornplan state forget secret.APP for each app of yours ('secret.*' where no other checkout \
             shares the state) lets the next plan show which passwords it would renew",
        ))
    }

    /// Makes the sink belong to a state, if it does not yet. To be called before the first step of an apply.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn claim(&self, lineage: &str) -> Result<()> {
        self.sink.tidy()?;
        if self.sink.marker()?.as_deref() == Some(lineage) { Ok(()) } else { self.sink.mark(lineage) }
    }

    /// Takes out of the stage what a run has published that was killed before it could do that: nothing is unfinished
    /// there. And what it left half written. Only in a sink of this state, and for who holds its lock. What cannot be read is
    /// told where it is needed.
    pub fn tidy_stage(&self, lineage: &str) {
        let is_ours = self.sink.marker().is_ok_and(|marker| marker.as_deref() == Some(lineage));
        // What was published must be durable before it leaves the stage.
        if is_ours && self.sink.settle().is_ok() {
            let apps = self.sink.staged_apps().into_iter().flatten();
            apps.for_each(|app| drop(self.unstage_published(&app)));
            drop(self.sink.tidy());
        }
    }

    /// Where the secrets are, for people.
    pub fn describe(&self) -> String {
        self.sink.describe()
    }

    /// Whether the sink can be used, for `nornplan doctor`.
    pub fn examine(&self) -> Vec<Check> {
        self.sink.examine()
    }
}

fn staged_of(stage: &Values, service: ServiceId) -> Option<Secret> {
    stage.get(password::stage_name(service)?).filter(|staged| !staged.expose().is_empty()).cloned()
}
