//! Replaces users, and learns in the same moment what was replaced.
//!
//! No call of the server's sets a user only if it is as it was. A transaction tells at least what it was right before:
//! if that is not what was read, somebody has set it meanwhile, and what that one had set is put back.

use super::acl::{Account, Meaning, setuser};
use super::node::{Node, Part};
use super::wire;
use crate::error::{Diagnostic, Kind};
use fred::error::Error;
use fred::types::Value;
use std::collections::BTreeSet;

/// A user right before a call that replaced it, and right after it. `None` is one that does not exist.
pub struct Exchange {
    pub was: Option<Account>,
    pub is: Option<Account>,
}

impl Exchange {
    /// Whether what was replaced is a user as it had been known, in whatever order the server tells its rules.
    pub fn replaced(&self, known: Option<&Account>, meaning: &Meaning<'_>) -> bool {
        match (known, &self.was) {
            // Redis 7.0 may tell the same rules in another order each time, in the first while of its life.
            (Some(known), Some(was)) => {
                known == was || (in_no_order(known) == in_no_order(was) && meaning.same_account(known, was))
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// What makes an account, in no order: every word, and of each selector the words inside.
fn in_no_order(account: &Account) -> BTreeSet<BTreeSet<String>> {
    let set = |words: &str| words.split(' ').map(str::to_owned).collect();
    let inside = |word: &str| word.strip_prefix('(').and_then(|word| word.strip_suffix(')')).map(set);
    let words = setuser(&account.user, &account.hashes);
    words.iter().map(|word| inside(word).unwrap_or_else(|| set(word))).collect()
}

/// A call that replaces a user, and the user's name.
pub struct Replacing {
    pub name: String,
    pub words: Vec<String>,
}

impl Replacing {
    fn by(name: &str, account: Option<&Account>) -> Self {
        let mut words = vec!["ACL".to_owned()];
        match account {
            Some(account) => words.extend(setuser(&account.user, &account.hashes)),
            None => words.extend(["DELUSER".to_owned(), name.to_owned()]),
        }
        Self { name: name.to_owned(), words }
    }
}

/// Calls of one transaction.
const CALLS: usize = 5;
/// Where the call itself stands among them.
const PLACE: usize = 2;
/// How often somebody may be faster in a row.
const TRIES: usize = 5;

/// Makes calls in one round trip, each in a transaction of its own. What was replaced is unknown where the server has no
/// transactions (a sentinel), or keeps them from us.
pub async fn exchange(node: &Node, calls: &[Replacing]) -> Vec<Result<Option<Exchange>, Error>> {
    if node.part == Part::Sentinel {
        let calls: Vec<Vec<String>> = calls.iter().map(|call| call.words.clone()).collect();
        return node.try_calls(&calls).await.into_iter().map(|answer| answer.map(|_| None)).collect();
    }
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let transaction = |call: &Replacing| {
        let look = words(&["ACL", "GETUSER", &call.name]);
        [words(&["MULTI"]), look.clone(), call.words.clone(), look, words(&["EXEC"])]
    };
    let all: Vec<Vec<String>> = calls.iter().flat_map(transaction).collect();
    let mut answers = node.try_calls(&all).await.into_iter();
    let mut results = Vec::new();
    for call in calls {
        let answers: Vec<Result<Value, Error>> = answers.by_ref().take(CALLS).collect();
        results.push(match &answers[..] {
            [Ok(_), _, Ok(_), _, Ok(executed)] => Ok(read(node, &call.name, executed.clone()).await),
            [Ok(_), _, Ok(_), _, Err(error)] => Err(error.clone()),
            _ => match answers.into_iter().nth(PLACE) {
                Some(answer) => answer.map(|_| None),
                None => Err(Error::new(fred::error::ErrorKind::IO, "no answer")),
            },
        });
    }
    results
}

async fn read(node: &Node, name: &str, executed: Value) -> Option<Exchange> {
    let server = wire::server(node).await.ok()?;
    let mut parts = executed.into_array().into_iter();
    let (was, is) = (parts.next()?, parts.nth(1)?);
    let account = |answer: Value| wire::account(node, server, name, answer);
    Some(Exchange { was: account(was).ok()?, is: account(is).ok()? })
}

/// Puts back what a call has replaced unseen, or what somebody has set since then.
///
/// # Errors
/// It could not be put back: the user is as the call made it, or as somebody made it afterwards.
pub async fn put_back(node: &Node, name: &str, done: Exchange) -> Result<(), Diagnostic> {
    let mut done = done;
    let server = wire::server(node).await?;
    for _ in 0..TRIES {
        let call = Replacing::by(name, done.was.as_ref());
        match exchange(node, &[call]).await.pop() {
            Some(Ok(Some(next))) if !next.replaced(done.is.as_ref(), &Meaning::new(&server.catalogue)) => {
                done = next;
            }
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => return Err(not_put_back(&node.name, name).because(error.details().to_owned())),
            None => break,
        }
    }
    Err(not_put_back(&node.name, name))
}

/// A user that is as the call made it, or as somebody made it afterwards, on some nodes.
pub fn not_put_back(nodes: &str, name: &str) -> Diagnostic {
    let message = format!("somebody set {name} while it was written, and what they set could not be put back");
    Diagnostic::new(Kind::Service, message)
        .on("valkey", nodes, format!("ACL SETUSER {name} ..."))
        .hint("look at `ACL LIST` whether the user is as it should be, then plan again")
}

#[cfg(test)]
mod tests {
    use super::super::acl::{Catalogue, Command, KeyUse, parse_line};
    use super::*;

    #[test]
    fn who_is_told_of_in_another_order_is_the_same() {
        let mut catalogue = Catalogue::of(["get", "pubsub", "pubsub|channels"]);
        let set = Command { keys: BTreeSet::from([KeyUse::unknown()]), ..Command::default() };
        catalogue.commands.insert("set".to_owned(), set);
        let meaning = Meaning::new(&catalogue);
        let account = |rules: &str| parse_line(&format!("user mail on {rules}"), false).unwrap();
        let known = account("~mail:* -@all +set +pubsub -pubsub|channels -get #aa (~a:* -@all +set +get)");
        let replaced = |was| Exchange { was, is: None }.replaced(Some(&known), &meaning);
        assert!(replaced(Some(account("~mail:* -@all +set +pubsub -get -pubsub|channels #aa (~a:* -@all +get +set)"))));
        for other in [
            "~mail:* -@all +set +pubsub -pubsub|channels -get #ab (~a:* -@all +set +get)",
            "~mail:* -@all +set +pubsub -get #aa (~a:* -@all +set +get)",
            "~mail:* ~cafe:* -@all +set +pubsub -get -pubsub|channels #aa (~a:* -@all +set +get)",
            "~mail:* -@all +set +pubsub -get -pubsub|channels #aa (~b:* -@all +set +get)",
            "skip-sanitize-payload ~mail:* -@all +set +pubsub -get -pubsub|channels #aa (~a:* -@all +set +get)",
            // What changes nothing today was meant by somebody all the same.
            "~mail:* ~mail:sub:* -@all +set +pubsub -get -pubsub|channels #aa (~a:* -@all +set +get)",
            "~mail:* &x -@all +set +pubsub -get -pubsub|channels #aa (~a:* -@all +set +get)",
            // Here the order counts.
            "~mail:* -@all +set -pubsub|channels +pubsub -get #aa (~a:* -@all +set +get)",
        ] {
            assert!(!replaced(Some(account(other))), "{other}");
        }
        assert!(!replaced(None));
    }
}
