//! What is asked of a service, what it answers, and what a differ decides from.

use super::{Decision, Model, Op, Progress, ServiceId, Step};
use crate::core::address::{Address, Kind};
use crate::core::name::{AppName, stands_for};
use crate::core::nodes::Nodes;
use crate::core::plan::{Notice, ServiceHead};
use crate::core::reconcile::{Applied, Wanted};
use crate::core::secret::Secret;
use crate::core::step::{Action, Part, Reason, Risk, StepId};
use crate::error::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a login's password, and never the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// The published password is the one that the server has.
    Verified,
    /// An unfinished run staged a password; whether the server has it is the next run's business.
    Staged,
    /// The published password does not sign in.
    Wrong,
    /// Nothing is published.
    Absent,
}

/// What is worth telling of something that is there: sizes in bytes, counts, whose it is.
pub type Facts = BTreeMap<String, Value>;

/// A resource as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub model: Model,
    /// Of logins whose password we generate.
    pub credential: Option<CredentialStatus>,
    /// What is worth telling and is not managed: sizes in bytes, counts of sessions or messages.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
}

impl Observed {
    pub fn plain(model: Model) -> Self {
        Self { model, credential: None, facts: BTreeMap::new() }
    }
}

/// What is known of a thing that may be renamed by its name alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// What tells it from another that has the name at another time.
    pub identity: String,
    /// Who is using it.
    pub users: Vec<String>,
    /// Whether the server throws its password away when it renames it; `None` if that cannot be known.
    pub loses_password: Option<bool>,
}

/// One service as it was read: whole, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub endpoint: String,
    pub identity: Option<String>,
    pub version: Option<String>,
    /// What the server is, as far as rules depend on it (a service's own form).
    #[serde(default)]
    pub server: Value,
    /// Every resource that was asked for and exists.
    pub resources: BTreeMap<Address, Observed>,
    /// What was asked for and could be read in part at most, and why: it is not told whether it is as it should be.
    #[serde(default)]
    pub unread: BTreeMap<Address, String>,
    /// Of a service that may be several servers.
    #[serde(default)]
    pub nodes: Nodes,
    /// What exists beside what is known, where that was asked for. What is the service's own is among it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unmanaged: BTreeMap<Address, Facts>,
    pub notices: Vec<Notice>,
}

impl Observation {
    /// What exists, by address.
    pub fn models(&self) -> BTreeMap<Address, Model> {
        self.resources.iter().map(|(address, observed)| (address.clone(), observed.model.clone())).collect()
    }

    /// The service as a report's head names it.
    pub fn head(&self) -> ServiceHead {
        ServiceHead {
            endpoint: self.endpoint.clone(),
            identity: self.identity.clone(),
            version: self.version.clone(),
            nodes: self.nodes.clone(),
        }
    }
}

/// sha256 (hex) of a generated password and of what the server stores for it. Harmless: the password has 190 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub password: String,
    /// What the server stores (a verifier's sha256; for Kafka the mechanism and iterations).
    pub stored: Option<String>,
}

/// What a service needs to prove that a login's password is the published one.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    pub published: Option<Secret>,
    pub staged: Option<Secret>,
    pub fingerprint: Option<Fingerprint>,
    /// sha256 (hex) of the password that a rotation replaced, if that did not get so far as to remove it.
    pub former: Option<String>,
    /// Whether the password is published with another login's name. It may be this one's too: a login that is made takes
    /// the password that its app has already.
    pub names_another: bool,
}

impl Proof {
    /// The passwords that nornplan has given out, or is about to.
    pub fn ours(&self) -> impl Iterator<Item = &Secret> {
        self.published.iter().chain(&self.staged)
    }

    /// The password to set now: the staged one, else the published one.
    ///
    /// # Errors
    /// There is neither.
    pub fn to_set(self, app: &AppName, service: ServiceId) -> Result<Secret, Diagnostic> {
        self.staged.or(self.published).ok_or_else(|| {
            Diagnostic::new(
                crate::error::Kind::Secrets,
                format!("no password is staged or published for {app} on {service}"),
            )
            .hint("run `nornplan plan` again: it stages one before it is set")
        })
    }

    /// What follows from having tried it: nobody knows the password of a login if what is published is another's.
    pub fn judge(&self, status: Option<CredentialStatus>) -> Option<CredentialStatus> {
        match status {
            None | Some(CredentialStatus::Wrong) if self.names_another => Some(CredentialStatus::Absent),
            status => status,
        }
    }

    /// The published password, if trying it says anything; else what is known without.
    ///
    /// # Errors
    /// A password is staged, or none is published.
    pub fn to_try(&self) -> Result<&Secret, CredentialStatus> {
        if self.staged.is_some() {
            return Err(CredentialStatus::Staged);
        }
        self.published.as_ref().ok_or(CredentialStatus::Absent)
    }
}

