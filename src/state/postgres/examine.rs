//! What `nornplan doctor` says of the database of states.

use super::schema;
use super::session::{Mode, Server};
use crate::error::Result;
use crate::services::Check;
use postgres_protocol::escape::escape_identifier;

/// Whether it can be written, and nobody else enters it.
///
/// # Errors
/// The server fails.
pub async fn database(server: &Server) -> Result<Vec<Check>> {
    // By the catalogue: who may not use the schema may not ask by the names of its tables.
    const STATEMENT: &str = "\
        SELECT NOT pg_catalog.has_database_privilege('public', current_database(), 'CONNECT'), \
          (SELECT bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
             AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
             AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND pg_catalog.has_table_privilege(c.oid, 'DELETE')) \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE n.nspname = 'nornplan' AND c.relkind = 'r'), \
          (SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) FROM pg_catalog.pg_roles r \
           WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> current_user \
             AND pg_catalog.has_database_privilege(r.oid, current_database(), 'CONNECT'))";
    let name = server.database();
    let Some(mut connection) = server.connect().await? else {
        return Ok(vec![Check::good(format!("the database {name} is not there yet: the first apply makes it"))]);
    };
    server.begin(&mut connection, Mode::Read).await?;
    let row = sqlx::query_as(STATEMENT).persistent(false).fetch_one(&mut connection);
    let (closed, writable, who): (bool, Option<bool>, Option<String>) = server.answer(STATEMENT, row).await?;
    let Some(writable) = writable else {
        return Ok(vec![Check::good(format!("the database {name} has no tables yet: the first apply makes them"))]);
    };
    if writable {
        // Newer tables are an error.
        schema::version(server, &mut connection).await?;
    }
    server.end(&mut connection).await?;
    let mut checks = Vec::new();
    checks.push(if writable {
        Check::good("the state can be written")
    } else {
        let user = server.user();
        let role = escape_identifier(user);
        let hint = format!(
            "as who made it: GRANT USAGE ON SCHEMA nornplan TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN \
             SCHEMA nornplan TO {role}"
        );
        Check::bad(format!("the state cannot be written by {user}"), hint)
    });
    checks.push(match (closed, who) {
        (false, _) => {
            let hint = format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", escape_identifier(name));
            Check::bad(format!("the database {name} is open to every role: apps can read the state"), hint)
        }
        (true, Some(who)) => Check::warning(
            format!("the database {name} is closed but to {who}"),
            "REVOKE CONNECT from those that are apps'",
        ),
        (true, None) => Check::good(format!("the database {name} is closed to every other role")),
    });
    Ok(checks)
}
