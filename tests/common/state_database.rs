//! A database of states of a test's own, on the server that tests share.

use super::{Workspace, servers};
use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a workspace made is destroyed with this, and the database dropped: make it after the workspace.
pub struct StateDatabase {
    pub name: String,
    clean_up: Command,
}

impl StateDatabase {
    /// Has every run in a workspace keep its state there.
    pub fn of(workspace: &mut Workspace) -> Self {
        let name = format!("{}state", workspace.prefix);
        use_it(workspace, &name);
        let clean_up =
            ["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"].as_slice();
        Self { clean_up: workspace.command(clean_up), name }
    }

    /// Has every run in another workspace keep its state there too.
    pub fn share(&self, workspace: &mut Workspace) {
        use_it(workspace, &self.name);
    }

    pub fn exists(&self) -> bool {
        let query = format!("SELECT 'yes' FROM pg_database WHERE datname = '{}'", self.name);
        servers::postgres_value("postgres", &query).is_some()
    }

    /// Loses it, with all that it says.
    pub fn lose(&self) {
        servers::postgres("postgres", &format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name));
    }

    /// Runs statements in it, as somebody who does not use nornplan.
    #[track_caller]
    pub fn run(&self, statements: &str) {
        servers::postgres(&self.name, statements);
    }

    pub fn value(&self, query: &str) -> String {
        servers::postgres_value(&self.name, query).unwrap_or_default()
    }
}

fn use_it(workspace: &mut Workspace, name: &str) {
    workspace.set("NORNPLAN_STATE_BACKEND", "postgres");
    workspace.set("NORNPLAN_STATE_DATABASE", name);
}

impl Drop for StateDatabase {
    fn drop(&mut self) {
        let ended = self.clean_up.output().expect("nornplan runs");
        self.lose();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() || thread::panicking(), "not cleaned up: {said}");
    }
}

/// A run that has the lock and waits for Valkey, which is not where it is told to look until [`Self::go_on`].
pub struct Holder {
    child: Option<Child>,
    port: u16,
}

impl Holder {
    /// Starts it, and waits until it has the lock.
    pub fn start(workspace: &Workspace, port: u16) -> Self {
        let mut command = workspace.command(&["apply", "--auto-approve", "--wait", "60s"]);
        command.env("NORNPLAN_VALKEY_HOST", "127.0.0.1").env("NORNPLAN_VALKEY_PORT", port.to_string());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nornplan runs");
        let this = Self { child: Some(child), port };
        let since = Instant::now();
        let signed = format!("(process {})", this.pid());
        while !workspace.run(&["state", "unlock"]).stderr.contains(&signed) {
            assert!(since.elapsed() < Duration::from_secs(30), "it never took the lock");
            thread::sleep(Duration::from_millis(50));
        }
        this
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn kill(mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
    }

    /// Lets it reach Valkey, and waits for its end.
    pub fn go_on(mut self) -> super::Ran {
        forward(self.port);
        super::Ran::of(self.child.take().expect("it runs").wait_with_output().expect("it ends"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// From a port to the Valkey that tests share, until the program ends.
fn forward(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let to = format!("{}:{}", super::service("NORNPLAN_VALKEY_HOST"), super::service("NORNPLAN_VALKEY_PORT"));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&to).expect("Valkey");
            let pairs =
                [(client.try_clone().expect("a handle"), server.try_clone().expect("a handle")), (server, client)];
            for (mut from, mut into) in pairs {
                thread::spawn(move || {
                    drop(copy(&mut from, &mut into));
                    drop(into.shutdown(Shutdown::Write));
                });
            }
        }
    });
}
