//! Sets the user `default` on every node, and proves on each that we ourselves still get in. If not, or if somebody set it
//! since it was read, it is put back as it was on the connections that are still open.

use super::persist::{prove_saving, save};
use crate::core::change::{Resource, three_way};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::valkey::acl::Account;
use crate::services::valkey::connect::Nodes;
use crate::services::valkey::errors::explain;
use crate::services::valkey::exchange::{Exchange, Replacing, exchange, not_put_back, put_back};
use crate::services::valkey::model::{DefaultUser, Mode};
use crate::services::valkey::node::Node;
use crate::services::valkey::{observe, wire};
use crate::services::{Failure, Model, Outcome, Step};
use std::collections::BTreeSet;

const NAME: &str = "default";
/// The call as errors show it: without its rules.
const CALL: &str = "ACL SETUSER default ...";

/// There is one such user, so one step; an outcome for each all the same.
pub async fn apply(nodes: &Nodes, steps: &[&Step]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for step in steps {
        let after = step.after.as_ref().and_then(Model::as_valkey_default_user);
        outcomes.push(match after {
            Some(after) => match set(nodes, after).await {
                Ok(Set::Done) => Outcome::done(),
                Ok(Set::Overtaken) => stale(nodes, step).await.unwrap_or_else(|error| Failure::from(error).into()),
                Err(failure) => failure.into(),
            },
            None => {
                let error = Diagnostic::new(Kind::Plan, "this step cannot be carried out on Valkey");
                let error = error.on("valkey", &step.address, "");
                Outcome::failed(error.hint("the plan may come from another version: plan again"))
            }
        });
    }
    outcomes
}

enum Set {
    Done,
    /// Somebody set it while it was written: it is as they set it.
    Overtaken,
}

async fn set(nodes: &Nodes, after: &DefaultUser) -> Result<Set, Failure> {
    let there = nodes.all().await.map_err(|error| Failure { error, retry: true })?;
    let password = nodes.password().await?;
    // What does not work before cannot be proved afterwards.
    for node in &there.nodes {
        prove(nodes, node).await.map_err(|error| Failure { error, retry: true })?;
    }
    prove_saving(nodes, &there.nodes).await?;
    nodes.saving.will_write();
    let mut done: Vec<(&Node, Exchange)> = Vec::new();
    for node in &there.nodes {
        let read = match node.read.lock().await.remove(NAME).flatten() {
            Some(read) => read,
            None => account(node).await?,
        };
        let rules = rules(after, password.as_ref());
        let (overtaken, proved) = match change(node, &rules).await {
            Ok(exchanged) => {
                let overtaken = exchanged.as_ref().is_some_and(|done| unseen(&read, done.was.as_ref()));
                done.push((node, exchanged.unwrap_or(Exchange { was: Some(read), is: None })));
                (overtaken, if overtaken { Ok(()) } else { prove(nodes, node).await })
            }
            Err(error) => (false, Err(error)),
        };
        if overtaken || proved.is_err() {
            let stuck = put_all_back(done).await;
            // What was put back is what is saved already. A failure of this is told by the next plan.
            save(nodes, &there.nodes).await.ok();
            return match proved {
                Err(error) => Err(told(error, &stuck).into()),
                Ok(()) if stuck.is_empty() => Ok(Set::Overtaken),
                Ok(()) => Err(not_put_back(&stuck.join(", "), NAME).into()),
            };
        }
    }
    save(nodes, &there.nodes).await?;
    Ok(Set::Done)
}

/// Whether what a call replaces was set since it was read. Rules stay as they are.
fn unseen(read: &Account, was: Option<&Account>) -> bool {
    let replaced = |account: &Account| (account.user.enabled, account.user.nopass, account.hashes.clone());
    Some(replaced(read)) != was.map(replaced)
}

/// What is told of it where somebody set it meanwhile.
async fn stale(nodes: &Nodes, step: &Step) -> Result<Outcome, Diagnostic> {
    let found = nodes.all().await?;
    let seen = observe::look_again(&found.nodes, &BTreeSet::from([NAME.to_owned()]), &[step]).await?;
    let model = |end: &Option<Model>| end.as_ref().and_then(Model::as_valkey_default_user).cloned();
    let now = observe::default_user::user(&seen, nodes.password().await?.as_ref(), model(&step.after).as_ref());
    let differs = now
        .as_ref()
        .zip(model(&step.before))
        .map(|(now, planned)| three_way(&now.fields(), &planned.fields(), None).changes);
    let now = now.map(|now| Box::new(Model::ValkeyDefaultUser(now)));
    Ok(Outcome::Stale { now, differs: differs.unwrap_or_default() })
}

fn rules(after: &DefaultUser, password: Option<&Secret>) -> Vec<String> {
    let only = |password: &Secret| vec!["on".to_owned(), "resetpass".to_owned(), format!("#{}", password.sha256())];
    match (after.mode, password) {
        (Some(Mode::AdminOnly), Some(password)) => only(password),
        // Without a password nobody could sign in; the differ blocks it.
        (Some(Mode::AdminOnly), None) => Vec::new(),
        (Some(Mode::Off) | None, _) => vec!["off".to_owned()],
    }
}

async fn account(node: &Node) -> Result<Account, Failure> {
    let names = BTreeSet::from([NAME.to_owned()]);
    let account = wire::accounts(node, wire::server(node).await?, &names).await?.remove(NAME);
    account.ok_or_else(|| {
        let error = Diagnostic::new(Kind::Service, "it has no user `default`").on("valkey", &node.name, "ACL GETUSER");
        error.hint("nornplan knows Valkey 8 and 9 and Redis 7; if this is one, please report it").into()
    })
}

/// What was replaced, where the server tells that.
async fn change(node: &Node, rules: &[String]) -> Result<Option<Exchange>, Diagnostic> {
    let words = ["ACL", "SETUSER", NAME].into_iter().map(str::to_owned).chain(rules.iter().cloned());
    let call = Replacing { name: NAME.to_owned(), words: words.collect() };
    match exchange(node, &[call]).await.pop() {
        Some(Err(error)) => Err(explain(&error, &node.name, CALL)),
        Some(Ok(exchanged)) => Ok(exchanged),
        None => Ok(None),
    }
}

/// Signs in anew as nornplan does at the beginning of every run.
async fn prove(nodes: &Nodes, node: &Node) -> Result<(), Diagnostic> {
    let probe = nodes.another(node).await?;
    let answered = probe.call(&["PING"], "PING").await;
    probe.close().await;
    answered.map(drop)
}

/// Undoes it where it was done, on the connections that signed in before. Returns the nodes where that failed.
async fn put_all_back(done: Vec<(&Node, Exchange)>) -> Vec<&str> {
    let mut stuck = Vec::new();
    for (node, exchanged) in done {
        if put_back(node, NAME, exchanged).await.is_err() {
            stuck.push(node.name.as_str());
        }
    }
    stuck
}

/// Why it was put back, and where it could not be.
fn told(error: Diagnostic, stuck: &[&str]) -> Diagnostic {
    let (message, hint) = if stuck.is_empty() {
        ("it was put back as it was, since nornplan could not sign in any more", "nothing is changed; ")
    } else {
        ("nornplan could not sign in any more, and putting it back failed too", "look at the user by hand; ")
    };
    let stuck = if stuck.is_empty() { String::new() } else { format!(" on {}", stuck.join(", ")) };
    Diagnostic {
        message: format!("{message}{stuck}: {}", error.message),
        hint: Some(format!("{hint}{}", error.hint.unwrap_or_default())),
        ..Diagnostic { hint: None, ..error }
    }
}
