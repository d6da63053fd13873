//! Connections: to the administration database and into each app's, for reading or for writing.

mod causes;
mod join;
mod plain;
mod problem;
mod session;
mod statements;
mod target;

pub use join::join;
pub use problem::{answered, code, is_of_one_database, stating};
pub use session::Purpose;
pub use statements::{run, value, values};

use crate::config::PostgresConfig;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::{Failure, SignInAs};
use problem::{connecting, is_crowded, is_full, is_unreachable, server_error};
use session::{Known, is_replica, none_of, replica};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use target::Target;
use tokio::sync::{Mutex, OnceCell};

/// How long one host may take to answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a run that has met a primary waits for the next one, where there are several hosts: a failover takes time.
const FAILOVER: Duration = Duration::from_secs(30);
/// Between two searches for a primary.
const SEARCH_AGAIN: Duration = Duration::from_millis(500);
/// Pauses in milliseconds of who waits for a connection where there are too many; then it is an error.
const CROWDED_PAUSES: [u64; 6] = [100, 200, 400, 800, 1600, 3200];
/// Signing in to a database that does not exist tells a right password (3D000) from a wrong one (28P01).
const NO_DATABASE: &str = "nornplan no such database";
/// Statements that a session keeps planned, of those that are made for it (`persistent`).
const STATEMENTS_KEPT: usize = 4;
/// How long the server may take to end a session that has said good-bye, and how often that is looked at.
const SESSION_ENDS: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Connections to the administration database that are kept for the next call at most, of each purpose.
const KEPT: usize = 8;

/// What came of signing in.
#[derive(Debug, PartialEq, Eq)]
pub enum SignIn {
    Right,
    Wrong,
    /// The password was accepted for a role that does not exist: nobody's password is looked at.
    Unchecked,
    /// The server does not let this role in from here, whatever the password: nothing is known.
    NotFromHere,
}

/// Makes connections when they are asked for, on the first host that can be written.
#[derive(Debug)]
pub struct Connector {
    pub config: PostgresConfig,
    /// Hears which programs are run; their arguments have no secret in them.
    pub tell: fn(&str),
    password: OnceCell<Option<Secret>>,
    superuser: OnceCell<bool>,
    /// By the first session in the administration database, which no app owns.
    known: OnceCell<Known>,
    /// Index of the host that answered last.
    host: AtomicUsize,
    /// Whether any host answered yet, and could be written.
    met: AtomicBool,
    /// In the administration database, between two uses.
    idle: Mutex<Vec<(Purpose, PgConnection)>>,
    /// Held by who waits for a connection where there are too many.
    crowded: Mutex<()>,
}

impl Connector {
    pub fn new(config: PostgresConfig) -> Self {
        Self {
            config,
            tell: |_| {},
            password: OnceCell::new(),
            superuser: OnceCell::new(),
            known: OnceCell::new(),
            host: AtomicUsize::new(0),
            met: AtomicBool::new(false),
            idle: Mutex::new(Vec::new()),
            crowded: Mutex::new(()),
        }
    }

