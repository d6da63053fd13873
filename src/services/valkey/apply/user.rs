//! Users: set on every node, proved, and saved.

use super::persist::{persist_sentinel, prove_saving, save};
use super::prove::{prove_passwords, prove_rules};
use super::task::{Does, Task, fail, outcome, task};
use crate::error::{Diagnostic, Result};
use crate::services::valkey::acl::{Account, Meaning, setuser};
use crate::services::valkey::connect::{Found, Nodes};
use crate::services::valkey::diff::Teller;
use crate::services::valkey::errors::{explain, is_transient};
use crate::services::valkey::exchange::{Exchange, Replacing, exchange, put_back};
use crate::services::valkey::node::Node;
use crate::services::valkey::observe::{self, absent};
use crate::services::valkey::presets::Expansion;
use crate::services::valkey::wire;
use crate::services::{ApplyContext, Failure, Model, Outcome, Step};
use futures_util::future::{join_all, try_join_all};
use std::collections::{BTreeMap, BTreeSet};

/// Carries out steps of one action on users; one outcome for each, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    let mut tasks: Vec<Task<'_>> = steps.iter().map(|step| task(step, context)).collect();
    let carried_out = carry_out(nodes, &mut tasks).await;
    let absent = carried_out.as_ref().ok().cloned().flatten();
    if let Err(Failure { error, retry }) = carried_out {
        for task in tasks.iter_mut().filter(|task| task.sound()) {
            task.fail(Failure { error: error.again(), retry });
        }
    }
    let mut outcomes = Vec::new();
    for (task, step) in tasks.into_iter().zip(steps) {
        let overtaken = task.overtaken && task.outcome.is_ok();
        outcomes.push(if overtaken { stale(nodes, step).await } else { outcome(task, absent.as_deref()) });
    }
    outcomes
}

/// What is told of a user that somebody set while it was written: it is as they set it.
async fn stale(nodes: &Nodes, step: &Step) -> Outcome {
    let names = BTreeSet::from([step.address.name.clone()]);
    let read = async {
        let found = nodes.all().await?;
        let seen = observe::look_again(found.with_users(), &names, &[step]).await?;
        let declared = step.after.as_ref().and_then(Model::as_valkey_user);
        let now = observe::users(&seen, [(&step.address, declared)]).pop().map(|(_, user)| user);
        let expected = step.before.as_ref().or(step.after.as_ref()).and_then(Model::as_valkey_user);
        let catalogue = seen.first().map(|seen| &seen.server.catalogue);
        let differs =
            now.as_ref().zip(expected).map(|(now, expected)| Teller::new(catalogue).differences(expected, now));
        Ok::<_, Diagnostic>((now, differs.unwrap_or_default()))
    };
    match read.await {
        Ok((now, differs)) => Outcome::Stale { now: now.map(|user| Box::new(Model::ValkeyUser(user))), differs },
        Err(error) => Outcome::from(Failure::from(error)),
    }
}

