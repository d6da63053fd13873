//! Makes, changes and drops databases.

use super::verify;
use crate::core::consent::Consent;
use crate::services::postgres::connect::{Connector, Purpose, run, values};
use crate::services::postgres::membership::join;
use crate::services::postgres::model::{Access, Database, database_address};
use crate::services::postgres::scope::Scope;
use crate::services::postgres::{desired, drop, sql};
use crate::services::{Failure, Fingerprint, Model};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;

/// Drops a database after it was dumped.
pub async fn drop_database(
    connector: &Connector,
    database: &Database,
    consent: &Consent,
) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.writer().await?;
    join(connector, &mut connection, &database.owner).await?;
    drop::database(connector, &mut connection, &database.name, consent).await?;
    connector.keep(connection).await;
    Ok(None)
}

/// Creates a database that PUBLIC cannot enter.
pub async fn create_database(connector: &Connector, database: &Database) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.writer().await?;
    join(connector, &mut connection, &database.owner).await?;
    run(&mut connection, &database.name, &sql::database::create_database(database)).await?;
    run(&mut connection, &database.name, &sql::database::isolate(&database.name)).await?;
    connector.keep(connection).await;
    if database.extensions.iter().any(|extensions| !extensions.is_empty()) {
        extend(&mut connector.admin(&database.name, Purpose::Write).await?, database).await?;
    }
    Ok(None)
}

/// Changes what differs, and reads it again.
pub async fn alter_database(
    connector: &Connector,
    before: &Database,
    after: &Database,
    user: &str,
) -> Result<Option<Fingerprint>, Failure> {
    open_if_closed(connector, before).await?;
    let name = escape_identifier(&after.name);
    let mut connection = connector.admin(&after.name, Purpose::Write).await?;
    let mut statements = Vec::new();
    join(connector, &mut connection, &before.owner).await?;
    if before.owner != after.owner {
        join(connector, &mut connection, &after.owner).await?;
        statements.push(format!("ALTER DATABASE {name} OWNER TO {}", escape_identifier(&after.owner)));
        // The old owner's entry became the new owner's: give the app its own in the same transaction.
        if user != after.owner && !user.is_empty() {
            statements.push(sql::grant::set_grant(&desired::grant(&after.name, user, Access::App), user));
        }
    }
    if before.public != after.public {
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"));
    }
    if !statements.is_empty() {
        run(&mut connection, &after.name, &statements.join("; ")).await?;
    }
    if before.extensions != after.extensions {
        extend(&mut connection, after).await?;
    }
    let model = Model::PostgresDatabase(after.clone());
    let scope = Scope::of([(&database_address(&after.name), &model)]);
    verify(&mut connection, &after.name, &scope, &model).await
}

/// Finishes what a run that was killed began: it left the database with a connection limit of 0.
async fn open_if_closed(connector: &Connector, database: &Database) -> Result<(), Failure> {
    let statement = "SELECT datconnlimit = 0 FROM pg_catalog.pg_database WHERE datname = $1";
    let mut connection = connector.writer().await?;
    let closed: Vec<bool> = values(&mut connection, &database.name, statement, &[&database.name]).await?;
    if closed == [true] {
        join(connector, &mut connection, &database.owner).await?;
        run(&mut connection, &database.name, &sql::database::isolate(&database.name)).await?;
    }
    connector.keep(connection).await;
    Ok(())
}

/// Makes the declared extensions that are not there.
async fn extend(connection: &mut PgConnection, database: &Database) -> Result<(), Failure> {
    for name in database.extensions.iter().flatten() {
        let statement = format!("CREATE EXTENSION IF NOT EXISTS {}", escape_identifier(name));
        run(connection, &database.name, &statement).await?;
    }
    Ok(())
}
