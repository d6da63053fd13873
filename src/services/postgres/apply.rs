//! Carries out steps: one operation each, read again afterwards where a statement may silently do nothing.

use super::connect::{Connector, Purpose, run, value, values};
use super::credential::{prove, run_quietly, verifier};
use super::drop;
use super::membership::{join, join_for_grants};
use super::model::{Access, Credential, Database, Grant, Op as Do, Role};
use super::scope::Scope;
use super::{desired, observe, sql};
use crate::core::change::{Resource, three_way};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::{ApplyContext, Failure, Fingerprint, Model, Op, Outcome, ServiceId, Step};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;

/// Carries out one step.
pub async fn apply(connector: &Connector, step: &Step, context: &ApplyContext) -> Outcome {
    match carry_out(connector, step, context).await {
        Ok(fingerprint) => Outcome::Done { fingerprint },
        Err(failure) => failure.into(),
    }
}

async fn carry_out(connector: &Connector, step: &Step, context: &ApplyContext) -> Result<Option<Fingerprint>, Failure> {
    let Op::Postgres(operation) = &step.op else { return Ok(None) };
    let password = || context.vault.password(&step.app, ServiceId::Postgres);
    match (operation, &step.before, &step.after) {
        (Do::CreateRole, _, Some(Model::PostgresRole(role))) => {
            let password = if step.sets_credential { Some(password()?) } else { None };
            create_role(connector, role, password).await
        }
        (Do::SetPassword, _, Some(Model::PostgresRole(role))) => {
            set_password(connector, &role.name, &password()?).await.map(Some)
        }
        (Do::AlterRole, Some(Model::PostgresRole(before)), Some(Model::PostgresRole(after))) => {
            write(connector, &after.name, &sql::alter_role(before, after)).await
        }
        (Do::DropRole, Some(Model::PostgresRole(role)), _) => {
            write(connector, &role.name, &format!("DROP ROLE {}", escape_identifier(&role.name))).await
        }
        (Do::CreateDatabase, _, Some(Model::PostgresDatabase(database))) => create_database(connector, database).await,
        (Do::AlterDatabase { user }, Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) => {
            alter_database(connector, before, after, user).await
        }
        (Do::DropDatabase, Some(Model::PostgresDatabase(database)), _) => drop_database(connector, database).await,
        (Do::SetGrant { user }, _, Some(Model::PostgresGrant(grant))) => set_grant(connector, grant, user).await,
        (Do::RevokeGrant { user }, Some(Model::PostgresGrant(grant)), _) => revoke(connector, step, grant, user).await,
        _ => Err(Diagnostic::new(Kind::Plan, "the step does not say what it changes")
            .on("postgres", &step.address, "")
            .hint("make the plan anew")
            .into()),
    }
}

/// Runs statements in the administration database.
async fn write(connector: &Connector, object: &str, statements: &str) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.writer().await?;
    run(&mut connection, object, statements).await?;
    connector.keep(connection).await;
    Ok(None)
}

/// Creates a role; with a password, in the same transaction, and proves it.
pub async fn create_role(
    connector: &Connector,
    role: &Role,
    password: Option<Secret>,
) -> Result<Option<Fingerprint>, Failure> {
    let Some(password) = password.filter(|_| role.credential == Some(Credential::Generate)) else {
        return write(connector, &role.name, &sql::create_role(role, None)).await;
    };
    let (verifier, fingerprint) = verifier(&password);
    let statement = Secret::new(sql::create_role(role, Some(verifier.expose())));
    let mut connection = connector.writer().await?;
    run_quietly(connector, &mut connection, &role.name, &statement, &sql::create_role(role, None)).await?;
    connector.keep(connection).await;
    prove(connector, &role.name, &password).await?;
    Ok(Some(fingerprint))
}

/// Sets a password on a role that exists, and proves it.
pub async fn set_password(connector: &Connector, role: &str, password: &Secret) -> Result<Fingerprint, Failure> {
    let (verifier, fingerprint) = verifier(password);
    let statement = Secret::new(sql::set_password(role, verifier.expose()));
    let mut connection = connector.writer().await?;
    run_quietly(connector, &mut connection, role, &statement, &sql::set_password(role, "…")).await?;
    connector.keep(connection).await;
    prove(connector, role, password).await?;
    Ok(fingerprint)
}

async fn drop_database(connector: &Connector, database: &Database) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.writer().await?;
    join(connector, &mut connection, &database.owner).await?;
    drop::database(connector, &mut connection, &database.name).await?;
    connector.keep(connection).await;
    Ok(None)
}