/// Returns which nodes are absent, if any are. An error here is one of the whole batch; those of single tasks stand in the
/// tasks.
async fn carry_out(nodes: &Nodes, tasks: &mut [Task<'_>]) -> Result<Option<String>, Failure> {
    // Whoever reads the plan knows which nodes are not among them.
    let found = nodes.all().await.map_err(|error| Failure { error, retry: true })?;
    let kept = kept_hashes(&found.nodes, tasks).await?;
    prove_saving(nodes, &found.nodes).await.map_err(|error| Failure { retry: error.may_pass, error })?;
    nodes.saving.will_write();
    let proved = set_and_prove(nodes, &found, tasks, &kept).await;
    // What is set is saved, whatever became of the proof: tried again, it may be found to be already so.
    let saved = save(nodes, &found.nodes).await.map_err(|error| {
        let message = format!("the users are set, and will be gone at the next restart: {}", error.message);
        Failure::from(Diagnostic { message, ..error })
    });
    let by_sentinels = try_join_all(found.sentinels.iter().map(persist_sentinel)).await.map(drop);
    proved.and(saved).and(by_sentinels).map(|()| absent::names(&found))
}

async fn set_and_prove(
    nodes: &Nodes,
    found: &Found,
    tasks: &mut [Task<'_>],
    kept: &BTreeMap<String, BTreeSet<String>>,
) -> Result<(), Failure> {
    set(&found.nodes, tasks, kept).await?;
    set(&found.sentinels, tasks, kept).await?;
    prove_rules(&found.nodes, tasks).await;
    prove_passwords(nodes, found.with_users(), tasks).await
}

/// The passwords that users keep when only their rules are set: ours, if any node takes them and no others shall be left;
/// else those of the first node that has the user.
async fn kept_hashes(nodes: &[Node], tasks: &[Task<'_>]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let keeping = || tasks.iter().filter(|task| task.op == Does::SetUser && task.password.is_none() && task.sound());
    let names: BTreeSet<String> = keeping().map(|task| task.name.to_owned()).collect();
    let mut known: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = nodes.iter().map(async |node| wire::accounts(node, wire::server(node).await?, &names).await);
    for (name, account) in try_join_all(read).await?.into_iter().flatten() {
        known.entry(name).or_default().push(account.hashes);
    }
    let mut kept = BTreeMap::new();
    for task in keeping() {
        let Some(known) = known.get(task.name) else { continue };
        let ours: BTreeSet<String> = known.iter().flatten().filter(|hash| task.ours.contains(*hash)).cloned().collect();
        let first = known.first().cloned().unwrap_or_default();
        kept.insert(
            task.name.to_owned(),
            match (ours.is_empty(), task.only_ours) {
                (true, _) => first,
                (false, true) => ours,
                (false, false) => first.into_iter().chain(ours).collect(),
            },
        );
    }
    Ok(kept)
}

async fn set(nodes: &[Node], tasks: &mut [Task<'_>], kept: &BTreeMap<String, BTreeSet<String>>) -> Result<(), Failure> {
    for node in nodes {
        wire::server(node).await?;
    }
    let (failures, exchanges): (Vec<_>, Vec<_>) = join_all(nodes.iter().map(async |node| {
        let (mut failures, mut exchanges) = (Vec::new(), Vec::new());
        let Ok(server) = wire::server(node).await else { return (failures, exchanges) };
        let expansion = Expansion::on(server);
        let sound = tasks.iter().enumerate().filter(|(_, task)| task.sound());
        let calls = sound.filter_map(|(place, task)| {
            Some((place, Replacing { name: task.name.to_owned(), words: call(task, &expansion, kept)? }))
        });
        let (places, calls): (Vec<usize>, Vec<Replacing>) = calls.unzip();
        let said = |place: &usize| tasks.get(*place).map(|task| said(task)).unwrap_or_default();
        let read = take_read(node, &calls).await;
        let answers = exchange(node, &calls).await;
        let meaning = Meaning::new(&server.catalogue);
        for ((place, call), answer) in places.iter().zip(&calls).zip(answers) {
            match answer {
                Ok(Some(done)) => {
                    let differs = |read| tasks.get(*place).is_some_and(|task| unseen(task, read, &done, &meaning));
                    let unseen = read.get(&call.name).is_some_and(differs);
                    exchanges.push(Exchanged { place: *place, node, name: call.name.clone(), done, unseen });
                }
                Ok(None) => {}
                Err(error) => {
                    let error_said = explain(&error, &node.name, &said(place));
                    failures.push((*place, Failure { retry: is_transient(&error), error: error_said }));
                }
            }
        }
        (failures, exchanges)
    }))
    .await
    .into_iter()
    .unzip();
    fail(tasks, failures.into_iter().flatten().collect());
    put_back_unseen(tasks, exchanges.into_iter().flatten().collect()).await;
    Ok(())
}

/// What was replaced on one node.
struct Exchanged<'a> {
    /// Of the task.
    place: usize,
    node: &'a Node,
    name: String,
    done: Exchange,
    /// Whether it was not what had been read.
    unseen: bool,
}

/// Users as they were read right before this. What is written now is read anew before the next write.
async fn take_read(node: &Node, calls: &[Replacing]) -> BTreeMap<String, Option<Account>> {
    let mut read = node.read.lock().await;
    calls.iter().filter_map(|call| read.remove_entry(&call.name)).collect()
}

/// Whether a call has replaced what nobody had read: all of a user, or its passwords, if it sets no more than these.
fn unseen(task: &Task<'_>, read: &Option<Account>, done: &Exchange, meaning: &Meaning<'_>) -> bool {
    match task.op {
        Does::SetUser | Does::DelUser => !done.replaced(read.as_ref(), meaning),
        Does::SetPassword | Does::RemoveFormerPasswords => {
            read.as_ref().map(|read| &read.hashes) != done.was.as_ref().map(|was| &was.hashes)
        }
        // It takes nothing away.
        Does::AddPassword => false,
    }
}

/// Where somebody set a user since it was read, on any node, it is put back on all.
async fn put_back_unseen(tasks: &mut [Task<'_>], all: Vec<Exchanged<'_>>) {
    let unseen: BTreeSet<usize> = all.iter().filter(|one| one.unseen).map(|one| one.place).collect();
    for one in all.into_iter().filter(|one| unseen.contains(&one.place)) {
        let back = put_back(one.node, &one.name, one.done).await;
        let Some(task) = tasks.get_mut(one.place) else { continue };
        match back {
            Ok(()) => task.overtaken = true,
            Err(error) => task.fail(error.into()),
        }
    }
}

/// The call without its rules, for errors.
fn said(task: &Task<'_>) -> String {
    match task.op {
        Does::SetUser | Does::SetPassword | Does::AddPassword | Does::RemoveFormerPasswords => {
            format!("ACL SETUSER {} ...", task.name)
        }
        Does::DelUser => format!("ACL DELUSER {}", task.name),
    }
}

/// The words of a call; none for what was found unsound before.
fn call(task: &Task<'_>, expansion: &Expansion<'_>, kept: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let ours: Option<BTreeSet<String>> = task.password.as_ref().map(|password| BTreeSet::from([password.sha256()]));
    let mut words = vec!["ACL".to_owned()];
    match (task.op, task.after) {
        (Does::SetUser, Some(user)) => {
            let hashes = ours.or_else(|| kept.get(task.name).cloned()).unwrap_or_default();
            // Each node by its own version.
            words.extend(setuser(&expansion.of(user), &hashes));
        }
        (Does::SetPassword, Some(_)) => {
            words.extend(["SETUSER".to_owned(), task.name.to_owned(), "resetpass".to_owned()]);
            words.extend(ours.iter().flatten().map(|hash| format!("#{hash}")));
        }
        (Does::AddPassword, Some(_)) => {
            words.extend(["SETUSER".to_owned(), task.name.to_owned()]);
            words.extend(ours.iter().flatten().map(|hash| format!("#{hash}")));
        }
        (Does::RemoveFormerPasswords, Some(_)) => {
            words.extend(["SETUSER".to_owned(), task.name.to_owned(), "resetpass".to_owned()]);
            words.extend(task.ours.iter().map(|hash| format!("#{hash}")));
        }
        (Does::SetUser | Does::SetPassword | Does::AddPassword | Does::RemoveFormerPasswords, None) => return None,
        (Does::DelUser, Some(_) | None) => {
            words.extend(["DELUSER".to_owned(), task.name.to_owned()]);
        }
    }
    Some(words)
}
