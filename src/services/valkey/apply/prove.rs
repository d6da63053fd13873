//! Proves on the server what was set: that the rules isolate, and that the passwords sign in.

use super::task::{Does, Task, fail};
use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use crate::services::valkey::acl::includes;
use crate::services::valkey::connect::Nodes;
use crate::services::valkey::errors::{explain, is_transient};
use crate::services::valkey::model::User;
use crate::services::valkey::node::Node;
use futures_util::future::{join_all, try_join_all};

/// A key that lies in nobody's namespace: no namespace has an underscore.
const FOREIGN_KEY: &str = "nornplan_probe:key";

/// What a user must not be able to do, if there is anything of that kind. It is tried in the database 0.
fn forbidden(user: &User) -> Option<Vec<String>> {
    let opens = |pattern: &String| pattern.split_once('~').is_some_and(|(_, pattern)| includes(pattern, FOREIGN_KEY));
    let reads_databases = user.reads_databases.as_ref().is_some_and(|numbers| !numbers.is_empty());
    let words: &[&str] = if user.whole_database == Some(true) {
        if reads_databases {
            return None;
        }
        &["SELECT", if user.db == Some(0) { "1" } else { "0" }]
    } else if user.more_keys.iter().flatten().any(opens) {
        return None;
    } else if reads_databases {
        &["SET", FOREIGN_KEY, "x"]
    } else {
        &["GET", FOREIGN_KEY]
    };
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

/// Asks every node whether a user that was just set may do what is not its own: read a key, or go to another database.
pub async fn prove_rules(nodes: &[Node], tasks: &mut [Task<'_>]) {
    let of_nodes = join_all(nodes.iter().map(|node| rules_isolate(node, tasks))).await;
    fail(tasks, of_nodes.into_iter().flatten().collect());
}

/// The tasks, by place, whose rules do not isolate on a node.
async fn rules_isolate(node: &Node, tasks: &[Task<'_>]) -> Vec<(usize, Failure)> {
    let set = tasks.iter().enumerate().filter(|(_, task)| task.sound() && task.op == Does::SetUser);
    let (places, calls): (Vec<usize>, Vec<Vec<String>>) = set
        .filter_map(|(place, task)| {
            let forbidden = forbidden(task.after?)?;
            let words = ["ACL", "DRYRUN", task.name].map(str::to_owned);
            Some((place, words.into_iter().chain(forbidden).collect()))
        })
        .unzip();
    let mut failures = Vec::new();
    for (place, answer) in places.into_iter().zip(node.try_calls(&calls).await) {
        let call = "ACL DRYRUN ... of what is outside of its namespace or database";
        match answer {
            Ok(answer) if answer.is_ok() => {
                let error = Diagnostic::new(Kind::Service, "the rules are set and do not isolate")
                    .on("valkey", &node.name, call)
                    .hint("please report this with the server's version");
                failures.push((place, error.into()));
            }
            Ok(_) => {}
            Err(error) => {
                let retry = is_transient(&error);
                failures.push((place, Failure { error: explain(&error, &node.name, call), retry }));
            }
        }
    }
    failures
}

/// Signs in to every node with every password that was set, on a connection of its own.
pub async fn prove_passwords(
    nodes: &Nodes,
    there: impl Iterator<Item = &Node>,
    tasks: &mut [Task<'_>],
) -> Result<(), Failure> {
    if !tasks.iter().any(|task| task.sound() && task.password.is_some()) {
        return Ok(());
    }
    let of_nodes = try_join_all(there.map(|node| passwords_sign_in(nodes, node, tasks))).await?;
    fail(tasks, of_nodes.into_iter().flatten().collect());
    Ok(())
}

/// The tasks, by place, whose passwords do not sign in to a node.
async fn passwords_sign_in(nodes: &Nodes, node: &Node, tasks: &[Task<'_>]) -> Result<Vec<(usize, Failure)>, Failure> {
    let probe = nodes.another(node).await.map_err(|error| Failure { error, retry: true })?;
    let mut failures = Vec::new();
    let (mut places, mut calls) = (Vec::new(), Vec::new());
    for (place, task) in tasks.iter().enumerate().filter(|(_, task)| task.sound()) {
        if let Some(password) = &task.password {
            places.push((place, task.name.to_owned()));
            calls.push(vec!["AUTH".to_owned(), task.name.to_owned(), password.expose().to_owned()]);
        }
    }
    for ((place, name), answer) in places.into_iter().zip(probe.try_calls(&calls).await) {
        if let Err(error) = answer {
            let diagnostic = Diagnostic::new(Kind::Service, format!("the new password of {name} does not sign in"))
                .on("valkey", &node.name, format!("AUTH {name} ..."))
                .because(error.details().to_owned())
                .hint("look whether something else sets this user, then apply again");
            failures.push((place, Failure { error: diagnostic, retry: is_transient(&error) }));
        }
    }
    probe.close().await;
    Ok(failures)
}
