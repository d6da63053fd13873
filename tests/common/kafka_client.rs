//! kafka-python, as somebody who does not use nornplan: one process serves a whole test, and signs in as whom it is told.
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::fetched::fetched;
use super::own_kafka::jars;
use super::{root, service};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The administrator's session.
pub const ADMIN: &str = "admin";

/// The program, and what it is spoken to by.
pub struct Client {
    process: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    brokers: String,
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub partitions: u64,
    /// Copies of a partition; several numbers if partitions differ.
    pub replication: BTreeSet<u64>,
    /// What was set on the topic itself.
    pub config: BTreeMap<String, String>,
}

/// All that has a test's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everything {
    pub topics: BTreeMap<String, Topic>,
    /// `allow read topic literal orders User:shop *`
    pub acls: BTreeSet<String>,
    /// Iterations by user and mechanism.
    pub users: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Everything {
    /// Whether there is nothing at all.
    pub fn is_nothing(&self) -> bool {
        self.topics.is_empty() && self.acls.is_empty() && self.users.is_empty()
    }
}

impl Client {
    /// The brokers that tests share, with a session of their admin.
    pub fn start() -> Self {
        let brokers = service("NORNPLAN_KAFKA_BROKERS");
        Self::of(&brokers, &service("NORNPLAN_KAFKA_USER"), &service("NORNPLAN_KAFKA_PASSWORD"))
    }

    /// Any brokers, with a session of their admin.
    pub fn of(brokers: &str, admin: &str, password: &str) -> Self {
        let python = fetched("python3", "python_clients").unwrap_or_else(|why| panic!("{why}"));
        let program = root().join("testdata/clients/kafka_client.py");
        let mut command = Command::new(python);
        command.arg(program).env("KAFKA_JARS", jars()).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
        let writes = process.stdin.take().expect("standard input");
        let reads = BufReader::new(process.stdout.take().expect("standard output"));
        let this = Self { process, pipes: RefCell::new((writes, reads)), brokers: brokers.to_owned() };
        this.signs_in(ADMIN, admin, password);
        this
    }

    /// Has somebody sign in under a name for this session.
    pub fn signs_in(&self, session: &str, user: &str, password: &str) {
        let answer = self.ask(json!({
            "do": "sign_in", "as": session, "brokers": self.brokers, "user": user, "password": password,
        }));
        assert_eq!(answer, json!({}), "{user} cannot sign in");
    }

    /// The broker's code for an attempt to sign in: 0 is success; `None` if it hung up without a word.
    pub fn knocks(&self, address: &str, user: Option<&str>, password: &str, mechanism: &str) -> Option<i64> {
        let answer = self.ask(json!({
            "do": "knock", "address": address, "user": user, "password": password, "mechanism": mechanism,
        }));
        answer["code"].as_i64()
    }

    /// The answer to a command; fails if the program could not make anything of it.
    #[track_caller]
    pub fn ask(&self, command: Value) -> Value {
        let mut pipes = self.pipes.borrow_mut();
        writeln!(pipes.0, "{command}").expect("it is told");
        let mut line = String::new();
        pipes.1.read_line(&mut line).expect("it answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{command}: {error}: {line:?}"));
        assert!(answer.get("broken").is_none(), "{command}\n{answer}");
        answer
    }

    /// Sends a request as somebody: the codes in the answer, and the answer.
    #[track_caller]
    pub fn sends(&self, session: &str, api: &str, body: &Value) -> (Vec<i64>, Value) {
        self.sends_version(session, api, None, body)
    }

    #[track_caller]
    pub fn sends_version(&self, session: &str, api: &str, version: Option<u8>, body: &Value) -> (Vec<i64>, Value) {
        let answer = self.ask(json!({ "do": "send", "as": session, "api": api, "version": version, "body": body }));
        let codes = answer["codes"].as_array();
        let codes = codes.unwrap_or_else(|| panic!("{session}: {api} {body}\n{answer}"));
        (codes.iter().filter_map(Value::as_i64).collect(), answer["answer"].clone())
    }

    /// Does a piece of work as somebody: `Err` has the code and the name of the error.
    #[track_caller]
    pub fn does(&self, session: &str, what: &str, arguments: Value) -> Result<Value, (Option<i64>, String)> {
        let mut command = Map::from_iter([("do".to_owned(), json!(what)), ("as".to_owned(), json!(session))]);
        let Value::Object(arguments) = arguments else { panic!("no object: {arguments}") };
        command.extend(arguments);
        let answer = self.ask(Value::Object(command));
        match answer.get("error") {
            Some(error) => Err((answer["code"].as_i64(), format!("{error} {}", answer["text"]))),
            None => Ok(answer),
        }
    }

    /// Everything whose name, or whose principal's name, starts so, as the admin sees it.
    #[track_caller]
    pub fn everything(&self, prefix: &str) -> Everything {
        let all = self.does(ADMIN, "read", json!({ "prefix": prefix })).unwrap_or_else(|error| panic!("{error:?}"));
        let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let topic = |(name, topic): (String, Value)| {
            let text = |(key, value): (String, Value)| (key, value.as_str().unwrap_or("(null)").to_owned());
            let copies = topic["replication"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
            let config = entries(&topic["config"]).into_iter().map(text).collect();
            (name, Topic { partitions: topic["partitions"].as_u64().unwrap_or(0), replication: copies, config })
        };
        let user = |(name, found): (String, Value)| {
            let numbers = entries(&found).into_iter().filter_map(|(key, value)| Some((key, value.as_u64()?)));
            (name, numbers.collect())
        };
        let acls = all["acls"].as_array().into_iter().flatten();
        Everything {
            topics: entries(&all["topics"]).into_iter().map(topic).collect(),
            acls: acls.filter_map(Value::as_str).map(str::to_owned).collect(),
            users: entries(&all["users"]).into_iter().map(user).collect(),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
