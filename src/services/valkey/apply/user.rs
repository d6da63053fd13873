//! Users: set on every node, proved, and saved.

use super::persist::{prove_saving, save};
use super::prove::{prove_passwords, prove_rules};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::valkey::acl::setuser;
use crate::services::valkey::connect::{Node, Nodes};
use crate::services::valkey::errors::{explain, is_transient};
use crate::services::valkey::model::{Op as UserOp, User};
use crate::services::valkey::presets::{Server, expand};
use crate::services::valkey::wire;
use crate::services::{ApplyContext, Failure, Fingerprint, Model, Op, Outcome, ServiceId, Step};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// What one step does.
pub(super) struct Task<'a> {
    pub(super) op: UserOp,
    pub(super) name: &'a str,
    pub(super) after: Option<&'a User>,
    /// The password to set, if it sets one.
    pub(super) password: Option<Secret>,
    pub(super) outcome: Result<(), Failure>,
}

impl Task<'_> {
    pub(super) fn sound(&self) -> bool {
        self.outcome.is_ok()
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        if self.sound() {
            self.outcome = Err(failure);
        }
    }
}

/// Carries out steps of one action on users; one outcome for each, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    let mut tasks: Vec<Task<'_>> = steps.iter().map(|step| task(step, context)).collect();
    if let Err(Failure { error, retry }) = carry_out(nodes, &mut tasks).await {
        let cause = error.source.as_ref().map(ToString::to_string);
        for task in tasks.iter_mut().filter(|task| task.sound()) {
            let mut each = Diagnostic::new(error.kind, error.message.clone());
            (each.place, each.hint) = (error.place.clone(), error.hint.clone());
            each.source = cause.clone().map(Into::into);
            task.fail(Failure { error: each, retry });
        }
    }
    tasks.into_iter().map(outcome).collect()
}

fn outcome(task: Task<'_>) -> Outcome {
    match task.outcome {
        Ok(()) => Outcome::Done {
            // The server stores just this hash.
            fingerprint: task
                .password
                .as_ref()
                .map(|password| Fingerprint { password: password.sha256(), stored: None }),
            dump: None,
        },
        Err(failure) => failure.into(),
    }
}

fn task<'a>(step: &'a Step, context: &ApplyContext) -> Task<'a> {
    let after = step.after.as_ref().and_then(Model::as_valkey_user);
    let op = match &step.op {
        Op::Valkey(op) => Some(*op).filter(|op| *op != UserOp::Save),
        Op::State | Op::Postgres(_) | Op::Kafka(_) | Op::Secrets(_) => None,
    };
    let mut task =
        Task { op: op.unwrap_or(UserOp::SetUser), name: &step.address.name, after, password: None, outcome: Ok(()) };
    if op.is_none() || (task.op != UserOp::DelUser && after.is_none()) {
        let error = Diagnostic::new(Kind::Plan, "this step cannot be carried out on Valkey");
        task.fail(
            error.on("valkey", &step.address, "").hint("the plan may come from another version: plan again").into(),
        );
    }
    if task.sound() && step.sets_credential {
        match context.vault.password(&step.app, ServiceId::Valkey) {
            Ok(secret) => task.password = Some(secret),
            Err(error) => task.fail(error.into()),
        }
    }
    task
}

