//! Real client libraries run real jobs on Valkey with what was published, and are refused nothing on the way.
//!
//! The libraries are fetched once, by the clients of their package managers. Where that cannot be, a line says why, and
//! nothing is tested.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::resp::{Reply, Wire};
use common::{Workspace, service};
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one program may take: it waits for jobs itself, and says which does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A library's program of `testdata/clients`, and whom it signs in as.
struct Library {
    /// What runs it, and its file.
    words: Vec<String>,
    /// What it is found by, beside what was published.
    variables: Vec<(&'static str, String)>,
    workspace: Workspace,
    /// The number of the database that its app declares.
    database: u8,
}

#[test]
fn rq_runs_jobs() {
    let Some(python) = fetched("python3", "python_clients") else { return };
    let rq = Library::new(vec![python], "rq_job.py", "");
    let said = rq.runs();
    assert!(said.contains("result: 5\na failure: TypeError: ") && said.ends_with("workers: 1\n"), "{said}");
}

#[test]
fn celery_runs_jobs_and_its_workers_are_reached() {
    let Some(python) = fetched("python3", "python_clients") else { return };
    // Its channels have the number of the database in their names.
    let mut celery = Library::new(vec![python], "celery_job.py", "access = \"queue\"\ndb = 1\n");
    celery.database = 1;
    assert_eq!(celery.runs(), "result: 5\nchord: 6\nlater: 9\nworkers: 1\nevents: seen\n");
}

#[test]
fn bullmq_runs_jobs() {
    let Some(modules) = fetched("node npm", "node_clients") else { return };
    let mut bullmq = Library::new(vec!["node".to_owned()], "bullmq_job.js", "");
    bullmq.variables.push(("NODE_PATH", modules));
    let said = "result: 5\nlater: 9\nflow: 6\na failure: no job is called none\ncounts: 5 1\n";
    assert_eq!(bullmq.runs(), said);
}

impl Library {
    fn new(mut words: Vec<String>, program: &str, options: &str) -> Self {
        words.push(format!("{}/testdata/clients/{program}", env!("CARGO_MANIFEST_DIR")));
        let workspace = Workspace::new();
        workspace.spec("jobs", &format!("app = \"@jobs\"\n[services.kv]\n{options}"));
        workspace.converge();
        Self { words, variables: Vec::new(), workspace, database: 0 }
    }

    /// Has a worker run what is asked for, and returns what came of it.
    fn runs(&self) -> String {
        let worker = Running(self.start("work"));
        let mut asking = Running(self.start("ask"));
        let code = asking.ends(PATIENCE);
        let (said, log) = (self.workspace.read("ask.out"), self.workspace.read("ask.err"));
        let refused = self.refused();
        drop(worker);
        let worker = self.workspace.read("work.err");
        assert!(code == Some(0), "{code:?}, refused: {refused:?}\n{said}\n--- asking\n{log}\n--- the worker\n{worker}");
        assert!(refused.is_empty(), "{refused:?}");
        said
    }

    fn start(&self, part: &str) -> Child {
        let [program, arguments @ ..] = self.words.as_slice() else { panic!("no program") };
        let file = |ending: &str| File::create(self.workspace.path(format!("{part}.{ending}"))).expect("a file");
        let secrets = self.workspace.secrets("@jobs");
        let published = secrets.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let mut command = Command::new(program);
        command.args(arguments).arg(part).current_dir(self.workspace.path("")).env_clear();
        command.envs(std::env::vars().filter(|(name, _)| name == "PATH"));
        command.envs(published.map(|(name, value)| (name, value.trim_matches(['"', '\'']))));
        command.env("NAMESPACE", self.namespace()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().expect("it runs")
    }

    fn namespace(&self) -> String {
        format!("{}jobs", self.workspace.prefix)
    }

    fn admin() -> Wire {
        let port = service("NORNPLAN_VALKEY_PORT").parse().expect("a port");
        Wire::sign_in(port, "default", &service("NORNPLAN_VALKEY_PASSWORD"))
    }

    /// What the server has lately refused its user.
    fn refused(&self) -> Vec<String> {
        let log = Self::admin().run("ACL LOG 1000");
        let fields = |entry: &Reply| entry.many().iter().map(|field| field.text().to_owned()).collect::<Vec<_>>();
        let entries = log.many().iter().map(fields).filter(|fields| fields.contains(&self.namespace()));
        entries.map(|fields| fields.join(" ")).collect()
    }
}

impl Drop for Library {
    /// Takes away the keys; the user goes with the workspace.
    fn drop(&mut self) {
        let mut admin = Self::admin();
        admin.run(&format!("SELECT {}", self.database));
        let mut cursor = "0".to_owned();
        loop {
            let found = admin.run(&format!("SCAN {cursor} MATCH {}:* COUNT 1000", self.namespace()));
            let [next, keys] = found.many() else { return };
            for key in keys.many() {
                admin.say(&["UNLINK", key.text()]);
            }
            next.text().clone_into(&mut cursor);
            if cursor == "0" {
                return;
            }
        }
    }
}

/// A program that is ended with the test.
struct Running(Child);

impl Running {
    /// Its exit code, if it ends in time.
    fn ends(&mut self, patience: Duration) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < patience {
            if let Some(status) = self.0.try_wait().expect("its end") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|end| end.is_none()) {
            // Asked first, so that it ends what it has started.
            let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
            self.ends(Duration::from_secs(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is fetched for a test; else says why nothing is tested.
fn fetched(programs: &str, function: &str) -> Option<String> {
    let why = match common::fetched::fetched(programs, function) {
        Ok(path) => return Some(path),
        Err(why) => format!("nothing is tested: {why}\n"),
    };
    // Not by a macro: what those print is shown for tests that fail only.
    std::io::stderr().write_all(why.as_bytes()).expect("it is said");
    None
}
