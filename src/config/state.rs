//! `[state]`: which backend keeps the state, and where.

use super::build::Builder;
use super::password::{PasswordSource, Search};
use super::{PostgresConfig, STATE_DATABASE, StateBackend, StateConfig, Tls};
use std::path::Path;

/// A database that the role of an app owns (Norn's own) is never one for states.
const OWNED_BY_APPS: &str = "norn_db";
const MAINTENANCE: &str = "postgres";

impl Builder<'_> {
    pub fn state(&mut self, root: &Path, managed: &PostgresConfig) -> StateConfig {
        let backend = match self.settings.text("state", "backend").as_deref() {
            Some("postgres") => StateBackend::Postgres,
            Some(_) | None => StateBackend::Local,
        };
        let name = self.text("state", "name", "default");
        if name.len() > 63 || name.chars().any(char::is_control) {
            self.complain("state", "name", "name is too long, or not for people to read", "63 bytes are enough");
        }
        let has = |key| self.settings.origin("state", key).is_some();
        let (another_server, another_user) = (has("host"), has("user"));
        StateConfig {
            backend,
            path: self.settings.path("state", "path").unwrap_or_else(|| root.join("state")),
            name,
            maintenance: if another_server { MAINTENANCE.to_owned() } else { managed.database.clone() },
            is_apart: another_server || another_user,
            postgres: self.database_of_states(managed, another_server, another_user),
        }
    }

    /// As `[postgres]`, but for what is said here. A password of that server is not sent to another one.
    fn database_of_states(&mut self, managed: &PostgresConfig, other_host: bool, other_user: bool) -> PostgresConfig {
        let database = self.text("state", "database", STATE_DATABASE);
        if [OWNED_BY_APPS, MAINTENANCE, managed.database.as_str()].contains(&database.as_str())
            || database.starts_with("template")
            || database.len() > 63
        {
            let message = format!("database = {database:?} is none for states alone");
            self.complain("state", "database", &message, "name one that is used for nothing else, such as nornplan");
        }
        let port = self.settings.port("state", "port");
        let hosts = match self.settings.list("state", "host") {
            Some(hosts) => self.addresses("state", "host", &hosts, port.unwrap_or(5432)),
            None => managed.hosts.iter().map(|(host, own)| (host.clone(), port.unwrap_or(*own))).collect(),
        };
        let user = self.text("state", "user", &managed.user);
        let search = Search { settings: &self.settings, variables: &self.source.variables };
        let password = match search.state(&hosts, &database, &user) {
            Ok(Some(found)) => found,
            Ok(None) if other_host || other_user => PasswordSource::None,
            Ok(None) => managed.password.clone(),
            Err(error) => {
                self.wrong.push(error);
                PasswordSource::None
            }
        };
        let tls = self.tls("state");
        let tls = if tls == Tls::default() && !other_host { managed.tls.clone() } else { tls };
        let sslmode = if other_host { "prefer" } else { managed.sslmode.as_str() };
        let sslmode = self.text("state", "sslmode", sslmode);
        PostgresConfig { hosts, user, database, sslmode, tls, password, ..managed.clone() }
    }
}