/// An error here is one of the whole batch; those of single tasks stand in the tasks.
async fn carry_out(nodes: &Nodes, tasks: &mut [Task<'_>]) -> Result<(), Failure> {
    let nodes_there = nodes.all().await.map_err(|error| Failure { error, retry: true })?;
    let kept = kept_hashes(&nodes_there, tasks).await?;
    prove_saving(nodes, &nodes_there).await.map_err(|error| Failure { retry: error.may_pass, error })?;
    nodes.saving.will_write();
    let proved = set_and_prove(nodes, &nodes_there, tasks, &kept).await;
    // What is set is saved, whatever became of the proof: tried again, it may be found to be already so.
    let saved = save(nodes, &nodes_there).await.map_err(|error| {
        let message = format!("the users are set, and will be gone at the next restart: {}", error.message);
        Failure::from(Diagnostic { message, ..error })
    });
    proved.and(saved)
}

async fn set_and_prove(
    nodes: &Nodes,
    there: &[Node],
    tasks: &mut [Task<'_>],
    kept: &BTreeMap<String, BTreeSet<String>>,
) -> Result<(), Failure> {
    set(there, tasks, kept).await?;
    prove_rules(there, tasks).await;
    prove_passwords(nodes, there, tasks).await
}

/// The passwords that users keep when only their rules are set: those of the first node that has the user.
async fn kept_hashes(nodes: &[Node], tasks: &[Task<'_>]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let keeping = tasks.iter().filter(|task| task.op == UserOp::SetUser && task.password.is_none() && task.sound());
    let names: BTreeSet<String> = keeping.map(|task| task.name.to_owned()).collect();
    let mut kept = BTreeMap::new();
    if names.is_empty() {
        return Ok(kept);
    }
    for node in nodes {
        for (name, account) in wire::accounts(node, wire::server(node).await?, &names).await? {
            kept.entry(name).or_insert(account.hashes);
        }
    }
    Ok(kept)
}

async fn set(nodes: &[Node], tasks: &mut [Task<'_>], kept: &BTreeMap<String, BTreeSet<String>>) -> Result<(), Failure> {
    for node in nodes {
        wire::server(node).await?;
    }
    let all: Vec<(usize, Failure)> = join_all(nodes.iter().map(async |node| {
        let mut failures = Vec::new();
        let Ok(server) = wire::server(node).await else { return failures };
        let sound = tasks.iter().enumerate().filter(|(_, task)| task.sound());
        let (places, calls): (Vec<usize>, Vec<Vec<String>>) =
            sound.map(|(place, task)| (place, call(task, server, kept))).unzip();
        let said = |place: &usize| tasks.get(*place).map(|task| said(task)).unwrap_or_default();
        for (place, answer) in places.iter().zip(node.try_calls(&calls).await) {
            if let Err(error) = answer {
                let failure = Failure { retry: is_transient(&error), error: explain(&error, &node.name, &said(place)) };
                failures.push((*place, failure));
            }
        }
        failures
    }))
    .await
    .into_iter()
    .flatten()
    .collect();
    fail(tasks, all);
    Ok(())
}

/// Notes failures by the places of their tasks.
pub(super) fn fail(tasks: &mut [Task<'_>], failures: Vec<(usize, Failure)>) {
    for (place, failure) in failures {
        if let Some(task) = tasks.get_mut(place) {
            task.fail(failure);
        }
    }
}

/// The call without its rules, for errors.
fn said(task: &Task<'_>) -> String {
    match task.op {
        UserOp::SetUser | UserOp::SetPassword => format!("ACL SETUSER {} ...", task.name),
        UserOp::DelUser => format!("ACL DELUSER {}", task.name),
        UserOp::Save => "ACL SAVE".to_owned(),
    }
}

fn call(task: &Task<'_>, server: &Server, kept: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let ours: Option<BTreeSet<String>> = task.password.as_ref().map(|password| BTreeSet::from([password.sha256()]));
    let mut words = vec!["ACL".to_owned()];
    match (task.op, task.after) {
        (UserOp::SetUser, Some(user)) => {
            let hashes = ours.or_else(|| kept.get(task.name).cloned()).unwrap_or_default();
            // Each node by its own version.
            words.extend(setuser(&expand(user, server), &hashes));
        }
        (UserOp::SetPassword, Some(_)) => {
            words.extend(["SETUSER".to_owned(), task.name.to_owned(), "resetpass".to_owned()]);
            words.extend(ours.iter().flatten().map(|hash| format!("#{hash}")));
        }
        (UserOp::SetUser | UserOp::SetPassword, None) | (UserOp::DelUser, Some(_) | None) => {
            words.extend(["DELUSER".to_owned(), task.name.to_owned()]);
        }
        (UserOp::Save, Some(_) | None) => words.push("SAVE".to_owned()),
    }
    words
}
