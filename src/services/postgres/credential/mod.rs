//! Whether logins still have the passwords that are published, and setting new ones.

pub mod server_log;

use super::catalog::Shared;
use super::connect::{Connector, SignIn, run, stating};
use super::sql;
use crate::boundary;
use crate::core::address::Address;
use crate::core::plan::{Level, Notice};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Place};
use crate::secrets::Vault;
use crate::services::postgres::model::role_address;
use crate::services::{Ask, CredentialStatus, Failure, Fingerprint, Observed, Proof, ServiceId, SignInAs, Step};
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Sign-ins at once.
const AT_ONCE: usize = 4;

/// Makes the verifier that the server stores as it is, and the fingerprint of both.
pub fn verifier(password: &Secret) -> (Secret, Fingerprint) {
    let verifier = Secret::new(postgres_protocol::password::scram_sha_256(password.expose().as_bytes()));
    let fingerprint = Fingerprint { password: password.sha256(), stored: Some(verifier.sha256()) };
    (verifier, fingerprint)
}

/// Fills in the status of every login that is asked about; says which could not be tried.
pub async fn check(
    connector: &Connector,
    connection: &mut PgConnection,
    ask: &Ask,
    shared: &Shared,
    resources: &mut BTreeMap<Address, Observed>,
) -> Result<Vec<Notice>, Failure> {
    let stored = if shared.reads_verifiers { stored_digests(connection, ask).await? } else { BTreeMap::new() };
    let mut asked = Vec::new();
    for row in &shared.roles {
        let address = role_address(&row.name);
        if let Some(proof) = ask.proofs.get(&address) {
            // An expired password looks like a wrong one, whatever it is, and so does that of a role that may not sign in.
            if row.expired || !row.login {
                if let (Some(observed), Err(status)) = (resources.get_mut(&address), proof.to_try()) {
                    observed.credential = Some(status);
                }
                continue;
            }
            let stored = stored.get(&row.name).map(String::as_str);
            asked.push(status(connector, address, proof, stored, ask.probe_credentials));
        }
    }
    let statuses: Vec<(Address, Option<CredentialStatus>)> =
        stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut notices = Vec::new();
    for (address, status) in statuses {
        if status.is_none() {
            let text =
                format!("{address}: its password could not be tried, the server does not let it sign in from here");
            notices.push(Notice { level: Level::Warning, about: "postgres".to_owned(), text });
        }
        if let Some(observed) = resources.get_mut(&address) {
            observed.credential = status;
        }
    }
    notices.sort();
    Ok(notices)
}

async fn status(
    connector: &Connector,
    role: Address,
    proof: &Proof,
    stored: Option<&str>,
    probe: bool,
) -> Result<(Address, Option<CredentialStatus>), Failure> {
    let published = match proof.to_try() {
        Ok(published) => published,
        Err(status) => return Ok((role, Some(status))),
    };
    let known = proof.fingerprint.as_ref().is_some_and(|fingerprint| {
        stored.is_some() && fingerprint.stored.as_deref() == stored && fingerprint.password == published.sha256()
    });
    if known && !probe {
        return Ok((role, Some(CredentialStatus::Verified)));
    }
    let status = match connector.sign_in(&role.name, published).await? {
        SignIn::Right => Some(CredentialStatus::Verified),
        SignIn::Wrong => Some(CredentialStatus::Wrong),
        SignIn::Unchecked | SignIn::NotFromHere => None,
    };
    Ok((role, status))
}

/// The roles that sign in with the password that is staged for them, as far as that can be found out.
pub async fn with_staged_password(connector: &Connector, steps: &[&Step], vault: &Vault) -> BTreeSet<Address> {
    let mut found = BTreeSet::new();
    // Who lets everybody in says nothing of a password.
    if !matches!(accepts_anything(connector).await, Ok(false)) {
        return found;
    }
    for step in steps {
        let Ok(Some(password)) = vault.staged(&step.app, ServiceId::Postgres) else { continue };
        if matches!(connector.sign_in(&step.address.name, &password).await, Ok(SignIn::Right)) {
            found.insert(step.address.clone());
        }
    }
    found
}

/// sha256 of each role's verifier, made on the server so that no verifier travels.
async fn stored_digests(connection: &mut PgConnection, ask: &Ask) -> Result<BTreeMap<String, String>, Failure> {
    let statement = "SELECT rolname::text, encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex') \
                     FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL AND rolname = ANY($1)";
    let names: Vec<String> = ask.proofs.keys().map(|address| address.name.clone()).collect();
    let rows: Vec<(String, String)> = sqlx::query_as(statement)
        .bind(names)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| stating(error, "stored passwords", statement))?;
    Ok(rows.into_iter().collect())
}

