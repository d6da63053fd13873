//! The plan: what the whole program turns around. Made once, shown, saved, carried out. In between only
//! consent changes it, which releases held steps.

use super::address::Address;
use super::name::AppName;
use super::nodes::Nodes;
use super::step::{Action, Part, Step};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the form in which plans are saved. It grows when a reader of the old form could misread the new one.
pub const FORMAT_VERSION: u32 = 2;

/// A service as the plan's head names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceHead {
    /// host:port as nornplan reaches it.
    pub endpoint: String,
    /// What tells this server from every other: system identifier, cluster id, address.
    pub identity: Option<String>,
    /// Product and version, for people.
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Nodes::is_one")]
    pub nodes: Nodes,
}

/// How loudly a notice is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A server that isolates nothing.
    Alarm,
    Warning,
    Note,
}

/// Something to know that is no step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notice {
    pub level: Level,
    /// A service or an app.
    pub about: String,
    pub text: String,
}

/// A plan. The same inputs make the same plan, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan<M, O> {
    pub format_version: u32,
    /// The version of nornplan that made it.
    pub tool_version: String,
    pub environment: String,
    /// Settings that tell its workspace from others and are the same wherever that is checked out, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workspace: BTreeMap<String, String>,
    pub services: BTreeMap<String, ServiceHead>,
    /// Digest (sha256, hex) of each app's resolved infraspec.
    pub apps: BTreeMap<AppName, String>,
    /// Of which apps in scope the infraspec says otherwise of `prevent_destroy` than the state, and whether it does: noted
    /// when the plan is carried out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prevent_destroy: BTreeMap<AppName, bool>,
    /// `--app` and `--service`, if the run was narrowed.
    pub narrowed_to: Vec<String>,
    /// In an order in which they can be carried out one after another.
    pub steps: Vec<Step<M, O>>,
    /// How many resources the infraspecs in scope declare on services that could be read.
    pub declared: usize,
    /// How many of them lie where nobody could look, so that it is not told whether they match.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unread: usize,
    pub notices: Vec<Notice>,
    /// Whether so much goes that only the word `all` is consent to that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub takes_all: bool,
    /// Why the plan is incomplete: one line for each service that could not be read. Empty if it is whole.
    pub incomplete: Vec<String>,
    /// Whose in the state each resource was that a step is about; those that were nobody's are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<Address, AppName>,
    /// Lineage of the state that it was made from; `None` if there was no state yet: the plan founds one.
    pub lineage: Option<String>,
    /// Serial of that state.
    pub serial: u64,
}

/// Whether a count is of nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How many resources each action touches.
pub type Counts = BTreeMap<Action, usize>;

impl<M, O> Plan<M, O> {
    /// Steps that an apply would carry out.
    pub fn runnable(&self) -> impl Iterator<Item = &Step<M, O>> {
        self.steps.iter().filter(|step| step.runs())
    }

    /// Whether everything that it is about could be read: every service, and every node of it.
    pub fn is_whole(&self) -> bool {
        self.incomplete.is_empty() && self.services.values().all(|service| service.nodes.absent.is_empty())
    }

    pub fn held(&self) -> impl Iterator<Item = &Step<M, O>> {
        self.steps.iter().filter(|step| !step.runs())
    }

    /// Resources by action, of the steps that would run; a resource with several steps of one action counts once.
    pub fn counts(&self) -> Counts {
        let mut seen: BTreeSet<(&Address, Action)> = BTreeSet::new();
        // Staging alone does nothing to a secret: its publishing counts.
        let counted = self.runnable().filter(|step| step.part != Part::Stage);
        seen.extend(counted.map(|step| (&step.address, step.action)));
        let mut counts = Counts::new();
        for (_, action) in seen {
            *counts.entry(action).or_default() += 1;
        }
        counts
    }

    /// Whether carrying it out would change nothing, not even what the state knows of `prevent_destroy`.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.prevent_destroy.is_empty()
    }

    /// The last line of the text, exactly as scripts may look for it.
    pub fn verdict(&self) -> String {
        if self.is_empty() && !self.incomplete.is_empty() {
            return "Incomplete: no changes in what could be read.".to_owned();
        }
        if self.is_empty() {
            let matching = self.declared.saturating_sub(self.unread);
            let (resources, them) = if matching == 1 {
                ("resource matches", "its infraspec")
            } else {
                ("resources match", "their infraspecs")
            };
            let unread = match self.unread {
                0 => String::new(),
                unread => format!("; {unread} could not be looked into"),
            };
            return format!("No changes. {matching} {resources} {them}{unread}.");
        }
        let counts = self.counts();
        let of = |action| counts.get(&action).copied().unwrap_or_default();
        let mut line = format!(
            "Plan: {} to create, {} to update, {} to destroy",
            of(Action::Create),
            of(Action::Update),
            of(Action::Destroy)
        );
        for action in [Action::Adopt, Action::Rename, Action::Replace, Action::Rotate, Action::Forget, Action::Record] {
            if of(action) > 0 {
                line.push_str(&format!(", {} to {action}", of(action)));
            }
        }
        line.push('.');
        line
    }
}
