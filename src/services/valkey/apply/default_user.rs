//! Sets the user `default` on every node, and proves on each that we ourselves still get in. If not, it is put back as it
//! was on the connections that are still open.

use super::persist::{prove_saving, save};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::valkey::acl::Account;
use crate::services::valkey::connect::Nodes;
use crate::services::valkey::errors::explain;
use crate::services::valkey::model::{DefaultUser, Mode};
use crate::services::valkey::node::Node;
use crate::services::valkey::wire;
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
            Some(after) => set(nodes, after).await.map_or_else(Outcome::from, |()| Outcome::done()),
            None => {
                let error = Diagnostic::new(Kind::Plan, "this step cannot be carried out on Valkey");
                let error = error.on("valkey", &step.address, "");
                Outcome::failed(error.hint("the plan may come from another version: plan again"))
            }
        });
    }
    outcomes
}

async fn set(nodes: &Nodes, after: &DefaultUser) -> Result<(), Failure> {
    let there = nodes.all().await.map_err(|error| Failure { error, retry: true })?;
    let password = nodes.password().await?;
    // What does not work before cannot be proved afterwards.
    for node in &there.nodes {
        prove(nodes, node).await.map_err(|error| Failure { error, retry: true })?;
    }
    prove_saving(nodes, &there.nodes).await?;
    nodes.saving.will_write();
    let mut done: Vec<(&Node, Account)> = Vec::new();
    for node in &there.nodes {
        let before = account(node).await?;
        let rules = rules(after, password.as_ref());
        let changed = match change(node, &rules).await {
            Ok(()) => {
                done.push((node, before));
                prove(nodes, node).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = changed {
            let error = put_back(&done, error).await;
            // What was put back is what is saved already. A failure of this is told by the next plan.
            save(nodes, &there.nodes).await.ok();
            return Err(error.into());
        }
    }
    save(nodes, &there.nodes).await?;
    Ok(())
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

async fn change(node: &Node, rules: &[String]) -> Result<(), Diagnostic> {
    let words = ["ACL", "SETUSER", NAME].into_iter().map(str::to_owned).chain(rules.iter().cloned());
    match node.try_calls(&[words.collect()]).await.pop() {
        Some(Err(error)) => Err(explain(&error, &node.name, CALL)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Signs in anew as nornplan does at the beginning of every run.
async fn prove(nodes: &Nodes, node: &Node) -> Result<(), Diagnostic> {
    let probe = nodes.another(node).await?;
    let answered = probe.call(&["PING"], "PING").await;
    probe.close().await;
    answered.map(drop)
}

/// Undoes it where it was done, on the connections that signed in before, and says so.
async fn put_back(done: &[(&Node, Account)], error: Diagnostic) -> Diagnostic {
    let mut stuck = Vec::new();
    for (node, before) in done {
        let mut rules = vec![if before.user.enabled { "on" } else { "off" }.to_owned(), "resetpass".to_owned()];
        rules.extend(before.user.nopass.then(|| "nopass".to_owned()));
        rules.extend(before.hashes.iter().map(|hash| format!("#{hash}")));
        if change(node, &rules).await.is_err() {
            stuck.push(node.name.as_str());
        }
    }
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
