//! One workspace that goes through the scenarios again and again; each run may be struck.

use super::case::{Case, Mode, Passed};
use super::proof::{self, Verdict};
use super::proxy::Proxy;
use super::scenario::{APPLY, NEIGHBOUR, Scenario};
use common::state_database::StateDatabase;
use common::{Ran, Workspace};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No run takes so long, whatever is done to it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long what was deleted may show.
const GONE: Duration = Duration::from_secs(20);
/// Runs after the struck one that it may take until one ends well.
const FURTHER: usize = 2;

/// The run of a scenario with one call in flight at a time: it passes the same boundaries equally often each time.
fn in_order(scenario: Scenario) -> Vec<&'static str> {
    [scenario.command(), &["--parallelism", "1"]].concat()
}

/// What came of a strike at which all was well in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// After so many further runs.
    Well(usize),
    /// Nothing was struck: the boundary was reached so many times only. What is asked again while a server is busy was
    /// asked again when the run was recorded, and not now.
    Fewer(usize),
}

/// Where a lane has its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Files,
    Database,
}

pub struct Lane {
    /// Cleans up before the workspace does.
    database: Option<StateDatabase>,
    pub workspace: Workspace,
    proxy: Arc<Proxy>,
}

impl Lane {
    pub fn start(state: State) -> Self {
        let mut workspace = Workspace::new();
        let proxy = Proxy::before(&mut workspace);
        let database = (state == State::Database).then(|| StateDatabase::of(&mut workspace));
        workspace.spec("r", NEIGHBOUR);
        workspace.run(APPLY).exits(0);
        Self { database, workspace, proxy }
    }

    /// Makes the workspace ready for the run of a scenario.
    fn prepare(&self, scenario: Scenario) {
        match &self.database {
            Some(database) if scenario == Scenario::Adopt => database.lose(),
            Some(_) | None => scenario.prepare(&self.workspace),
        }
    }

    /// Runs a scenario untouched: what it passed.
    pub fn record(&self, scenario: Scenario) -> Result<Passed, String> {
        self.passed();
        self.prepare(scenario);
        let ran = self.run(&in_order(scenario), &[("NORNPLAN_FAILPOINTS_RECORD", "passed")]);
        self.prove(scenario, &ran)?;
        Ok(self.passed())
    }

    /// Loses the first answer to every step of a scenario, so that each is looked at and done again, and the run ends well:
    /// what it passed.
    pub fn twice(&self, scenario: Scenario) -> Result<Passed, String> {
        self.passed();
        self.prepare(scenario);
        let variables = [("NORNPLAN_FAILPOINT", "twice"), ("NORNPLAN_FAILPOINTS_RECORD", "passed")];
        let ran = self.run(scenario.command(), &variables);
        self.prove(scenario, &ran)?;
        Ok(self.passed())
    }

    /// Strikes the run of a scenario, and demands that all is well after further ones. After none if the struck one ended
    /// well all the same.
    pub fn strike(&self, scenario: Scenario, case: &Case) -> Result<Came, String> {
        self.passed();
        self.prepare(scenario);
        let point = case.said();
        let variables = [("NORNPLAN_FAILPOINT", point.as_str()), ("NORNPLAN_FAILPOINTS_RECORD", "passed")];
        // Side by side, how often a boundary is reached depends on what comes first.
        let arguments = if case.hit > 1 { in_order(scenario) } else { scenario.command().to_vec() };
        let struck = self.run(&arguments, &variables);
        let told = |what: &str, ran: &Ran| format!("{what}\n{}\n{}", ran.stdout, ran.stderr);
        let times = self.passed().get(&case.boundary).copied().unwrap_or_default();
        if times == 0 {
            return Err(told("it was not reached", &struck));
        }
        if times < case.hit {
            return self.prove(scenario, &struck).map(|()| Came::Fewer(times));
        }
        let asked = self.proxy.asked();
        if matches!(case.mode, Mode::Cut | Mode::Lose | Mode::Kill) != (asked == 1) || self.proxy.still_loses() {
            return Err(told(&format!("the proxy was asked {asked} times"), &struck));
        }
        let fits = match case.mode {
            Mode::Abort => struck.code == 128 + libc::SIGABRT,
            Mode::Kill => struck.code == 128 + libc::SIGKILL,
            Mode::Error | Mode::Transient | Mode::Cut | Mode::Lose => (0..=1).contains(&struck.code),
        };
        if !fits || struck.stderr.contains("panicked") {
            return Err(told(&format!("the struck run ended with {}", struck.code), &struck));
        }
        proof::nothing_lost(&self.workspace, scenario).map_err(|lost| told(&lost, &struck))?;
        let mut further = Vec::new();
        while struck.code != 0 && further.last().is_none_or(|ran: &Ran| ran.code != 0) {
            if further.len() == FURTHER {
                let said: Vec<String> = further.iter().map(|ran| told("then", ran)).collect();
                return Err(told(&said.join("\n"), &struck));
            }
            further.push(self.run(scenario.goes_on(), &[]));
        }
        self.prove(scenario, further.last().unwrap_or(&struck))
            .map_err(|wrong| format!("{wrong}\n--- struck\n{}\n{}", struck.stdout, struck.stderr))?;
        Ok(Came::Well(further.len()))
    }

