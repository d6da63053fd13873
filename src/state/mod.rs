//! What is ours and what was last applied.

pub mod durable;

use crate::core::address::Address;
use crate::core::name::AppName;
use crate::services::{Fingerprint, Model};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the document's form.
pub const FORMAT_VERSION: u32 = 1;

/// How a resource became ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Created,
    Adopted,
}

/// One resource that is ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub app: AppName,
    pub origin: Origin,
    /// Declared and expanded form, as last applied.
    pub applied: Model,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
}

/// The whole state of one environment. Sorted, readable, no secret in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub format_version: u32,
    /// Made once; tells this state from every other.
    pub lineage: String,
    /// Grows with every write.
    pub serial: u64,
    pub environment: String,
    /// Identity of each server that was written to.
    pub servers: BTreeMap<String, String>,
    pub resources: BTreeMap<Address, Entry>,
}

/// One completed step, as a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The resource is ours and was applied so. A missing fingerprint leaves the one that is there.
    Applied { address: Address, app: AppName, origin: Origin, model: Box<Model>, fingerprint: Option<Fingerprint> },
    /// A password was set and proved.
    Credential { address: Address, fingerprint: Fingerprint },
    /// The resource is not ours any more.
    Gone { address: Address },
    /// A server was met.
    Server { service: String, identity: String },
}
