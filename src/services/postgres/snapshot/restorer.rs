//! Who restores: a login that lives as long as the restore, and may what the app's user may and nothing more.
//!
//! A snapshot has functions of the app in it, in CHECK constraints for one, and they are run while its rows are copied.
//! `SET ROLE` as an administrator would not hold them: they reset it, and have the administrator's rights. They may well give
//! the login another password, so it signs in once, soon, and is found and removed when nornplan is killed.

use super::leftover::{claim, remove, sweep};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::secrets::new_password;
use crate::services::Failure;
use crate::services::postgres::connect::{Connector, Purpose, close, run, value, values};
use crate::services::postgres::credential::{Setting, set_quietly, verifier};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use sqlx::PgConnection;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// How long an interrupted restore may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How long the session says nothing: firewalls forget connections after some minutes of that.
const IDLE_AT_MOST: Duration = Duration::from_secs(30);

/// Until when it may sign in, which pg_restore does at once, and once: by the server's clock.
const UNTIL: &str = "SELECT (now() + interval '10 minutes')::text";

/// A login for one restore.
pub struct Restorer {
    pub name: String,
    pub password: Secret,
    /// Has its name locked, which tells others that the restore runs.
    session: PgConnection,
}

impl Restorer {
    /// Makes one that acts for `user`.
    pub async fn make(connector: &Connector, user: &str) -> Result<Self, Failure> {
        let mut session = connector.administration(Purpose::Write).await?;
        // What cannot be removed is in nobody's way here: an apply says why.
        drop(sweep(connector, &mut session).await);
        let name = format!("nornplan_restore_{}", uuid::Uuid::new_v4().simple());
        claim(&mut session, &name).await?;
        let until: String = value(&mut session, &name, UNTIL, &[]).await?;
        let password = new_password()?;
        let role = escape_identifier(&name);
        let create = format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 1 VALID UNTIL {} IN ROLE {}; \
             COMMENT ON ROLE {role} IS 'nornplan restores a snapshot as this role, and then drops it'",
            escape_literal(&until),
            escape_identifier(user)
        );
        let setting = Setting { role: &name, before: &create, verifier: &verifier(&password).0 };
        set_quietly(&mut session, &setting).await?;
        Ok(Self { name, password, session })
    }

    /// Keeps the session from being cut for being idle, for as long as it is waited for.
    pub async fn stay(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(IDLE_AT_MOST).await;
            drop(run(&mut self.session, &self.name, "SELECT 1").await);
        }
    }

    /// Drops it, over another session where its own was cut.
    pub async fn end(self, connector: &Connector) -> Result<(), Failure> {
        let Self { name, mut session, .. } = self;
        if run(&mut session, &name, "SELECT 1").await.is_err() {
            session = connector.administration(Purpose::Write).await?;
        }
        let removed = remove(connector, &mut session, &name).await;
        close(session).await;
        removed.map_err(|failure| {
            let message = "the restore is over, but the role that it ran as could not be dropped";
            Diagnostic::new(Kind::Service, message)
                .on("postgres", &name, format!("DROP ROLE {}", escape_identifier(&name)))
                .hint("put right what it says: the next `nornplan apply` drops it")
                .because(failure.error)
                .into()
        })
    }
}

/// Ends the restore of this process that acted for `user`, and drops who did: a server may not see for long that nobody
/// listens to it any more. Whether it is gone.
pub async fn break_off(connector: &Connector, connection: &mut PgConnection, user: &str) -> Result<bool, Failure> {
    const BUSY: &str = "SELECT u.rolname::text FROM pg_catalog.pg_auth_members m \
        JOIN pg_catalog.pg_roles u ON u.oid = m.member JOIN pg_catalog.pg_roles r ON r.oid = m.roleid \
        WHERE r.rolname = $1 AND u.rolname LIKE 'nornplan\\_restore\\_%'";
    let since = Instant::now();
    loop {
        // What cannot be removed now, the next apply removes.
        drop(sweep(connector, connection).await?);
        let busy: Vec<String> = values(connection, user, BUSY, &[user]).await?;
        if busy.is_empty() || since.elapsed() > PATIENCE {
            return Ok(busy.is_empty());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