/// Signs in into each database as apps were told to: why it is refused, where it is.
pub async fn refusals(connector: &Connector, sign_ins: &[SignInAs]) -> Result<Vec<Option<String>>, Failure> {
    let mut tried = Vec::new();
    for one in sign_ins {
        tried.push(connector.refusal(one));
    }
    stream::iter(tried).buffered(AT_ONCE).try_collect().await
}

/// Tries a wrong password once, for a role that does not exist: a server that does not mind isolates nothing.
pub async fn accepts_anything(connector: &Connector) -> Result<bool, Failure> {
    let role = format!("nornplan_nobody_{}", uuid::Uuid::new_v4().simple());
    let sign_in = connector.sign_in(&role, &Secret::new("wrong".to_owned())).await?;
    Ok(match sign_in {
        SignIn::Right | SignIn::Unchecked => true,
        SignIn::Wrong | SignIn::NotFromHere => false,
    })
}

/// The loudest notice of all, if it is deserved.
pub async fn alarm_if_unchecked(connector: &Connector) -> Result<Option<Notice>, Failure> {
    let text = "accepts a wrong password (trust): nothing is isolated".to_owned();
    let alarm = Notice { level: Level::Alarm, about: "postgres".to_owned(), text };
    Ok(accepts_anything(connector).await?.then_some(alarm))
}

/// A password that is about to be set: `before` are statements without it.
pub struct Setting<'a> {
    pub role: &'a str,
    pub before: &'a str,
    pub verifier: &'a Secret,
}

/// Sets a password by its verifier, after other statements and in one transaction with them. The verifier has a message
/// of its own, in which little can fail, and is kept out of the server's log as far as the administrator may.
pub async fn set_quietly(connection: &mut PgConnection, setting: &Setting<'_>) -> Result<(), Failure> {
    let Setting { role, before, verifier } = setting;
    let hushed = server_log::hush(connection, role).await?;
    run(connection, role, &format!("BEGIN; {before}")).await.map_err(|mut failure| {
        // BEGIN is no news to anybody.
        if let Some(Place::Server { statement, .. }) = &mut failure.error.place {
            (*before).clone_into(statement);
        }
        failure
    })?;
    set_and_commit(connection, role, verifier, &hushed).await
}

/// Sets a password in a transaction that is open, and ends it. The log was hushed before that began: which transactions
/// are logged whole is settled at their beginning.
pub async fn set_and_commit(
    connection: &mut PgConnection,
    role: &str,
    verifier: &Secret,
    hushed: &[String],
) -> Result<(), Failure> {
    let statement = Secret::new(sql::role::set_password(role, verifier.expose()));
    let set = async {
        let set = sqlx::raw_sql(AssertSqlSafe(statement.expose().to_owned())).execute(&mut *connection).await;
        set.map(drop).map_err(|error| stating(error, role, &sql::role::set_password(role, "…")))
    };
    boundary::around(|| "postgres PASSWORD".to_owned(), set).await?;
    run(connection, role, "COMMIT").await?;
    server_log::speak(connection, role, hushed).await
}

/// Says where the verifiers of new passwords will stand in the server's log, if some login may get one.
pub async fn warn_of_log(connection: &mut PgConnection, ask: &Ask) -> Result<Option<Notice>, Failure> {
    if !ask.wanted.values().any(|wanted| wanted.model.generates_password()) {
        return Ok(None);
    }
    let warning = server_log::listen(connection).await?.warning();
    Ok(warning.map(|(what, fix)| Notice {
        level: Level::Warning,
        about: "postgres".to_owned(),
        text: format!("{what}; {fix}"),
    }))
}

/// Proves a password that was just set by signing in with it, where the server lets the role in from here.
pub async fn prove(connector: &Connector, role: &str, password: &Secret) -> Result<(), Failure> {
    match connector.sign_in(role, password).await? {
        SignIn::Right | SignIn::NotFromHere => Ok(()),
        SignIn::Wrong | SignIn::Unchecked => {
            Err(Diagnostic::new(Kind::Service, "the password was set, but does not sign in")
                .on("postgres", role, "")
                .hint("does pg_hba.conf ask for md5?")
                .into())
        }
    }
}
