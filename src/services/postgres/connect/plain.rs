//! Sessions with none of our settings, for what must work behind a pooler as well: the state.
//!
//! PgBouncer in transaction mode gives one client's transactions to whichever server session is free. So nothing may be
//! set for a session, no prepared statement may outlive its transaction, and the startup packet holds only what every
//! pooler takes.

use super::problem::{connecting, is_unreachable, stating};
use super::session::none_of;
use super::{Connector, no_host, open};
use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use sqlx::{PgConnection, Row};

impl Connector {
    /// Signs in on the first host that can be written.
    pub async fn plain(&self, database: &str) -> Result<PgConnection, Failure> {
        let password = self.admin_password().await?;
        let mut failures = Vec::new();
        for (host, port) in &self.config.hosts {
            let options = self.options(host, *port, &self.config.user, password.as_ref(), database)?;
            let options = options.statement_cache_capacity(0).extra_float_digits(None);
            let target = self.target((host.clone(), *port), &self.config.user, database);
            let mut connection = match open(&options).await {
                Ok(connection) => connection,
                Err(error) => {
                    let other_host_may_help = is_unreachable(&error);
                    failures.push(connecting(error, &target, password.is_some()));
                    if other_host_may_help {
                        continue;
                    }
                    break;
                }
            };
            const REPLICA: &str = "SELECT pg_catalog.pg_is_in_recovery()";
            let replica = sqlx::raw_sql(REPLICA).fetch_one(&mut connection).await.and_then(|row| row.try_get(0));
            match replica {
                Ok(false) => return Ok(connection),
                Ok(true) => {
                    let error = Diagnostic::new(Kind::Service, "this is a replica: it cannot be written");
                    failures.push(error.on("postgres", target, "").hint("name the primary among the hosts").into());
                }
                Err(error) => failures.push(stating(error, &target.to_string(), REPLICA)),
            }
        }
        Err(none_of(failures).unwrap_or_else(no_host))
    }
}
