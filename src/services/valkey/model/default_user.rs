//! The user `default`: whoever has not signed in is that, and so is who gives a password without a name.

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A kind of its own, so that no app's user can ever have the address.
pub const DEFAULT_USER: Kind = Kind::new("valkey.default_user");

/// What the workspace file wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody signs in as it. Its passwords and rules stay, so that it can be switched on again.
    Off,
    /// It is on, and the password that nornplan signs in with is the only one.
    AdminOnly,
}

/// With what one signs in as it, while it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepts {
    /// With any password, and with none.
    Anything,
    /// With the password that nornplan signs in with, and no other.
    AdminPassword,
    /// With other passwords, or with others too.
    OtherPasswords,
    /// It has no password, and needs one.
    NoPassword,
}

/// The user `default`, as far as it is managed: what it may do is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefaultUser {
    /// Declared only; `None` in what is observed.
    #[serde(default)]
    pub mode: Option<Mode>,
    pub enabled: bool,
    /// `None` where it is of no interest: the user is to be off.
    #[serde(default)]
    pub accepts: Option<Accepts>,
    /// Nodes on which it is not as declared, where it is on others; none is wanted.
    #[serde(default)]
    pub uneven_nodes: BTreeSet<String>,
}

impl DefaultUser {
    pub fn declared(mode: Mode) -> Self {
        let (enabled, accepts) = match mode {
            Mode::Off => (false, None),
            Mode::AdminOnly => (true, Some(Accepts::AdminPassword)),
        };
        Self { mode: Some(mode), enabled, accepts, uneven_nodes: BTreeSet::new() }
    }
}

impl Resource for DefaultUser {
    fn fields(&self) -> Vec<Field> {
        let Self { mode, enabled, accepts, uneven_nodes } = self;
        vec![
            Field::maybe("mode", mode.as_ref()),
            Field::new("enabled", enabled),
            Field::maybe("accepts", accepts.as_ref()),
            Field::new("uneven_nodes", uneven_nodes),
        ]
    }
}

/// Who uses the user `default`, as one plan must know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsedBy {
    /// The user that nornplan signs in as.
    pub admin: String,
    /// Whether nornplan has a password to sign in with.
    pub admin_has_password: bool,
    /// Connections of clients that are it, ours left out.
    pub clients: usize,
    /// The hosts that they come from.
    pub hosts: BTreeSet<String>,
    /// Nodes that do not say who is connected.
    pub clients_unknown: BTreeSet<String>,
    /// Nodes that are watched by a sentinel that signs in as it.
    pub watched: BTreeSet<String>,
    /// How many nodes there are.
    pub nodes: usize,
    /// Nodes that sign in as it when they are replicas (`masteruser`). Empty where there is one node.
    pub replicating: BTreeSet<String>,
    /// Those of them whose `masterauth` is not the password that nornplan signs in with.
    pub with_another_password: BTreeSet<String>,
    /// Nodes that do not say how they sign in when they are replicas.
    pub replication_unknown: BTreeSet<String>,
}

pub fn default_user_address() -> Address {
    Address::new(DEFAULT_USER, "default")
}
