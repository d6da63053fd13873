//! What is tried against the isolation of apps on Kafka.

pub mod brokers;
pub mod more;
pub mod neighbours;
pub mod world;

use serde_json::Value;

/// Who is let do it as it is written, so that an app that is refused is refused for its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The neighbour whose thing it is.
    Neighbour,
    Admin,
    /// Nobody here: for a request that only brokers send, or for what this broker has switched off.
    Nobody,
}

/// One request that an app sends. `MY_` and `YOUR_` stand for its own things and its neighbour's.
pub struct Way {
    pub what: &'static str,
    /// The request's name in Kafka's protocol.
    pub api: &'static str,
    /// `None` is the newest that both know.
    pub version: Option<u8>,
    pub body: Value,
    /// The code that it is refused with.
    pub denied: i64,
    pub control: Control,
}

pub const TOPIC: i64 = 29;
pub const GROUP: i64 = 30;
pub const CLUSTER: i64 = 31;
pub const TRANSACTION: i64 = 53;
pub const FOREIGN_TOKEN: i64 = 65;
/// No answer comes: 7 is what the client says then.
pub const SILENCE: i64 = 7;
/// What a broker says if rights are missing.
pub const FOR_RIGHTS: [i64; 5] = [TOPIC, GROUP, CLUSTER, TRANSACTION, FOREIGN_TOKEN];

pub const fn way(what: &'static str, api: &'static str, denied: i64, control: Control, body: Value) -> Way {
    Way { what, api, version: None, body, denied, control }
}

impl Way {
    pub const fn in_version(mut self, version: u8) -> Self {
        self.version = Some(version);
        self
    }
}
