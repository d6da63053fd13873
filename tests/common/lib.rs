//! A workspace of its own for each test, and nornplan as a user runs it: the binary.

pub mod certificates;
pub mod fetched;
pub mod held;
pub mod http;
pub mod kafka_client;
pub mod kafka_hand;
pub mod lossy;
pub mod own_kafka;
pub mod own_postgres;
pub mod own_valkey;
pub mod pooler;
pub mod redpanda;
pub mod resp;
pub mod servers;
pub mod settled;
pub mod signals;
pub mod standby;
pub mod state_database;
pub mod valkey_groups;
pub mod waiting;
pub mod witness;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a run of nornplan came to.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }

    /// Demands an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "exit code {} instead of {code}\n--- stderr\n{}\n--- stdout, last lines first\n{}",
            self.code,
            self.stderr,
            self.stdout.lines().rev().collect::<Vec<_>>().join("\n")
        );
        self
    }

    /// Demands a text on standard output.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} in\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Demands a text on standard error.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in\n--- stderr\n{}\n--- stdout\n{}", self.stderr, self.stdout);
        self
    }

    /// Demands that a text is nowhere.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "{text:?} in\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Without the breaks that lines have to fit a screen.
    pub fn flat(self) -> Self {
        let flat = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        Self { code: self.code, stdout: flat(&self.stdout), stderr: flat(&self.stderr) }
    }

    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

/// Where the project is: the scripts that start services, and what tests read.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/common").to_owned())
}

/// Where cargo builds: a test program runs in `deps/` under it.
pub fn built() -> PathBuf {
    let this = std::env::current_exe().expect("a test program");
    this.ancestors().nth(2).expect("deps/").to_owned()
}

/// A variable that `make test` sets when it starts the services.
pub fn service(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, or `make infra` and `. infra/run/env`"))
}

/// Where a real program of PostgreSQL's is, as the runs find it.
pub fn real_program(program: &str) -> PathBuf {
    let directory = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").ok().map(PathBuf::from);
    directory.map_or_else(|| PathBuf::from("/usr/bin").join(program), |directory| directory.join(program))
}

/// A directory with a workspace in it. What its infraspecs made is destroyed with it.
pub struct Workspace {
    directory: tempfile::TempDir,
    /// Begins every name of this test, so that tests can run side by side: `[a-z0-9]+`.
    pub prefix: String,
    variables: Vec<(String, String)>,
}

static COUNTER: AtomicUsize = AtomicUsize::new(0);

impl Workspace {
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let prefix = format!("t{}x{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let this =
            Self { directory: tempfile::tempdir().expect("a temporary directory"), prefix, variables: Vec::new() };
        std::fs::create_dir(this.path("specs")).expect("specs/");
        this.write("nornplan.toml", "specs = \"specs\"\n");
        this
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Writes a file; `@` in the text stands for the prefix.
    pub fn write(&self, relative: &str, text: &str) {
        std::fs::write(self.path(relative), text.replace('@', &self.prefix)).expect("a file is written");
    }

    /// Writes `specs/<name>.toml`; `@` in the text stands for the prefix.
    pub fn spec(&self, name: &str, text: &str) {
        self.write(&format!("specs/{name}.toml"), text);
    }

    /// Declares so many more apps, so that destroying a few resources is not much.
    pub fn among_others(&self, apps: usize) {
        for number in 0..apps {
            self.spec(&format!("kv{number}"), &format!("app = \"@kv{number}\"\n[services.kv]\n"));
        }
    }

    pub fn remove(&self, relative: &str) {
        std::fs::remove_file(self.path(relative)).expect("a file is removed");
    }

    pub fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// Sets a variable of the environment for every run from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The command, in this workspace, with nothing of the caller's environment but the services; `@` is the prefix.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built().join("nornplan"));
        command.current_dir(self.directory.path()).stdin(Stdio::null()).env_clear();
        command.envs(std::env::vars().filter(|(name, _)| name.starts_with("NORNPLAN_") || name == "PATH"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(arguments.iter().map(|argument| argument.replace('@', &self.prefix)));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("nornplan runs"))
    }

    /// Applies and demands that the plan is empty afterwards.
    #[track_caller]
    pub fn converge(&self) -> Ran {
        let applied = self.run(&["apply", "--auto-approve"]).exits(0);
        self.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
        applied
    }

    /// What was published for an app; the name with `@` for the prefix.
    pub fn published(&self, app: &str, variable: &str) -> String {
        let app = app.replace('@', &self.prefix);
        let text = self.read(&format!("secrets/{app}.env"));
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{variable}=")));
        value
            .unwrap_or_else(|| panic!("{app} has no {variable} in {}", text.lines().count()))
            .trim_matches(['"', '\''])
            .to_owned()
    }

    /// All of an app's published file.
    pub fn secrets(&self, app: &str) -> String {
        self.read(&format!("secrets/{}.env", app.replace('@', &self.prefix)))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if self.path("state/default.json").exists() || self.path("state/default.journal").exists() {
            let ended =
                self.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"]);
            if ended.code != 0 && !std::thread::panicking() {
                panic!("not cleaned up:\n{}\n{}", ended.stdout, ended.stderr);
            }
        }
    }
}
