//! PostgreSQL as a service: roles, databases, and who may do what in them.
//!
//! What is wanted and what there is meet as the same types; what differs becomes steps, and steps become statements:
//!
//! ```text
//! infraspecs -> desired --------+
//!                               +-> model -> shape -> diff -> plan -> apply -> sql -> server
//! server -> catalog -> observe -+
//! ```
//!
//! - [`model`]: the types, and what access levels and settings mean. Imports only the core.
//! - [`desired`]: what infraspecs want.
//! - `scope`: which roles and databases to look at, out of what is wanted and what is ours.
//! - `catalog`: the statements that read, and the rows that they answer with; one file each.
//! - `observe`: rows made into models, and the facts beside them that a plan tells. Writes nothing.
//! - `server`: what a plan must know of the server itself: its version, our rights, what it offers.
//! - `shape`: leaves out of both sides what is nobody's business before they are compared.
//! - [`diff`]: the steps, with their risks, notes and obstacles (`diff/edges` says in which order they are done).
//! - `apply`: carries out one step and reads it again; the order of statements, and what is done around them.
//! - `sql`: the statements that change something, as text.
//!
//! Beside that way: `connect` (connections, running statements, what errors mean), `credential` (setting and proving
//! passwords), [`snapshot`] (pg_dump and pg_restore) and `examine` with `reach` (for `nornplan
//! doctor`).
//!
//! A new field of a database is a line in `model` (the field), `desired`, `catalog` and `observe` (reading it), `sql`
//! (setting it), and in `diff` if changing it interrupts somebody or cannot always be done.

mod apply;
mod catalog;
pub(crate) mod connect;
mod credential;
pub mod desired;
pub mod diff;
mod examine;
pub mod model;
mod observe;
mod reach;
mod scope;
mod server;
mod shape;
pub mod snapshot;
mod sql;

pub use catalog::STATE_COMMENT;
pub use server::{Server, rename as rename_server};

use super::{
    ApplyContext, Ask, Check, Failure, Limits, Model, Named, Observation, Outcome, Service, ServiceId, SignInAs, Step,
};
use crate::config::PostgresConfig;
use crate::core::address::{Address, Kind};
use crate::error::Result;
use async_trait::async_trait;
use connect::{Connector, Purpose};
use model::{DATABASE, ROLE, database_address, role_address};
use scope::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// A PostgreSQL that is contacted when it is first asked something.
#[derive(Debug)]
pub struct Postgres {
    connector: Connector,
}

impl Postgres {
    pub fn new(config: &PostgresConfig) -> Self {
        Self { connector: Connector::new(config.clone()) }
    }

    /// The same, telling what programs it runs.
    pub fn telling(config: &PostgresConfig, tell: fn(&str)) -> Self {
        let mut connector = Connector::new(config.clone());
        connector.tell = tell;
        Self { connector }
    }
}

#[async_trait]
impl Service for Postgres {
    fn id(&self) -> ServiceId {
        ServiceId::Postgres
    }

    fn endpoint(&self) -> String {
        self.connector.config.endpoint()
    }

    async fn observe(&self, ask: &Ask) -> Result<Observation> {
        let mut observation = observe::observe(&self.connector, ask).await?;
        observation.notices.extend(diff::unusable(ask, &observation));
        Ok(observation)
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        let steps = steps.iter().copied().filter(|step| addresses.contains(&step.address));
        let scope = Scope::of_steps(steps.clone());
        let mut now = observe::now(&self.connector, &scope).await?;
        for step in steps {
            let there = now.remove(&step.address);
            now.extend(shape::seen_by(step, there).map(|there| (step.address.clone(), there)));
        }
        Ok(now)
    }

    async fn named(&self, addresses: &BTreeSet<Address>) -> Result<BTreeMap<Address, Named>> {
        let of = |kind: Kind| -> Vec<String> {
            addresses.iter().filter(|address| address.kind == kind).map(|address| address.name.clone()).collect()
        };
        let mut connection = self.connector.administration(Purpose::Observe).await?;
        let databases = catalog::named::databases(&mut connection, &of(DATABASE)).await?;
        let roles = catalog::named::roles(&mut connection, &of(ROLE)).await?;
        let md5 = catalog::named::md5(&mut connection, &of(ROLE)).await?;
        self.connector.keep(Purpose::Observe, connection).await;
        let databases = databases.into_iter().map(|row| {
            let named = Named { identity: row.oid, users: row.users, loses_password: Some(false) };
            (database_address(&row.name), named)
        });
        let roles = roles.into_iter().map(|row| {
            let loses_password = md5.as_ref().map(|md5| md5.contains(&row.name));
            (role_address(&row.name), Named { identity: row.oid, users: row.users, loses_password })
        });
        Ok(databases.chain(roles).collect())
    }

    async fn refusals(&self, sign_ins: &[SignInAs]) -> Result<Vec<Option<String>>> {
        Ok(credential::refusals(&self.connector, sign_ins).await?)
    }

    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            outcomes.push(apply::apply(&self.connector, step, context).await);
        }
        outcomes
    }

    async fn with_staged_password(&self, steps: &[&Step], context: &ApplyContext) -> BTreeSet<Address> {
        credential::with_staged_password(&self.connector, steps, &context.vault).await
    }

    fn rest_of(&self, step: &Step, now: Option<&Model>) -> Option<Step> {
        diff::rest_of(step, now)
    }

    fn limits(&self, kind: &Kind) -> Limits {
        let batch = if *kind == ROLE { 20 } else { 1 };
        Limits { batch, in_flight: 4 }
    }

    async fn tidy(&self) -> Vec<String> {
        let swept = async {
            let mut connection = self.connector.administration(Purpose::Write).await?;
            let swept = snapshot::sweep(&self.connector, &mut connection).await?;
            self.connector.keep(Purpose::Write, connection).await;
            Ok::<_, Failure>(swept)
        };
        let failed = |what: String, Failure { error, .. }: Failure| {
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("warning: PostgreSQL: {what}: {}{hint}", error.message)
        };
        match swept.await {
            Ok(swept) => swept
                .into_iter()
                .map(|(role, removed)| match removed {
                    Ok(()) => format!("Removed the role {role}, which a killed restore had left."),
                    Err(failure) => {
                        failed(format!("the role {role}, which a killed restore has left, cannot be removed"), failure)
                    }
                })
                .collect(),
            Err(failure) => vec![failed("what killed restores have left is not known".to_owned(), failure)],
        }
    }

    async fn examine(&self, ask: &Ask) -> Vec<Check> {
        examine::examine(&self.connector, ask).await
    }
}