async fn create_database(connector: &Connector, database: &Database) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.writer().await?;
    join(connector, &mut connection, &database.owner).await?;
    run(&mut connection, &database.name, &sql::create_database(database)).await?;
    run(&mut connection, &database.name, &sql::isolate(&database.name)).await?;
    connector.keep(connection).await;
    if database.extensions.iter().any(|extensions| !extensions.is_empty()) {
        extend(&mut connector.admin(&database.name, Purpose::Write).await?, database).await?;
    }
    Ok(None)
}

async fn alter_database(
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
            statements.push(sql::set_grant(&desired::grant(&after.name, user, Access::App), user));
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
    let scope = Scope::of([(&super::model::database_address(&after.name), &model)]);
    verify(&mut connection, &after.name, &scope, &model).await
}

/// Finishes what a run that was killed began: it left the database with a connection limit of 0.
async fn open_if_closed(connector: &Connector, database: &Database) -> Result<(), Failure> {
    let statement = "SELECT datconnlimit = 0 FROM pg_catalog.pg_database WHERE datname = $1";
    let mut connection = connector.writer().await?;
    let closed: Vec<bool> = values(&mut connection, &database.name, statement, &[&database.name]).await?;
    if closed == [true] {
        join(connector, &mut connection, &database.owner).await?;
        run(&mut connection, &database.name, &sql::isolate(&database.name)).await?;
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

async fn set_grant(connector: &Connector, grant: &Grant, user: &str) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    join_for_grants(connector, &mut connection, user).await?;
    run(&mut connection, &grant.database, &sql::set_grant(grant, user)).await.map_err(|mut failure| {
        let no_role = format!("role \"{}\" does not exist", grant.role);
        if failure.error.message.contains(&no_role) {
            failure.error.hint =
                Some("its app was not applied yet: apply that one first, or all without --app".to_owned());
        }
        failure
    })?;
    let model = Model::PostgresGrant(grant.clone());
    let mut scope = Scope::of([(&super::model::grant_address(&grant.database, &grant.role), &model)]);
    scope.creators.insert(grant.database.clone(), user.to_owned());
    verify(&mut connection, &grant.database, &scope, &model).await
}

async fn revoke(connector: &Connector, step: &Step, grant: &Grant, user: &str) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    let found;
    let user = if user.is_empty() {
        found = creator(&mut connection, grant).await?;
        found.as_str()
    } else {
        user
    };
    join_for_grants(connector, &mut connection, user).await?;
    run(&mut connection, &grant.database, &sql::revoke_grant(&grant.database, &grant.role, user)).await?;
    let mut scope = Scope::of([(&step.address, &Model::PostgresGrant(grant.clone()))]);
    scope.creators.insert(grant.database.clone(), user.to_owned());
    if observe::now_inside(&mut connection, &grant.database, &scope).await?.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(&grant.database, &format!("{} still has privileges", grant.role)))
}

/// Whose new tables a role may use, where the plan did not look at the app that the database belongs to; the owner if
/// nobody's.
async fn creator(connection: &mut PgConnection, grant: &Grant) -> Result<String, Failure> {
    let statement = "SELECT coalesce((SELECT min(pg_get_userbyid(f.defaclrole)) FROM pg_catalog.pg_default_acl f, \
                     aclexplode(f.defaclacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE r.rolname = $1), \
                     pg_get_userbyid(datdba))::text FROM pg_catalog.pg_database WHERE datname = current_database()";
    value(connection, &grant.database, statement, &[&grant.role]).await
}

/// Reads again: a REVOKE of what another role granted does nothing, and says nothing.
async fn verify(
    connection: &mut PgConnection,
    database: &str,
    scope: &Scope,
    wanted: &Model,
) -> Result<Option<Fingerprint>, Failure> {
    let now = observe::now_inside(connection, database, scope).await?;
    let mut wanted = wanted.clone();
    let mut differing = vec!["everything".to_owned()];
    for mut model in now.into_values() {
        super::shape::settle(Some(&mut wanted), Some(&mut model), None);
        let changes = three_way(&wanted.fields(), &model.fields(), None).changes;
        differing = changes.into_iter().map(|change| change.field).collect();
    }
    if differing.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(database, &format!("done, but {} did not become as wanted", differing.join(", "))))
}

fn other_grantor(object: &str, message: &str) -> Failure {
    Diagnostic::new(Kind::Service, message)
        .on("postgres", object, "")
        .hint("another role granted it: sign in as that role, or as a superuser, and revoke it there")
        .into()
}
