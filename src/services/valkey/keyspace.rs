//! Walks through the keys of one database, a bounded number at a time, on a connection of its own.

use super::connect::Nodes;
use super::errors::{explain, is_transient};
use super::node::Node;
use super::{wire, writes};
use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};

/// Places of the database that the server looks at in one call: well below a millisecond's work.
pub const STEP: u64 = 1_000;

/// A call: its name, and arguments that need not be text.
pub type Call = (&'static str, Vec<Value>);

/// One walk. Every round trip chooses the database first, so no lost connection can lead to another one's keys.
pub struct Walk {
    node: Node,
    db: u32,
    pattern: String,
    /// What the server wants to be told to go on; `None` at the end.
    cursor: Option<String>,
}

impl Walk {
    /// Begins a walk over keys that match a pattern.
    ///
    /// # Errors
    /// The node cannot be reached, or has no such database.
    pub async fn begin(nodes: &Nodes, node: &Node, db: u32, pattern: String) -> Result<Self, Failure> {
        let node = nodes.another(node).await.map_err(|error| Failure { error, retry: true })?;
        node.call(&["SELECT", &db.to_string()], &format!("SELECT {db}")).await?;
        Ok(Self { node, db, pattern, cursor: Some("0".to_owned()) })
    }

    pub fn ended(&self) -> bool {
        self.cursor.is_none()
    }

    pub fn is_cluster(&self) -> bool {
        self.node.is_of_cluster()
    }

    /// The next keys that match; there may be none of them before the end. A key may come twice.
    ///
    /// # Errors
    /// The connection breaks off, or `SCAN` is refused.
    pub async fn next(&mut self) -> Result<Vec<Value>, Failure> {
        let Some(cursor) = self.cursor.take() else { return Ok(Vec::new()) };
        let words = [cursor, "MATCH".to_owned(), self.pattern.clone(), "COUNT".to_owned(), STEP.to_string()];
        let answer = self.one(("SCAN", words.into_iter().map(Value::from).collect())).await?;
        let mut parts = answer.into_array().into_iter();
        let cursor = parts.next().and_then(Value::into_string).ok_or_else(|| self.strange("SCAN"))?;
        self.cursor = Some(cursor).filter(|cursor| cursor != "0");
        Ok(parts.next().map(Value::into_array).unwrap_or_default())
    }

    /// One call in the database.
    ///
    /// # Errors
    /// The connection breaks off, or the call is refused.
    pub async fn one(&self, call: Call) -> Result<Value, Failure> {
        let name = call.0;
        let answer = self.many(vec![call]).await.pop().ok_or_else(|| self.strange(name))?;
        answer.map_err(|error| self.failure(&error, name))
    }

    /// Many calls in the database in one round trip, an answer for each.
    pub async fn many(&self, calls: Vec<Call>) -> Vec<Result<Value, Error>> {
        let names: Vec<&'static str> = calls.iter().map(|(name, _)| *name).collect();
        writes::around(|| names.iter().map(|name| vec![(*name).to_owned()]).collect(), self.send(calls)).await
    }

    async fn send(&self, calls: Vec<Call>) -> Vec<Result<Value, Error>> {
        let expected = calls.len() + 1;
        let pipeline = self.node.client.pipeline();
        let choose = ("SELECT", vec![Value::from(self.db.to_string())]);
        for (name, arguments) in std::iter::once(choose).chain(calls) {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            // Queued in memory: there is nothing that could fail yet.
            let queued: Result<Value, Error> = pipeline.custom(command, arguments).await;
            if let Err(error) = queued {
                return vec![Err(error)];
            }
        }
        wire::one_each(pipeline.try_all::<Value>().await, expected).split_off(1)
    }

    /// A failed call in words.
    pub fn failure(&self, error: &Error, call: &str) -> Failure {
        Failure { retry: is_transient(error), error: explain(error, &self.node.name, call) }
    }

    fn strange(&self, call: &str) -> Diagnostic {
        Diagnostic::new(Kind::Service, "no answer").on("valkey", &self.node.name, call)
    }

    pub async fn end(self) {
        self.node.close().await;
    }
}

/// The nodes that take writes: each has keys that no other of them has.
///
/// # Errors
/// A node that does not say what it is.
pub async fn primaries(nodes: &[Node]) -> Result<Vec<&Node>, Diagnostic> {
    let mut primaries = Vec::new();
    for node in nodes {
        let role = node.call(&["ROLE"], "ROLE").await?.into_array().into_iter().next().and_then(Value::into_string);
        if role.as_deref() == Some("master") {
            primaries.push(node);
        }
    }
    Ok(primaries)
}
