//! The state of one environment as a value: what is in it, and how a completed step changes it. Pure.

use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Applied;
use crate::error::{Diagnostic, Kind, Result};
use crate::secrets::model::SECRET;
use crate::services::{Fingerprint, Model, Renaming, ServiceId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// sha256 (hex) of the password before that of the fingerprint, until the login is known to have lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
}

/// The whole state of one environment. Sorted, readable, no secret in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub format_version: u32,
    /// Made once; tells this state from every other.
    pub lineage: String,
    /// Grows with every write; 0 was never written.
    pub serial: u64,
    pub environment: String,
    /// Identity of each server that was written to.
    pub servers: BTreeMap<String, String>,
    /// Apps whose infraspec said `prevent_destroy` when it was last applied.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub prevent_destroy: BTreeSet<AppName>,
    /// Services on which something was written and not saved yet: a restart of the server would lose it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unsaved: BTreeSet<String>,
    /// The nodes of each service that is more than one server, as runs that applied something met them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, BTreeSet<String>>,
    /// Nodes that were absent when something was last written to the others, and have it not yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub away: BTreeMap<String, BTreeSet<String>>,
    /// The last saved plans that were carried out, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<Carried>,
    /// Renames that a run was about to make, by the new name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renaming: BTreeMap<Address, BegunRename>,
    /// The serial at which a saved plan was last forgotten: of one that was made before it, nobody knows whether it was
    /// carried out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forgot_plans_at: u64,
    pub resources: BTreeMap<Address, Entry>,
}

/// What a run was about to rename: where the very same is there under the new name, it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunRename {
    pub from: Address,
    /// What tells it from another that has the name.
    pub identity: String,
}

/// How far a saved plan was carried out, so that carrying it out again does nothing twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// sha256 (hex) of the plan as it was saved.
    pub plan: String,
    /// Whether all of its steps are done; they are then not listed.
    #[serde(default)]
    pub whole: bool,
    /// The steps that are done.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<String>,
    /// Steps that were begun and are not known to be done: what they left is this plan's own work.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub begun: BTreeSet<String>,
}

impl Carried {
    fn new(plan: String) -> Self {
        Self { plan, whole: false, steps: BTreeSet::new(), begun: BTreeSet::new() }
    }
}

/// So many saved plans are remembered.
const CARRIED: usize = 16;

/// One completed step, as a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The resource is ours and was applied so. A missing fingerprint leaves the one that is there.
    Applied { address: Address, app: AppName, origin: Origin, model: Box<Model>, fingerprint: Option<Fingerprint> },
    /// A password was set and proved.
    Credential { address: Address, fingerprint: Fingerprint },
    /// It is about to get another name.
    Renaming { from: Address, to: Address, identity: String },
    /// It has another name from now on, and so has it wherever else it is named.
    Renamed { from: Address, to: Address },
    /// The resource is not ours any more.
    Gone { address: Address },
    /// A server was met.
    Server { service: String, identity: String },
    /// An infraspec was applied that says `prevent_destroy`, or does not.
    PreventDestroy { app: AppName, says: bool },
    /// A service is about to be written to that saves apart from writing.
    Unsaved { service: String },
    /// All that was written to a service is saved.
    Saved { service: String },
    /// These are the nodes of a service, and no others.
    Nodes { service: String, nodes: BTreeSet<String> },
    /// These nodes of a service miss what was written, and no others.
    Away { service: String, nodes: BTreeSet<String> },
    /// Steps of a saved plan are about to be carried out.
    Begun { plan: String, steps: BTreeSet<String> },
    /// Nothing was written for these steps of a saved plan, though they were begun.
    Untouched { plan: String, steps: BTreeSet<String> },
    /// A step of a saved plan was carried out.
    Carried { plan: String, step: String },
    /// Every step of a saved plan was carried out.
    CarriedOut { plan: String },
}