    /// All is as it should be after a run that ended well.
    fn prove(&self, scenario: Scenario, ran: &Ran) -> Verdict {
        let told = |wrong: String| format!("{wrong}\n{}\n{}", ran.stdout, ran.stderr);
        if ran.code != 0 {
            return Err(told(format!("it ended with {}", ran.code)));
        }
        let plan = self.run(&["plan", "--detailed-exitcode", "--probe-credentials"], &[]);
        if plan.code != 0 {
            return Err(told(format!("the plan is not empty:\n{}\n{}\nafter", plan.stdout, plan.stderr)));
        }
        proof::no_leftovers(&self.workspace).map_err(told)?;
        let journal =
            self.database.as_ref().map(|database| database.value("SELECT count(*)::text FROM nornplan.journal"));
        if let Some(left) = journal.filter(|left| left != "0") {
            return Err(told(format!("{left} rows are left in the journal")));
        }
        proof::nothing_lost(&self.workspace, scenario).map_err(told)?;
        proof::no_message_lost(&self.workspace, scenario).map_err(told)?;
        proof::credentials_work(&self.workspace, scenario).map_err(told)?;
        if scenario.does() == Scenario::Destroy {
            self.nobody_has_it().map_err(told)?;
        }
        if scenario.does() == Scenario::Create {
            proof::fill(&self.workspace);
        } else if scenario.does() == Scenario::Destroy {
            drop(std::fs::remove_dir_all(self.workspace.path("snapshots")));
        }
        Ok(())
    }

    /// Nothing of the app is left on any service, in nobody's hands. Brokers show what was deleted a moment longer.
    fn nobody_has_it(&self) -> Verdict {
        let name = format!("{}a", self.workspace.prefix);
        let since = Instant::now();
        loop {
            let listed = self.run(&["drift", "--unmanaged", "--format", "json"], &[]);
            if listed.code == 0 && !listed.stdout.contains(&name) {
                return Ok(());
            }
            if since.elapsed() > GONE {
                return Err(format!("{name} is left:\n{}\n{}", listed.stdout, listed.stderr));
            }
        }
    }

    /// What the last run passed, if it was recorded.
    fn passed(&self) -> Passed {
        let file = self.workspace.path("passed");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        drop(std::fs::remove_file(file));
        let mut passed = Passed::new();
        for line in text.lines() {
            *passed.entry(line.to_owned()).or_default() += 1;
        }
        passed
    }

    /// Runs it; one that does not end is ended, and counts as ended by that signal.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command: Command = self.workspace.command(arguments);
        command.envs(variables.iter().copied());
        let output = |name: &str| self.workspace.path(name);
        let file = |name: &str| File::create(output(name)).expect("a file");
        let mut child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().expect("nornplan runs");
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if since.elapsed() > PATIENCE {
                child.kill().expect("it is killed");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = |name: &str| std::fs::read_to_string(output(name)).expect("text");
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ran { code, stdout: text("stdout"), stderr: text("stderr") }
    }
}