    /// Signs in as the administrator, on the first host that can be written.
    pub async fn admin(&self, database: &str, purpose: Purpose) -> Result<PgConnection, Failure> {
        let since = Instant::now();
        let mut said_goodbye: Option<Instant> = None;
        loop {
            let found = self.first_primary(database, purpose).await;
            let failing_over = self.config.hosts.len() > 1 && self.met.load(Ordering::Relaxed);
            let no_room = found.as_ref().is_err_and(|failure| is_crowded(failure) || is_full(failure));
            if no_room && self.end_kept().await {
                said_goodbye = Some(Instant::now());
            }
            if no_room && said_goodbye.is_some_and(|said| said.elapsed() < SESSION_ENDS) {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            match found {
                Err(failure) if failing_over && failure.retry && !no_room && since.elapsed() < FAILOVER => {
                    tokio::time::sleep(SEARCH_AGAIN).await;
                }
                found => return found,
            }
        }
    }

    /// For reading one of many databases. Where no connection is to be had it waits for one, and then only one asks at a
    /// time, while those who have one go on.
    pub async fn reader(&self, database: &str) -> Result<PgConnection, Failure> {
        let mut found = self.admin(database, Purpose::Observe).await;
        if found.as_ref().is_err_and(is_crowded) {
            let _turn = self.crowded.lock().await;
            for pause in CROWDED_PAUSES {
                found = self.admin(database, Purpose::Observe).await;
                if !found.as_ref().is_err_and(is_crowded) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        found
    }

    /// A connection to the administration database, maybe a used one, whose server process has the catalogs at hand. Give
    /// it back with [`Self::keep`] if all went well.
    pub async fn administration(&self, purpose: Purpose) -> Result<PgConnection, Failure> {
        let used = {
            let mut idle = self.idle.lock().await;
            idle.iter().position(|(of, _)| *of == purpose).map(|at| idle.swap_remove(at))
        };
        if let Some((_, mut connection)) = used {
            let target = self.target(self.current_host()?, &self.config.user, &self.config.database);
            if matches!(is_replica(&mut connection, &target).await, Ok((false, _))) {
                return Ok(connection);
            }
            // The server is gone, or became a replica: so it is for all of them.
            self.end_kept().await;
        }
        self.admin(&self.config.database, purpose).await
    }

    /// Keeps a connection to the administration database for the next call.
    pub async fn keep(&self, purpose: Purpose, connection: PgConnection) {
        let mut idle = self.idle.lock().await;
        if idle.iter().filter(|(of, _)| *of == purpose).count() < KEPT {
            idle.push((purpose, connection));
        }
    }

    /// Makes room for others. Returns whether any connection was kept.
    pub async fn end_kept(&self) -> bool {
        let kept = std::mem::take(&mut *self.idle.lock().await);
        let any = !kept.is_empty();
        for (_, connection) in kept {
            close(connection).await;
        }
        any
    }

    /// Whether the administrator is a superuser.
    pub async fn is_superuser(&self, connection: &mut PgConnection) -> Result<bool, Failure> {
        let statement = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        self.superuser.get_or_try_init(|| value(connection, "rights", statement, &[])).await.copied()
    }

    /// Tries a password, without entering any database.
    pub async fn sign_in(&self, user: &str, password: &Secret) -> Result<SignIn, Failure> {
        let (host, port) = self.current_host()?;
        let options = self.options(&host, port, user, Some(password), NO_DATABASE)?;
        let error = match open(&options).await {
            Ok(connection) => {
                drop(connection);
                return Ok(SignIn::Right);
            }
            Err(error) => error,
        };
        match code(&error) {
            // Who is over a connection limit was let in first.
            Some("3D000" | "53300" | "42501") => Ok(SignIn::Right),
            Some("28P01") => Ok(SignIn::Wrong),
            Some("28000") => {
                let routine = server_error(&error).and_then(|answer| answer.routine().map(str::to_owned));
                let passed = routine.as_deref() == Some("InitializeSessionUserId");
                Ok(if passed { SignIn::Unchecked } else { SignIn::NotFromHere })
            }
            _ => Err(connecting(error, &self.target((host, port), user, NO_DATABASE), true)),
        }
    }

    /// Signs in into a database as an app was told to: why that is refused, where it is for good.
    pub async fn refusal(&self, SignInAs { user, password, database }: &SignInAs) -> Result<Option<String>, Failure> {
        let (host, port) = self.current_host()?;
        let options = self.options(&host, port, user, Some(password), database)?;
        let error = match open(&options).await {
            Ok(connection) => {
                close(connection).await;
                return Ok(None);
            }
            Err(error) => error,
        };
        // A pooler in between names no routine: what it does not know may be there all the same.
        let is_servers = server_error(&error).is_some_and(|answer| answer.routine().is_some());
        Ok(match code(&error).filter(|_| is_servers) {
            Some("28P01") => Some(format!("there is no role {user}, or it has another password")),
            Some("3D000") => Some(format!("there is no database {database}")),
            Some("42501") => Some(format!("{user} may not connect to {database}")),
            Some("55000") => Some(format!("{database} takes no connections")),
            _ => None,
        })
    }

    /// The administrator's password, for a child process.
    pub async fn admin_password(&self) -> Result<Option<Secret>, Failure> {
        Ok(self.password.get_or_try_init(|| self.config.password.resolve()).await?.clone())
    }

    /// The host that answered last, for a child process.
    pub fn current_host(&self) -> Result<(String, u16), Failure> {
        let index = self.host.load(Ordering::Relaxed);
        self.config.hosts.get(index).cloned().ok_or_else(no_host)
    }

    async fn first_primary(&self, database: &str, purpose: Purpose) -> Result<PgConnection, Failure> {
        let password = self.admin_password().await?;
        let hosts = &self.config.hosts;
        let several = hosts.len() > 1;
        let start = self.host.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for (index, (host, port)) in hosts.iter().enumerate().cycle().skip(start).take(hosts.len()) {
            let options = self.options(host, *port, &self.config.user, password.as_ref(), database)?;
            let target = self.target((host.clone(), *port), &self.config.user, database);
            let this = match open(&purpose.begin(options, self.known.get())).await {
                Ok(mut connection) => {
                    let (is_replica, known) = is_replica(&mut connection, &target).await?;
                    if !is_replica {
                        if database == self.config.database {
                            // Who was first has told it.
                            drop(self.known.set(known));
                        }
                        self.host.store(index, Ordering::Relaxed);
                        self.met.store(true, Ordering::Relaxed);
                        return Ok(connection);
                    }
                    replica(&mut connection, &target, several).await
                }
                Err(error) => {
                    let other_host_may_help = is_unreachable(&error);
                    let this = connecting(error, &target, password.is_some());
                    if !other_host_may_help {
                        return Err(this);
                    }
                    this
                }
            };
            failures.push(this);
        }
        Err(none_of(failures).unwrap_or_else(no_host))
    }

    fn target(&self, (host, port): (String, u16), user: &str, database: &str) -> Target {
        Target { endpoint: format!("{host}:{port}"), user: user.to_owned(), database: database.to_owned() }
    }

    fn options(
        &self,
        host: &str,
        port: u16,
        user: &str,
        password: Option<&Secret>,
        database: &str,
    ) -> Result<PgConnectOptions, Failure> {
        let mode: PgSslMode = self.config.sslmode.parse().map_err(|error: sqlx::Error| {
            Diagnostic::new(Kind::Config, format!("{:?} is no sslmode", self.config.sslmode))
                .hint("disable, prefer, require, verify-ca or verify-full")
                .because(error)
        })?;
        let mut options = match password {
            Some(password) => PgConnectOptions::new_without_pgpass().password(password.expose()),
            None => passwordless(host, port, user, database),
        };
        options = if host.starts_with('/') { options.socket(host) } else { options.host(host) };
        options = options
            .port(port)
            .username(user)
            .database(database)
            .ssl_mode(mode)
            .application_name("nornplan")
            .statement_cache_capacity(STATEMENTS_KEPT)
            .disable_statement_logging();
        let tls = &self.config.tls;
        if let Some(file) = &tls.ca_file {
            options = options.ssl_root_cert(file);
        }
        if let Some(file) = &tls.cert_file {
            options = options.ssl_client_cert(file);
        }
        if let Some(file) = &tls.key_file {
            options = options.ssl_client_key(file);
        }
        Ok(options)
    }
}

fn no_host() -> Failure {
    Diagnostic::new(Kind::Config, "no host is set for PostgreSQL").hint("set host under [postgres]").into()
}

/// Options without a password of ours: sqlx looks into PGPASSFILE when it reads a URL.
fn passwordless(host: &str, port: u16, user: &str, database: &str) -> PgConnectOptions {
    let read = || {
        let mut url = url::Url::parse("postgres://localhost").ok()?;
        if !host.starts_with('/') {
            url.set_host(Some(host)).ok()?;
        }
        url.set_port(Some(port)).ok()?;
        url.set_username(user).ok()?;
        url.set_path(database);
        url.as_str().parse().ok()
    };
    read().unwrap_or_else(PgConnectOptions::new_without_pgpass)
}

async fn open(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected,
        Err(late) => Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, late))),
    }
}

/// Ends a session in order, so that it does not stand in the way of who drops its database next.
pub async fn close(connection: PgConnection) {
    // What was read is read, whether or not the server hears our good-bye.
    drop(connection.close().await);
}