/// How an app was told to sign in to a database.
#[derive(Clone, Debug)]
pub struct SignInAs {
    pub user: String,
    pub password: Secret,
    pub database: String,
}

/// What is asked of a service's observation.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub wanted: BTreeMap<Address, Wanted<Model>>,
    pub applied: BTreeMap<Address, Applied<Model>>,
    /// One for each login in `wanted` whose password is generated.
    pub proofs: BTreeMap<Address, Proof>,
    /// Names of logins that are somebody's, in this run's scope or not: of what infraspecs declare and the state owns, and
    /// those that the workspace keeps for itself, which may be patterns.
    pub known: BTreeSet<String>,
    /// Whether an earlier run ended between writing here and saving what it had written.
    pub unsaved: bool,
    /// Nodes of the service that earlier runs met.
    pub nodes: BTreeSet<String>,
    /// Those of them that were absent when something was last written to the others.
    pub away: BTreeSet<String>,
    /// Leave out what costs a connection per database.
    pub shallow: bool,
    /// Sign in with every password, even where a fingerprint says that it is right.
    pub probe_credentials: bool,
    /// Whether to list what exists beside these; `None` is no.
    pub unmanaged: Option<BTreeSet<Address>>,
    /// Where the service counts what it reads one by one.
    pub progress: Progress,
}

impl Ask {
    /// Whether a login is somebody's. Names that the workspace keeps for itself may end in `*`.
    pub fn knows(&self, login: &str) -> bool {
        self.known.contains(login) || self.known.iter().any(|entry| stands_for(entry, login))
    }

    /// All addresses that are wanted or ours.
    pub fn addresses(&self) -> BTreeSet<&Address> {
        self.wanted.keys().chain(self.applied.keys()).collect()
    }

    /// Names of one kind that are wanted or ours.
    pub fn names(&self, kind: &Kind) -> BTreeSet<&str> {
        self.addresses()
            .into_iter()
            .filter(|address| address.kind == *kind)
            .map(|address| address.name.as_str())
            .collect()
    }
}

/// What a service's differ decides from.
#[derive(Clone, Copy, Debug)]
pub struct DiffInput<'a> {
    pub wanted: &'a BTreeMap<Address, Wanted<Model>>,
    pub applied: &'a BTreeMap<Address, Applied<Model>>,
    pub observation: &'a Observation,
    /// Apps whose credentials on this service the user asked to rotate.
    pub rotate: &'a BTreeSet<AppName>,
    /// Logins (by step) of each app whose password this plan sets; only filled in for secrets, which come last.
    pub credentials: &'a BTreeMap<AppName, BTreeSet<StepId>>,
}

impl DiffInput<'_> {
    /// Why a login that exists needs a (new) password, if it does. One that another app has until now needs one in any
    /// case: that app knows the present one.
    pub fn rotation_reason(
        &self,
        address: &Address,
        wanted: &Wanted<Model>,
        status: Option<CredentialStatus>,
    ) -> Option<Reason> {
        let moves = self.applied.get(address).is_some_and(|last| last.app != wanted.app);
        if moves { Some(Reason::FromAnotherApp) } else { rotation_reason(status, self.rotate.contains(&wanted.app)) }
    }

    /// Whether somebody else may know the password that a login has now: it was not proved to be the one that is published
    /// for its app, or another app has the login until now.
    pub fn may_be_known_elsewhere(&self, login: &Address) -> bool {
        let there = self.observation.resources.get(login);
        let apps = self.applied.get(login).zip(self.wanted.get(login));
        let moves = apps.is_some_and(|(last, wanted)| last.app != wanted.app);
        there.is_some_and(|there| moves || there.credential != Some(CredentialStatus::Verified))
    }
}

/// Why a login that exists needs a (new) password, if it does.
fn rotation_reason(status: Option<CredentialStatus>, asked: bool) -> Option<Reason> {
    match status {
        Some(CredentialStatus::Staged) => Some(Reason::UnfinishedRun),
        _ if asked => Some(Reason::AskedFor),
        Some(CredentialStatus::Wrong) => Some(Reason::CredentialWrong),
        Some(CredentialStatus::Absent) => Some(Reason::CredentialUnknown),
        Some(CredentialStatus::Verified) | None => None,
    }
}

/// The step that sets a new password on a login that exists.
pub fn rotation(address: &Address, wanted: &Wanted<Model>, there: &Model, reason: Reason, op: Op) -> Step {
    let decision = Decision {
        address: address.clone(),
        app: wanted.app.clone(),
        action: Action::Rotate,
        reasons: BTreeSet::from([reason]),
        changes: Vec::new(),
        notes: Vec::new(),
        before: Some(there.clone()),
        after: Some(wanted.model.clone()),
    };
    Step {
        part: Part::Credential,
        risks: BTreeSet::from([Risk::Interrupts]),
        sets_credential: true,
        ..decision.step(op)
    }
}