impl Document {
    /// A state with nothing in it.
    pub fn new(environment: impl Into<String>, lineage: impl Into<String>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            lineage: lineage.into(),
            serial: 0,
            environment: environment.into(),
            servers: BTreeMap::new(),
            prevent_destroy: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            nodes: BTreeMap::new(),
            away: BTreeMap::new(),
            carried: Vec::new(),
            renaming: BTreeMap::new(),
            forgot_plans_at: 0,
            resources: BTreeMap::new(),
        }
    }

    /// Notes a completed step. Folding the same events again changes nothing.
    pub fn fold(&mut self, event: Event) {
        match event {
            Event::Applied { address, app, origin, model, fingerprint } => {
                let before = self.resources.remove(&address);
                let fingerprint = fingerprint.or(before.and_then(|entry| entry.fingerprint));
                self.resources.insert(address, Entry { app, origin, applied: *model, fingerprint, former: None });
            }
            Event::Credential { address, fingerprint } => {
                if let Some(entry) = self.resources.get_mut(&address) {
                    let before = entry.fingerprint.replace(fingerprint.clone()).map(|before| before.password);
                    let is_kept =
                        entry.applied.may_keep_former_password() && before.as_ref() != Some(&fingerprint.password);
                    entry.former = if is_kept { before } else { entry.former.take() };
                }
            }
            Event::Renaming { from, to, identity } => {
                self.renaming.insert(to, BegunRename { from, identity });
            }
            Event::Renamed { from, to } => {
                self.renaming.remove(&to);
                self.rename(&Renaming::of([(&from, &to)]));
            }
            Event::Gone { address } => {
                self.resources.remove(&address);
            }
            Event::Server { service, identity } => {
                self.servers.insert(service, identity);
            }
            Event::PreventDestroy { app, says: true } => {
                self.prevent_destroy.insert(app);
            }
            Event::PreventDestroy { app, says: false } => {
                self.prevent_destroy.remove(&app);
            }
            Event::Unsaved { service } => {
                self.unsaved.insert(service);
            }
            Event::Saved { service } => {
                self.unsaved.remove(&service);
            }
            Event::Nodes { service, nodes } => replace(&mut self.nodes, service, nodes),
            Event::Away { service, nodes } => replace(&mut self.away, service, nodes),
            // Once it was whole, all of them were done.
            Event::Begun { plan, steps } => self.carry(plan, |carried| {
                let is_open = |step: &String| !carried.whole && !carried.steps.contains(step);
                carried.begun.extend(steps.into_iter().filter(is_open));
            }),
            Event::Untouched { plan, steps } => {
                self.carry(plan, |carried| carried.begun.retain(|step| !steps.contains(step)));
            }
            Event::Carried { plan, step } => self.carry(plan, |carried| {
                carried.begun.remove(&step);
                carried.steps.extend(Some(step).filter(|_| !carried.whole));
            }),
            Event::CarriedOut { plan } => {
                self.carry(plan, |carried| *carried = Carried { whole: true, ..Carried::new(carried.plan.clone()) });
            }
        }
    }

    /// Notes how far a plan was carried out, which is the newest of them from then on.
    fn carry(&mut self, plan: String, note: impl FnOnce(&mut Carried)) {
        let at = self.carried.iter().position(|carried| carried.plan == plan);
        let carried = at.map(|at| self.carried.remove(at));
        let mut carried = carried.unwrap_or_else(|| Carried::new(plan));
        note(&mut carried);
        self.carried.push(carried);
        let forgotten = self.carried.len().saturating_sub(CARRIED);
        if forgotten > 0 {
            self.carried.drain(..forgotten);
            self.forgot_plans_at = self.serial;
        }
    }

    /// The serial that the next write gives it. A database takes no larger ones than this allows.
    ///
    /// # Errors
    /// There is none: the document was made by hand.
    pub fn next_serial(&self) -> Result<u64> {
        let next = self.serial.checked_add(1).filter(|next| i64::try_from(*next).is_ok());
        next.ok_or_else(|| {
            let message =
                format!("the serial of the state, {}, is as large as none that was ever counted up to", self.serial);
            Diagnostic::new(Kind::State, message)
                .hint("give the document a smaller one, not below that of its backup. Nothing was written")
        })
    }

    /// Whether it was never written and has nothing in it.
    pub fn is_new(&self) -> bool {
        *self == Self::new(&self.environment, &self.lineage)
    }

    /// Calls things by other names.
    pub fn rename(&mut self, renaming: &Renaming) {
        self.resources =
            renaming.all(std::mem::take(&mut self.resources), |entry| (Some(&mut entry.app), &mut entry.applied));
        let prevents = std::mem::take(&mut self.prevent_destroy).into_iter();
        self.prevent_destroy = prevents
            .map(|mut app| {
                renaming.app(&mut app);
                app
            })
            .collect();
    }

    /// The same, with other names.
    #[must_use]
    pub fn renamed(&self, renaming: &Renaming) -> Self {
        let mut renamed = self.clone();
        renamed.rename(renaming);
        renamed
    }

    /// Whether anything is an app's.
    pub fn has_app(&self, app: &str) -> bool {
        self.resources.values().any(|entry| entry.app.as_str() == app)
    }

    /// Apps of which there is something to keep: a login's password alone, published for an app whose all else is gone or
    /// has another owner, is nothing.
    pub fn keepers(&self) -> BTreeSet<&AppName> {
        let beside_secrets = self.resources.iter().filter(|(address, _)| address.kind != SECRET);
        beside_secrets.map(|(_, entry)| &entry.app).collect()
    }

    /// Forgets what was said of apps of which there is nothing to keep. For the end of a run: within one, an app's only
    /// resource may be gone for a moment.
    pub fn tidy(&mut self) {
        let keepers: BTreeSet<AppName> = self.keepers().into_iter().cloned().collect();
        self.prevent_destroy.retain(|app| keepers.contains(app));
    }

    /// Whether secrets were published from this state.
    pub fn has_published(&self) -> bool {
        self.resources.keys().any(|address| address.service() == ServiceId::Secrets.as_str())
    }

    /// Whether secrets of some apps were published from this state: two checkouts that share it may have a sink each.
    pub fn has_published_of(&self, has: impl Fn(&AppName) -> bool) -> bool {
        let published =
            |(address, entry): (&Address, &Entry)| address.service() == ServiceId::Secrets.as_str() && has(&entry.app);
        self.resources.iter().any(published)
    }

    /// What is ours, as it was last applied.
    pub fn applied(&self) -> BTreeMap<Address, Applied<Model>> {
        let applied = |entry: &Entry| Applied { app: entry.app.clone(), model: entry.applied.clone() };
        self.resources.iter().map(|(address, entry)| (address.clone(), applied(entry))).collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A set without anything in it is none.
fn replace(sets: &mut BTreeMap<String, BTreeSet<String>>, of: String, set: BTreeSet<String>) {
    if set.is_empty() {
        sets.remove(&of);
    } else {
        sets.insert(of, set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::model::{Published, secret_address};
    use crate::services::valkey::model::{User, user_address};

    fn applied(app: &str, fingerprint: Option<&str>) -> Event {
        Event::Applied {
            address: secret_address(app),
            app: AppName::new(app).unwrap(),
            origin: Origin::Created,
            model: Box::new(Model::Secret(Published { values: BTreeMap::new() })),
            fingerprint: fingerprint.map(|text| Fingerprint { password: text.to_owned(), stored: None }),
        }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn folding_twice_is_folding_once() {
        let events = [
            applied("a", None),
            applied("b", Some("1")),
            Event::Credential {
                address: secret_address("a"),
                fingerprint: Fingerprint { password: "2".to_owned(), stored: None },
            },
            Event::Gone { address: secret_address("b") },
            Event::Server { service: "postgres".to_owned(), identity: "7".to_owned() },
            Event::PreventDestroy { app: AppName::new("a").unwrap(), says: true },
            Event::PreventDestroy { app: AppName::new("b").unwrap(), says: true },
            Event::PreventDestroy { app: AppName::new("a").unwrap(), says: false },
            Event::Unsaved { service: "valkey".to_owned() },
            Event::Unsaved { service: "other".to_owned() },
            Event::Saved { service: "valkey".to_owned() },
            Event::Nodes { service: "valkey".to_owned(), nodes: names(&["a", "b"]) },
            Event::Nodes { service: "valkey".to_owned(), nodes: names(&["b", "c"]) },
            Event::Away { service: "valkey".to_owned(), nodes: names(&["c"]) },
            Event::Away { service: "valkey".to_owned(), nodes: names(&[]) },
            Event::Begun { plan: "p".to_owned(), steps: names(&["one", "two", "three"]) },
            Event::Carried { plan: "p".to_owned(), step: "one".to_owned() },
            Event::Untouched { plan: "p".to_owned(), steps: names(&["two"]) },
            Event::Carried { plan: "q".to_owned(), step: "one".to_owned() },
            Event::CarriedOut { plan: "q".to_owned() },
        ];
        let mut once = Document::new("default", "l");
        events.iter().cloned().for_each(|event| once.fold(event));
        let mut twice = once.clone();
        events.into_iter().for_each(|event| twice.fold(event));
        assert_eq!(once, twice);
        assert_eq!(once.resources.len(), 1);
        assert!(once.has_published());
        assert_eq!(once.prevent_destroy, BTreeSet::from([AppName::new("b").unwrap()]));
        assert_eq!(once.unsaved, BTreeSet::from(["other".to_owned()]));
        assert_eq!(once.nodes, BTreeMap::from([("valkey".to_owned(), names(&["b", "c"]))]));
        assert!(once.away.is_empty());
        assert_eq!(once.carried[0].begun, names(&["three"]), "begun, and neither done nor untouched");
        once.tidy();
        assert!(once.prevent_destroy.is_empty(), "nothing of b is ours");
    }

    #[test]
    fn a_state_of_before_prevent_destroy_and_nodes_were_remembered_loads_and_stays_as_it_is() {
        let text =
            r#"{"format_version":1,"lineage":"l","serial":3,"environment":"default","servers":{},"resources":{}}"#;
        let document: Document = serde_json::from_str(text).unwrap();
        assert!(document.prevent_destroy.is_empty() && document.unsaved.is_empty());
        assert!(document.nodes.is_empty() && document.away.is_empty());
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
    }

    #[test]
    fn a_former_password_is_known_until_the_login_has_lost_it() {
        let address = user_address("a");
        let fingerprint = |text: &str| Fingerprint { password: text.to_owned(), stored: None };
        let set = |text: &str| Event::Credential { address: address.clone(), fingerprint: fingerprint(text) };
        let model = || Box::new(Model::ValkeyUser(User::new("a")));
        let made = |fingerprint| Event::Applied {
            address: address.clone(),
            app: AppName::new("a").unwrap(),
            origin: Origin::Created,
            model: model(),
            fingerprint,
        };
        let mut document = Document::new("default", "l");
        let mut former = |event: Event| {
            document.fold(event.clone());
            let once = document.clone();
            document.fold(event);
            assert_eq!(document, once);
            document.resources[&address].former.clone()
        };
        assert_eq!(former(made(Some(fingerprint("1")))), None);
        assert_eq!(former(set("2")).as_deref(), Some("1"));
        // The same once more, as a run that is repeated sets it.
        assert_eq!(former(set("2")).as_deref(), Some("1"));
        assert_eq!(former(made(None)), None);
    }

    #[test]
    fn a_missing_fingerprint_leaves_the_one_that_is_there() {
        let mut document = Document::new("default", "l");
        document.fold(applied("a", Some("1")));
        document.fold(applied("a", None));
        let kept = document.resources[&secret_address("a")].fingerprint.clone();
        assert_eq!(kept.unwrap().password, "1");
    }
}
