//! Gives databases and roles other names. Each is one transaction of the server's, so that a run that ends anywhere leaves
//! the one name or the other; what has its new name already is done.

use super::guard::{self, Halt};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::postgres::catalog;
use crate::services::postgres::catalog::named::{self, Row};
use crate::services::postgres::connect::{Connector, Purpose, SignIn, join, run, values};
use crate::services::postgres::credential::{server_log, set_and_commit, verifier};
use crate::services::postgres::model::database_address;
use crate::services::{Failure, Outcome};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::pin::pin;
use std::time::Duration;

/// How often whoever is still in a database is ended, while the server waits for them to be gone. It waits for 5 s, and
/// lets nobody new in meanwhile (CountOtherDBBackends).
const PAUSE: Duration = Duration::from_millis(100);

/// What gets another name.
pub struct Ends<'a> {
    pub from: &'a str,
    pub to: &'a str,
    /// Which one was planned on; a plan of an earlier version does not say.
    pub oid: Option<&'a str>,
}

impl Ends<'_> {
    fn statement(&self, kind: &str) -> String {
        format!("ALTER {kind} {} RENAME TO {}", escape_identifier(self.from), escape_identifier(self.to))
    }

    fn is_planned(&self, oid: &str) -> bool {
        self.oid.is_none_or(|planned| planned == oid)
    }

    fn wrong(&self, message: String, statement: &str) -> Failure {
        let error = Diagnostic::new(Kind::Service, message).on("postgres", self.from, statement);
        error.hint("make the plan anew").into()
    }

    fn another(&self, name: &str, statement: &str) -> Failure {
        let message = format!("{name} was dropped and made anew since it was planned; nothing was renamed");
        self.wrong(message, statement)
    }

    /// Whether only the new name is there. Both, or neither, is nothing that was planned on, and neither is another one of
    /// the name.
    fn is_done(&self, there: &[Row], statement: &str) -> Result<bool, Failure> {
        let is = |name: &str| there.iter().find(|row| row.name == name);
        let (from, to) = (self.from, self.to);
        match (is(from), is(to)) {
            (Some(old), None) if self.is_planned(&old.oid) => Ok(false),
            (None, Some(new)) if self.is_planned(&new.oid) => Ok(true),
            (Some(_), None) => Err(self.another(from, statement)),
            (None, Some(_)) => {
                Err(self.wrong(format!("there is no {from} any more, and {to} is another one"), statement))
            }
            (Some(_), Some(_)) => {
                Err(self.wrong(format!("both {from} and {to} are there by now; nothing was renamed"), statement))
            }
            (None, None) => Err(self.wrong(format!("neither {from} nor {to} is there any more"), statement)),
        }
    }
}

/// Renames a database. The server refuses while anybody is in it: `may_end` is the consent to end their sessions.
pub async fn database(connector: &Connector, ends: &Ends<'_>, may_end: bool) -> Result<Outcome, Failure> {
    const OWNER: &str = "SELECT pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = $1";
    const OID: &str = "SELECT oid::text FROM pg_catalog.pg_database WHERE datname = $1";
    let Ends { from, to, .. } = *ends;
    let mut connection = connector.administration(Purpose::Write).await?;
    let there = named::databases(&mut connection, &[from.to_owned(), to.to_owned()]).await?;
    let statement = ends.statement("DATABASE");
    if ends.is_done(&there, &statement)? {
        connector.keep(Purpose::Write, connection).await;
        return Ok(Outcome::AlreadySo);
    }
    let users: Vec<String> = there.into_iter().filter(|row| row.name == from).flat_map(|row| row.users).collect();
    if !users.is_empty() && !may_end {
        return Err(busy(to, &users, &statement));
    }
    // The plan knows the owner by a new name, too.
    for owner in values::<String>(&mut connection, from, OWNER, &[from]).await? {
        join(connector, &mut connection, &owner).await?;
    }
    let helper = if may_end { Some(connector.administration(Purpose::Write).await?) } else { None };
    let begin = format!("BEGIN; {statement}");
    end_while(connector, helper, (from, &users), run(&mut connection, from, &begin)).await.map_err(|mut failure| {
        failure.error.message = format!("{}; nothing was renamed", failure.error.message);
        failure
    })?;
    // Nobody can drop it or give it another name any more until this is over.
    if !values::<String>(&mut connection, to, OID, &[to]).await?.iter().all(|oid| ends.is_planned(oid)) {
        return Err(ends.another(from, &statement));
    }
    run(&mut connection, from, "COMMIT").await?;
    connector.keep(Purpose::Write, connection).await;
    Ok(Outcome::done())
}

