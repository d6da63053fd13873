//! Who restores: a login that lives as long as the restore, and may what the app's user may and nothing more.
//!
//! A snapshot has functions of the app in it, in CHECK constraints for one, and they are run while its rows are copied.
//! `SET ROLE` as an administrator would not hold them: they reset it, and have the administrator's rights.

use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::secrets::new_password;
use crate::services::Failure;
use crate::services::postgres::connect::join;
use crate::services::postgres::connect::{Connector, Purpose, run, values};
use crate::services::postgres::credential::{Setting, set_quietly, verifier};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::time::{Duration, Instant};

/// How long sessions of interrupted restores may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// What interrupted restores left behind: nobody knows its password any more.
const BUSY: &str = "SELECT u.rolname::text FROM pg_catalog.pg_auth_members m \
    JOIN pg_catalog.pg_roles u ON u.oid = m.member JOIN pg_catalog.pg_roles r ON r.oid = m.roleid \
    WHERE r.rolname = $1 AND u.rolname LIKE 'nornplan\\_restore\\_%'";
/// Those of them that nobody is signed in as.
const LEFT: &str = "SELECT u.rolname::text FROM pg_catalog.pg_auth_members m \
    JOIN pg_catalog.pg_roles u ON u.oid = m.member JOIN pg_catalog.pg_roles r ON r.oid = m.roleid \
    WHERE r.rolname = $1 AND u.rolname LIKE 'nornplan\\_restore\\_%' \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = u.oid)";

const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = $1";

/// A login that nobody else knows the password of.
pub struct Restorer {
    pub name: String,
    pub password: Secret,
}

impl Restorer {
    /// Makes one that acts for `user`.
    pub async fn make(connection: &mut PgConnection, user: &str) -> Result<Self, Failure> {
        drop_left(connection, user).await?;
        let name = format!("nornplan_restore_{}", uuid::Uuid::new_v4().simple());
        let password = new_password()?;
        let create = format!("CREATE ROLE {} LOGIN IN ROLE {}", escape_identifier(&name), escape_identifier(user));
        let setting = Setting { role: &name, before: &create, verifier: &verifier(&password).0 };
        set_quietly(connection, &setting).await?;
        Ok(Self { name, password })
    }

    /// Drops it.
    pub async fn end(self, connector: &Connector) -> Result<(), Failure> {
        let mut connection = connector.administration(Purpose::Write).await?;
        let statement = drop_role(&self.name);
        run(&mut connection, &self.name, &statement).await.map_err(|failure| {
            let message = "the restore is over, but the role that it ran as could not be dropped";
            Diagnostic::new(Kind::Service, message)
                .on("postgres", &self.name, &statement)
                .hint("nobody knows its password; drop it when what it says is put right")
                .because(failure.error)
        })?;
        connector.keep(Purpose::Write, connection).await;
        Ok(())
    }
}

/// Ends the restores that act for `user`, and drops who did: a server may not see for long that nobody listens to it any
/// more.
pub async fn break_off(connector: &Connector, connection: &mut PgConnection, user: &str) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        drop_left(connection, user).await?;
        let busy: Vec<String> = values(connection, user, BUSY, &[user]).await?;
        if busy.is_empty() || since.elapsed() > PATIENCE {
            return Ok(());
        }
        for one in &busy {
            // Where we may not, the next restore drops it.
            drop(join(connector, connection, one).await);
            drop(values::<bool>(connection, one, END, &[one]).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn drop_left(connection: &mut PgConnection, user: &str) -> Result<(), Failure> {
    for left in values::<String>(connection, user, LEFT, &[user]).await? {
        run(connection, &left, &drop_role(&left)).await?;
    }
    Ok(())
}

fn drop_role(name: &str) -> String {
    format!("DROP ROLE {}", escape_identifier(name))
}
