//! A Valkey (or Redis) of a test's own, for what must not be done to the one that tests share: restarts, other
//! configurations, the user `default`, replicas, clusters, sentinels.
//!
//! The program is the one that `make infra` takes (`VALKEY_FROM` is honoured), run as a child of the test.

use super::Workspace;
use super::fetched::fetched;
use super::own_postgres::free_port;
use super::servers::valkey_at;
use fred::types::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The admin's password, where a server asks for one.
pub const PASSWORD: &str = "the-password-of-an-own-valkey";

/// How users outlive a restart of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Saves {
    /// In an aclfile; its directory is `acl` below the server's.
    AclFile,
    /// In the configuration file.
    ConfigFile,
    /// Not at all: it runs without a configuration file.
    Nowhere,
}

/// A running server. It is killed, and its data are removed, when this is dropped.
pub struct OwnValkey {
    directory: tempfile::TempDir,
    pub port: u16,
    saves: Saves,
    lines: String,
    sentinel: bool,
    process: Mutex<Option<Child>>,
}

impl OwnValkey {
    /// Starts a server with an aclfile.
    pub fn start() -> Self {
        Self::with(Saves::AclFile, "")
    }

    /// Starts a server with more lines of configuration.
    pub fn with(saves: Saves, lines: &str) -> Self {
        Self::made(saves, lines, false)
    }

    /// Starts a sentinel; `lines` tell what it watches.
    pub fn sentinel(lines: &str) -> Self {
        Self::made(Saves::ConfigFile, lines, true)
    }

    fn made(saves: Saves, lines: &str, sentinel: bool) -> Self {
        // Between the finding of a port and its use, somebody else may take it.
        for _ in 0..5 {
            let directory = tempfile::Builder::new().prefix("nv").tempdir().expect("a temporary directory");
            let port = free_port();
            let process = Mutex::new(None);
            let this = Self { directory, port, saves, lines: lines.to_owned(), sentinel, process };
            this.configure();
            if this.try_start() {
                return this;
            }
        }
        panic!("no Valkey of our own")
    }

    fn configure(&self) {
        let home = self.home().display().to_string();
        let mut config = format!(
            "bind 127.0.0.1\nport {}\ndir {home}\nlogfile {home}/log\nsave \"\"\nset-proc-title no\n{}\n",
            self.port, self.lines
        );
        let default = format!("user default on >{PASSWORD} ~* &* +@all\n");
        match self.saves {
            Saves::AclFile => {
                let acl = self.home().join("acl");
                std::fs::create_dir_all(&acl).expect("a directory for the users");
                std::fs::write(acl.join("users.acl"), default).expect("the users are written");
                config += &format!("aclfile {home}/acl/users.acl\n");
            }
            // A sentinel takes no `user` line before those that it has written itself.
            Saves::ConfigFile | Saves::Nowhere => config += &format!("requirepass {PASSWORD}\n"),
        }
        std::fs::write(self.home().join("valkey.conf"), config).expect("the configuration is written");
    }

    /// Starts it again on its port, after `stop` or `kill`.
    pub fn start_again(&self) {
        assert!(self.try_start(), "it does not start again: {}", self.log());
    }

    /// Starts it again and does not wait until it answers.
    pub fn spawn(&self) {
        let config = self.home().join("valkey.conf");
        let mut command = Command::new(program());
        match self.saves {
            Saves::AclFile | Saves::ConfigFile => drop(command.arg(&config)),
            // The same settings, and no file that the server knows of.
            Saves::Nowhere => {
                let text = std::fs::read_to_string(&config).expect("the configuration");
                for line in text.lines().filter(|line| !line.is_empty()) {
                    let (name, value) = line.split_once(' ').expect("a name and a value");
                    command.arg(format!("--{name}")).arg(value.trim_matches('"'));
                }
            }
        }
        if self.sentinel {
            command.arg("--sentinel");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        *self.process.lock().expect("the process") = Some(child);
    }

    fn try_start(&self) -> bool {
        self.spawn();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            // A user `default` that is switched off keeps us out, and says that the server is up.
            let answer = self.try_run(&["PING"]);
            if answer.is_ok() || answer.is_err_and(|error| error.details().starts_with("WRONGPASS")) {
                return true;
            }
            let mut process = self.process.lock().expect("the process");
            if process.as_mut().is_some_and(|child| child.try_wait().expect("its end").is_some()) {
                return false;
            }
            drop(process);
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Ends it as an administrator does.
    pub fn stop(&self) {
        if let Some(mut child) = self.process.lock().expect("the process").take() {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
            child.wait().expect("its end");
        }
    }

    /// Ends it as a failure of the machine does.
    pub fn kill(&self) {
        if let Some(mut child) = self.process.lock().expect("the process").take() {
            child.kill().expect("it is killed");
            child.wait().expect("its end");
        }
    }

    /// Stops and starts it.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// The process, as `kill` names it.
    pub fn pid(&self) -> String {
        let process = self.process.lock().expect("the process");
        process.as_ref().expect("it runs").id().to_string()
    }

    /// Where its files lie.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home().join("log")).unwrap_or_default()
    }

    /// host:port, as nornplan names it.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// Runs a command as the admin.
    pub fn try_run(&self, words: &[&str]) -> Result<Value, fred::error::Error> {
        valkey_at(&self.url("default", PASSWORD), words)
    }

    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Value {
        self.try_run(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Has every run of nornplan in a workspace use this server, as its admin.
    pub fn serve(&self, workspace: &mut Workspace) {
        workspace.set("NORNPLAN_VALKEY_HOST", "127.0.0.1");
        workspace.set("NORNPLAN_VALKEY_PORT", &self.port.to_string());
        workspace.set("NORNPLAN_VALKEY_PASSWORD", PASSWORD);
    }
}

impl Drop for OwnValkey {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program that `make infra` would run.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| PathBuf::from(fetched("", "valkey_server").unwrap_or_else(|why| panic!("{why}"))))
}
