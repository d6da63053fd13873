//! A PostgreSQL of a test's own, for what must not be done to the one that tests share: the databases `postgres` and
//! `template1`, the server's settings and its log, stopping it.
//!
//! The project's script starts it, so that it is the same PostgreSQL that `make infra` gives (`PG_FROM` is honoured).

use super::servers::{postgres_at, value_at};
use super::waiting::until;
use super::{Workspace, built, root};
use std::fs::{File, Metadata};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// A running server. It is stopped and its data are removed when this is dropped, so make it before the `Workspace` that
/// uses it.
pub struct OwnPostgres {
    directory: tempfile::TempDir,
    pub port: u16,
    /// Of the admin, who is `postgres`.
    pub password: String,
}

/// Counts on from port to port, so that two servers of one process never ask for the same one.
static NEXT: AtomicU16 = AtomicU16::new(0);

impl OwnPostgres {
    /// Starts a server on a port that is free.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("np").tempdir().expect("a temporary directory");
        let mut this = Self { directory, port: 0, password: String::new() };
        let mut said = String::new();
        // Between the finding of a port and its use, somebody else may take it.
        for _ in 0..5 {
            this.port = free_port();
            match this.script("up") {
                Ok(()) => {
                    let file = this.directory.path().join("passwords/postgres");
                    this.password = std::fs::read_to_string(file).expect("the admin's password");
                    return this;
                }
                Err(error) => said = error,
            }
        }
        panic!("no PostgreSQL of our own:\n{said}")
    }

    /// Stops it; the data stay.
    pub fn stop(&self) {
        self.script("stop").unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts it again on its port, after `stop`.
    pub fn start_again(&self) {
        self.script("up").unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whatever the server has written to its log.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.directory.path().join("log/postgres.log")).expect("the server's log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where its data lie.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("postgres/data").canonicalize().expect("the server's data")
    }

    /// Puts pg_hba.conf in place of the one that is there.
    pub fn let_in(&self, lines: &str) {
        std::fs::write(self.data().join("pg_hba.conf"), lines).expect("pg_hba.conf is written");
        self.reload();
    }

    /// Has it read its configuration again, whomever that lets in.
    pub fn reload(&self) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server");
        let pid = file.lines().next().expect("its process").to_owned();
        let heard = || self.log().matches("received SIGHUP, reloading configuration files").count();
        let before = heard();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill").success());
        // It lets nobody in between hearing it and having read them.
        until("it has heard the signal", || heard() > before);
    }

    /// One of the programs that came with the server, as whom the server runs; nothing where there is no such program.
    pub fn program(&self, name: &str) -> Option<Command> {
        let bin = self.value("postgres", "SELECT setting FROM pg_config WHERE name = 'BINDIR'").expect("BINDIR");
        let path = PathBuf::from(bin).join(name);
        let owner = std::fs::metadata(self.data()).expect("the server's data");
        path.exists().then(|| as_owner(Command::new(path), &owner))
    }

    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// For signing in as the admin.
    pub fn admin_url(&self, database: &str) -> String {
        self.url("postgres", &self.password, database)
    }

    /// Runs statements as the admin, each on its own.
    #[track_caller]
    pub fn run(&self, database: &str, statements: &str) {
        postgres_at(&self.admin_url(database), statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// One value as the admin.
    pub fn value(&self, database: &str, query: &str) -> Option<String> {
        value_at(&self.admin_url(database), query)
    }

    /// Has every run of nornplan in a workspace use this server, as its admin, and its pg_dump.
    pub fn serve(&self, workspace: &mut Workspace) {
        workspace.set("NORNPLAN_POSTGRES_HOST", "127.0.0.1");
        workspace.set("NORNPLAN_POSTGRES_PORT", &self.port.to_string());
        workspace.set("NORNPLAN_POSTGRES_USER", "postgres");
        workspace.set("NORNPLAN_POSTGRES_PASSWORD", &self.password);
        let path = std::env::var("PATH").unwrap_or_default();
        workspace.set("PATH", &format!("{}:{path}", self.programs().display()));
    }

    /// The directory of the server's own programs.
    pub fn programs(&self) -> PathBuf {
        let process = std::fs::read_to_string(self.directory.path().join("pid/postgres")).expect("the server's pid");
        let command = std::fs::read(format!("/proc/{}/cmdline", process.trim())).expect("the server's command line");
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        let program = PathBuf::from(String::from_utf8_lossy(program).into_owned());
        program.parent().expect("a directory").to_owned()
    }

    /// Runs `infra/infra.sh` for this server alone.
    fn script(&self, what: &str) -> Result<(), String> {
        // Its answers go to a file: the server would hold a pipe open for as long as it lives.
        let path = self.directory.path().join("log");
        std::fs::create_dir_all(&path).expect("a directory for logs");
        let file = std::fs::File::create(path.join("script.log")).expect("a file for what the script says");
        let status = Command::new(root().join("infra/infra.sh"))
            .arg(what)
            .envs([("INFRA", "native"), ("INFRA_FAST", "1"), ("SERVICES", "postgres"), ("YES", "1")])
            .env("INFRA_DIR", self.directory.path())
            .env("PG_PORT", self.port.to_string())
            .env_remove("INFRA_LOCKED")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .status()
            .expect("infra.sh runs");
        let said = || std::fs::read_to_string(path.join("script.log")).unwrap_or_default();
        if status.success() { Ok(()) } else { Err(format!("infra.sh {what}: {status}\n{}", said())) }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let wiped = self.script("wipe");
        assert!(wiped.is_ok() || std::thread::panicking(), "not cleaned up: {wiped:?}");
    }
}

/// PostgreSQL does not run as root: the owner of its data runs it.
pub fn as_owner(mut command: Command, owner: &Metadata) -> Command {
    command.current_dir("/").stdin(Stdio::null());
    if std::fs::metadata("/proc/self").expect("/proc").uid() == 0 {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}

/// A port that nobody listens on, below those that outgoing connections take theirs from. It stays this process's own, also
/// while a server is down: other test programs run beside this one.
pub fn free_port() -> u16 {
    static OURS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let directory = built().join("tmp/ports");
    std::fs::create_dir_all(&directory).expect("a directory");
    let of_this_process = u16::try_from(std::process::id() % 1000).expect("less than 1000") * 10;
    let ports = (0..10_000).map(|_| 10_000 + (of_this_process + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    for port in ports {
        let file = File::create(directory.join(port.to_string())).expect("a file");
        if file.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            OURS.lock().expect("the ports").push(file);
            return port;
        }
    }
    panic!("no free port")
}
