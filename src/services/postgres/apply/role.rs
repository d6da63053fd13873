//! Makes, changes and drops roles.

use super::write;
use crate::core::secret::Secret;
use crate::services::postgres::connect::Connector;
use crate::services::postgres::credential::{prove, run_quietly, verifier};
use crate::services::postgres::model::{Credential, Role};
use crate::services::postgres::sql;
use crate::services::{Failure, Fingerprint};

/// Creates a role; with a password, in the same transaction, and proves it.
pub async fn create_role(
    connector: &Connector,
    role: &Role,
    password: Option<Secret>,
) -> Result<Option<Fingerprint>, Failure> {
    let Some(password) = password.filter(|_| role.credential == Some(Credential::Generate)) else {
        return write(connector, &role.name, &sql::role::create_role(role, None)).await;
    };
    let (verifier, fingerprint) = verifier(&password);
    let statement = Secret::new(sql::role::create_role(role, Some(verifier.expose())));
    let mut connection = connector.writer().await?;
    run_quietly(connector, &mut connection, &role.name, &statement, &sql::role::create_role(role, None)).await?;
    connector.keep(connection).await;
    prove(connector, &role.name, &password).await?;
    Ok(Some(fingerprint))
}

/// Sets a password on a role that exists, and proves it.
pub async fn set_password(connector: &Connector, role: &str, password: &Secret) -> Result<Fingerprint, Failure> {
    let (verifier, fingerprint) = verifier(password);
    let statement = Secret::new(sql::role::set_password(role, verifier.expose()));
    let mut connection = connector.writer().await?;
    run_quietly(connector, &mut connection, role, &statement, &sql::role::set_password(role, "…")).await?;
    connector.keep(connection).await;
    prove(connector, role, password).await?;
    Ok(fingerprint)
}
