//! The state in a database of nornplan's own on a PostgreSQL, for several people and machines.
//!
//! Whoever changes something holds an advisory lock in a transaction that stays open on a session of its own, so that the
//! server gives the lock free when that session ends, however that comes. Everything is done in transactions and nothing
//! is set for a session: so it works behind PgBouncer in transaction mode as well.

mod examine;
mod lock;
mod read;
mod schema;
mod session;
mod write;

use super::backend::{Backend, Holding, Locked, View};
use super::holder::Patience;
use crate::config::{Config, PostgresConfig};
use crate::error::Result;
use crate::services::Check;
use async_trait::async_trait;
use session::Server;

/// Which state of all that a database holds.
#[derive(Clone, Debug)]
struct Key {
    workspace: String,
    environment: String,
}

/// The state of one environment of one workspace, in a database.
#[derive(Debug)]
pub struct Database {
    server: Server,
    key: Key,
}

impl Database {
    /// Where the workspace keeps its state, or would.
    pub fn of(config: &Config) -> Self {
        let state = &config.state;
        let postgres: PostgresConfig = state.postgres.clone();
        Self {
            server: Server::new(postgres, state.maintenance.clone(), state.is_apart),
            key: Key { workspace: state.name.clone(), environment: config.environment.clone() },
        }
    }
}

#[async_trait]
impl Backend for Database {
    fn place(&self) -> String {
        let Key { workspace, environment } = &self.key;
        format!("{}, {workspace}/{environment}", self.server.place())
    }

    async fn view(&self) -> Result<View> {
        match self.server.connect().await? {
            Some(mut connection) => read::view(&self.server, &mut connection, &self.key).await,
            None => Ok(View::nothing(&self.key.environment)),
        }
    }

    async fn lock(&self, patience: &Patience<'_>) -> Result<Box<dyn Locked>> {
        Ok(Box::new(write::DatabaseLocked::lock(&self.server, &self.key, patience).await?))
    }

    async fn holding(&self) -> Result<Option<Holding>> {
        match self.server.connect().await? {
            Some(mut connection) => lock::holding(&self.server, &mut connection, &self.key).await,
            None => Ok(None),
        }
    }

    async fn take_away(&self, from: &Holding) -> Result<()> {
        match self.server.connect().await? {
            Some(mut connection) => lock::take_away(&self.server, &mut connection, &self.key, from).await,
            None => Ok(()),
        }
    }

    async fn backup(&self) -> Result<Option<String>> {
        match self.server.connect().await? {
            Some(mut connection) => read::backup(&self.server, &mut connection, &self.key).await,
            None => Ok(None),
        }
    }

    async fn examine(&self) -> Vec<Check> {
        examine::database(&self.server).await.unwrap_or_else(|error| vec![Check::failed(&error)])
    }
}
