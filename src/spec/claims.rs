//! What one app takes of the names that all apps share, and whom it lets in; for the cross-app checks.

use crate::core::name::AppName;
use crate::spec::names::Named;
use crate::spec::node::Located;
use crate::spec::source::Spot;
use std::collections::BTreeMap;

/// A name that only one app may have.
#[derive(Clone, Debug)]
pub struct Claim {
    pub named: Named,
    pub name: String,
    /// Where it is written; where the app says its name if it was derived.
    pub spot: Spot,
    /// For a derived name: the key to write another with, as `database under [services.postgres]`.
    pub derived: Option<String>,
}

/// What an app must have to be another's reader or writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    Postgres,
    Kv,
    Events,
}

impl Shared {
    pub fn title(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kv => "kv",
            Self::Events => "events",
        }
    }
}

/// Another app that is let in.
#[derive(Clone, Debug)]
pub struct Guest {
    pub app: Located<AppName>,
    pub to: Shared,
}

/// What a role that no infraspec declares is let in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Reader,
    Writer,
    /// It makes tables for the app.
    Migrator,
}

/// A role that no infraspec declares, which people look after.
#[derive(Clone, Debug)]
pub struct Outsider {
    pub role: Located<String>,
    pub part: Part,
}

/// Everything of one app that another could collide with.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub claims: Vec<Claim>,
    pub guests: Vec<Guest>,
    pub outsiders: Vec<Outsider>,
    /// Topics that no infraspec declares, which it reads.
    pub external: Vec<Located<String>>,
    /// Where it says that it makes topics under `<app>.` by itself, if it does.
    pub internal_topics: Option<Spot>,
    /// What it asks for in Valkey's databases, if it asks for any.
    pub kv: Option<KvPlaces>,
    /// One for each of its topics, in their order.
    pub topics: Vec<TopicPlaces>,
}

/// Where an app says what a topic shall be.
#[derive(Clone, Debug)]
pub struct TopicPlaces {
    pub name: Spot,
    pub partitions: Option<Spot>,
    pub replication: Option<Spot>,
    /// Of each config's value.
    pub config: BTreeMap<String, Spot>,
}

/// Where an app says what it asks for on Valkey that could reach what others have.
#[derive(Clone, Debug)]
pub struct KvPlaces {
    /// Of the database number; of the app's name where that is 0 without saying so.
    pub db: Spot,
    /// Of `shared = true`.
    pub shared: Option<Spot>,
    /// In canonical form, as are keys and channels.
    pub commands: Vec<Located<String>>,
    pub keys: Vec<Located<String>>,
    pub channels: Vec<Located<String>>,
}