/// Ends all sessions in a database until the renaming is done. That a session could not be ended is told by the server's
/// answer to the rename.
async fn end_while(
    connector: &Connector,
    helper: Option<PgConnection>,
    (from, users): (&str, &[String]),
    renaming: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some(mut helper) = helper else { return renaming.await };
    for user in users {
        drop(join(connector, &mut helper, user).await);
    }
    let mut renaming = pin!(renaming);
    loop {
        tokio::select! {
            biased;
            renamed = &mut renaming => {
                connector.keep(Purpose::Write, helper).await;
                return renamed;
            }
            () = tokio::time::sleep(PAUSE) => drop(catalog::end_strangers(&mut helper, from).await),
        }
    }
}

/// Renames a role. Its sessions go on, and a SCRAM password stays good. One of the kind MD5 is thrown away by the server:
/// the `published` one is set anew with the name, if it is that.
pub async fn role(connector: &Connector, ends: &Ends<'_>, published: Option<Secret>) -> Result<Outcome, Halt> {
    const OID: &str = "SELECT oid::text FROM pg_catalog.pg_roles WHERE rolname = $1";
    let Ends { from, to, .. } = *ends;
    let mut connection = connector.administration(Purpose::Write).await?;
    let there = named::roles(&mut connection, &[from.to_owned(), to.to_owned()]).await?;
    let statement = ends.statement("ROLE");
    if ends.is_done(&there, &statement)? {
        connector.keep(Purpose::Write, connection).await;
        return Ok(Outcome::AlreadySo);
    }
    let reads = named::reads_passwords(&mut connection).await?;
    // A session that may read no passwords tries the one that it knows.
    let signs_in = match &published {
        Some(published) if !reads => connector.sign_in(from, published).await? == SignIn::Right,
        Some(_) | None => false,
    };
    let hushed = server_log::hush(&mut connection, from).await?;
    run(&mut connection, from, "BEGIN").await?;
    guard::hold_role(&mut connection, from).await?;
    if !values::<String>(&mut connection, from, OID, &[from]).await?.iter().all(|oid| ends.is_planned(oid)) {
        return Err(ends.another(from, &statement).into());
    }
    let md5 = if reads { named::md5_digest(&mut connection, from).await? } else { None };
    let anew = match (md5, published) {
        (Some(stored), published) => {
            Some(published.filter(|one| is_md5(one, from, &stored)).ok_or_else(|| unknown(ends, &statement))?)
        }
        (None, published) => published.filter(|_| signs_in),
    };
    let fingerprint = match anew {
        Some(password) => {
            let (verifier, fingerprint) = verifier(&password);
            run(&mut connection, from, &statement).await?;
            set_and_commit(&mut connection, to, &verifier, &hushed).await?;
            Some(fingerprint)
        }
        None => {
            run(&mut connection, from, &format!("{statement}; COMMIT")).await?;
            server_log::speak(&mut connection, to, &hushed).await?;
            None
        }
    };
    connector.keep(Purpose::Write, connection).await;
    Ok(Outcome::Done { fingerprint, dump: None, note: None })
}

/// Whether a stored password, told by its sha256, is this one of this role.
fn is_md5(password: &Secret, role: &str, stored: &str) -> bool {
    let made = postgres_protocol::password::md5(password.expose().as_bytes(), role);
    Secret::new(made).sha256() == stored
}

fn unknown(ends: &Ends<'_>, statement: &str) -> Failure {
    let message = format!(
        "{} has a password of the kind MD5, which the server throws away with the name, and nornplan does not know it; \
         nothing was renamed",
        ends.from
    );
    let error = Diagnostic::new(Kind::Service, message).on("postgres", ends.from, statement);
    error.hint("set it once more while password_encryption is scram-sha-256; then it outlives the rename").into()
}

fn busy(to: &str, users: &[String], statement: &str) -> Failure {
    let sessions = if users.len() == 1 { "session is" } else { "sessions are" };
    let message = format!("{} {sessions} connected ({}); nothing was renamed", users.len(), users.join(", "));
    let hint = format!("stop the app first, or let its sessions be ended: --allow-interrupt {}", database_address(to));
    Diagnostic::new(Kind::Service, message).on("postgres", to, statement).hint(hint).into()
}
