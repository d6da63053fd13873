//! What Kafka resources are: one type each for desired, last applied and observed. Imports only the core.

mod acl;
mod holdings;
mod topic;
mod user;

use crate::core::address::{Address, Kind};
use serde::{Deserialize, Serialize};

pub use acl::{Acl, Binding};
pub use holdings::{CONTENT, GROUPS, Holdings, Reading};
pub use topic::Topic;
pub use user::User;

pub const USER: Kind = Kind::new("kafka.user");
pub const TOPIC: Kind = Kind::new("kafka.topic");
pub const ACL: Kind = Kind::new("kafka.acl");

/// What a step does on Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Upserts a SCRAM user with the app's password, and proves it.
    SetUser,
    /// Removes the credentials of a user's other mechanisms.
    RemoveCredentials,
    DeleteUser,
    CreateTopic,
    /// Adds partitions, sets or resets single configs.
    AlterTopic,
    DeleteTopic,
    /// Creates what is missing, then deletes what is too much.
    SetAcls,
    DeleteAcls,
}

pub fn user_address(name: &str) -> Address {
    Address::new(USER, name)
}

pub fn topic_address(name: &str) -> Address {
    Address::new(TOPIC, name)
}

pub fn acl_address(principal: &str) -> Address {
    Address::new(ACL, principal)
}
