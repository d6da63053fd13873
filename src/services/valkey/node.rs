//! One node, and how calls are made to it.

use super::acl::Account;
use super::errors::explain_to;
use super::presets::Server;
use super::{wire, writes};
use crate::error::{Diagnostic, Kind, Result};
use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, Value};
use std::collections::BTreeMap;
use tokio::sync::{Mutex, OnceCell};

/// What a node is to the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A primary by itself or with replicas, or one of these.
    Plain,
    OfCluster,
    BehindSentinels,
    Sentinel,
}

/// One server process.
pub struct Node {
    /// host:port, or the path of a socket.
    pub name: String,
    pub client: Client,
    /// What reads and writes the connection: it ends with it, and what is asked afterwards would wait in vain.
    pub task: ConnectHandle,
    /// The user that nornplan signs in as.
    pub admin: String,
    pub part: Part,
    /// What it is; asked for once in the life of the connection.
    pub server: OnceCell<Server>,
    /// Users as they were read right before they are written; `None` is one that did not exist.
    pub read: Mutex<BTreeMap<String, Option<Account>>>,
}

impl Node {
    pub fn new(name: String, (client, task): (Client, ConnectHandle), admin: &str, part: Part) -> Self {
        Self { name, client, task, admin: admin.to_owned(), part, server: OnceCell::new(), read: Mutex::default() }
    }

    /// One call. `words` after the first must hold no secret that an error could show; `said` stands for the call.
    pub async fn call(&self, words: &[&str], said: &str) -> Result<Value> {
        let mut all = self.try_calls(&[words.iter().map(|word| (*word).to_owned()).collect()]).await;
        match all.pop() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.explain(&error, said)),
            None => Err(Diagnostic::new(Kind::Service, "no answer").on("valkey", &self.name, said)),
        }
    }

    /// An error of a call of ours, with the statement that allows what we may not do.
    pub fn explain(&self, error: &fred::error::Error, said: &str) -> Diagnostic {
        explain_to(&self.admin, error, &self.name, said)
    }

    /// Ends the connection.
    pub async fn close(self) {
        // It is over in any case.
        drop(self.client.quit().await);
    }

    pub fn is_of_cluster(&self) -> bool {
        self.part == Part::OfCluster
    }

    /// Whether the connection is as it was made.
    pub fn is_connected(&self) -> bool {
        self.client.is_connected() && !self.task.is_finished()
    }

    /// Many calls in one round trip, an answer for each.
    pub async fn try_calls(&self, calls: &[Vec<String>]) -> Vec<Result<Value, fred::error::Error>> {
        writes::around(|| calls.to_vec(), self.send(calls)).await
    }

    async fn send(&self, calls: &[Vec<String>]) -> Vec<Result<Value, fred::error::Error>> {
        if !self.is_connected() {
            let lost = || fred::error::Error::new(ErrorKind::IO, "the connection was lost");
            return calls.iter().map(|_| Err(lost())).collect();
        }
        let pipeline = self.client.pipeline();
        for words in calls {
            let mut words = words.iter().cloned();
            let command = CustomCommand::new(words.next().unwrap_or_default(), ClusterHash::FirstKey, false);
            // Queued in memory: there is nothing that could fail yet.
            let queued: Result<Value, _> = pipeline.custom(command, words.collect::<Vec<String>>()).await;
            if let Err(error) = queued {
                return vec![Err(error)];
            }
        }
        wire::one_each(pipeline.try_all::<Value>().await, calls.len())
    }
}
