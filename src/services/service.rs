//! What every service can do, and what becomes of the steps that it is given.

use super::{Ask, Fingerprint, Model, Named, Observation, Progress, ServiceId, SignInAs, Step};
use crate::core::address::{Address, Kind};
use crate::core::change::{FieldChange, Resource, three_way};
use crate::core::consent::Consent;
use crate::core::step::StepId;
use crate::error::{Diagnostic, Place, Result};
use crate::secrets;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What became of a step.
#[derive(Debug)]
pub enum Outcome {
    Done {
        fingerprint: Option<Fingerprint>,
        /// The file that has what it destroyed.
        dump: Option<PathBuf>,
        /// What else is to be told of it.
        note: Option<String>,
    },
    /// It is gone wherever that could be done; somewhere it may still be, so that it stays ours.
    Remains {
        note: String,
    },
    /// The object was already as wanted.
    AlreadySo,
    /// The object is neither as planned nor as wanted.
    Stale {
        now: Option<Box<Model>>,
        /// From what was expected to what is there now; empty where there is nothing to compare.
        differs: Vec<FieldChange>,
    },
    /// It was not carried out, whatever the object is.
    Refused {
        why: String,
    },
    Failed {
        error: Diagnostic,
        retry: bool,
    },
    /// A step that it needs did not succeed.
    Skipped {
        because_of: StepId,
    },
}

impl Outcome {
    pub fn done() -> Self {
        Self::Done { fingerprint: None, dump: None, note: None }
    }

    pub fn failed(error: Diagnostic) -> Self {
        Self::Failed { error, retry: false }
    }

    /// Whether what depends on the step may go on.
    pub fn succeeded(&self) -> bool {
        match self {
            Self::Done { .. } | Self::Remains { .. } | Self::AlreadySo => true,
            Self::Stale { .. } | Self::Refused { .. } | Self::Failed { .. } | Self::Skipped { .. } => false,
        }
    }
}

/// Why a step failed, and whether trying again may help.
#[derive(Debug)]
pub struct Failure {
    pub error: Diagnostic,
    pub retry: bool,
}

impl From<Diagnostic> for Failure {
    fn from(error: Diagnostic) -> Self {
        Self { error, retry: false }
    }
}

#[cfg(feature = "failpoints")]
impl From<crate::boundary::Broken> for Diagnostic {
    fn from(broken: crate::boundary::Broken) -> Self {
        Self::new(crate::error::Kind::Service, broken.words()).hint("run it again").may_pass(broken.passes)
    }
}

#[cfg(feature = "failpoints")]
impl From<crate::boundary::Broken> for Failure {
    fn from(broken: crate::boundary::Broken) -> Self {
        Self { retry: broken.passes, error: broken.into() }
    }
}

impl From<Failure> for Diagnostic {
    fn from(Failure { error, retry }: Failure) -> Self {
        let may_pass = retry || error.may_pass;
        error.may_pass(may_pass)
    }
}

impl From<Failure> for Outcome {
    fn from(Failure { error, retry }: Failure) -> Self {
        Self::Failed { error, retry }
    }
}

/// How steps of one kind and action are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps in one call at most.
    pub batch: usize,
    /// Calls of this kind in flight at most.
    pub in_flight: usize,
}

/// What a step may ask for while it is carried out.
pub struct ApplyContext {
    /// Staged passwords are read here, and published from here.
    pub vault: std::sync::Arc<secrets::Vault>,
    /// What the user has consented to, for what shows only while a step is carried out: sessions that are in the way.
    pub consent: Consent,
    /// Where a service counts what it removes one by one.
    pub removed: Progress,
    /// Says that the run is to end: what takes long and changes nothing yet is broken off.
    pub stop: CancellationToken,
}

/// How safe from a restart of the server is what this process has written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As soon as it is written.
    AtOnce,
    /// It must be saved after writing; nothing was written yet.
    NothingWritten,
    /// Something was written and not saved.
    Unsaved,
    /// All of it was saved.
    Saved,
}

/// One line of `nornplan doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub verdict: Verdict,
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it may pass by itself: the service cannot be reached, or is still starting.
    pub may_pass: bool,
}

impl Check {
    pub fn good(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what: what.into(), hint: None, may_pass: false }
    }

    pub fn warning(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, what: what.into(), hint: Some(hint.into()), may_pass: false }
    }

    pub fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, what: what.into(), hint: Some(hint.into()), may_pass: false }
    }

    /// What stopped the looking over.
    pub fn failed(error: &Diagnostic) -> Self {
        let mut what = match &error.place {
            Some(Place::Server { object, .. }) if !object.is_empty() => format!("{object}: {}", error.message),
            Some(Place::Text { file, .. } | Place::File(file)) => format!("{}: {}", file.display(), error.message),
            Some(Place::Server { .. }) | None => error.message.clone(),
        };
        for cause in error.causes() {
            what = format!("{what}\ncaused by: {cause}");
        }
        Self { verdict: Verdict::Bad, what, hint: error.hint.clone(), may_pass: error.may_pass }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Warning,
    Bad,
    NotUsed,
}

/// A service that can be read and written.
#[async_trait]
pub trait Service: Send + Sync {
    fn id(&self) -> ServiceId;

    /// host:port, as people know it; no password in it.
    fn endpoint(&self) -> String;

    /// Reads everything that is asked for in few calls. What could not be read is an error, never absence.
    async fn observe(&self, ask: &Ask) -> Result<Observation>;

    /// Reads the managed fields of some objects again, right before they are written. Absent ones are left out.
    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>>;

    /// Which of these there are, by name alone: for things that may be renamed.
    async fn named(&self, _addresses: &BTreeSet<Address>) -> Result<BTreeMap<Address, Named>> {
        Ok(BTreeMap::new())
    }

    /// Signs in as apps were told to. One answer for each, in their order: why it is refused; `None` where it is not, or
    /// where nobody can tell from here.
    async fn refusals(&self, _sign_ins: &[SignInAs]) -> Result<Vec<Option<String>>> {
        Ok(Vec::new())
    }

    /// Carries out steps of one kind and action; one outcome for each, in their order.
    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome>;

    /// Which of the logins that these steps set have the password that an unfinished run has staged for them: the server did
    /// after its end what it had asked for. Where that cannot be found out it is not so.
    async fn with_staged_password(&self, _steps: &[&Step], _context: &ApplyContext) -> BTreeSet<Address> {
        BTreeSet::new()
    }

    /// What is left to do of a step that was begun and broke off, where what is there now is what it may have left. Asked
    /// only where the step was written already and what is there is neither end of it.
    fn rest_of(&self, _step: &Step, _now: Option<&Model>) -> Option<Step> {
        None
    }

    /// Whether what a step destroys goes only after the ways to it have gone, so that it is looked at before them.
    fn goes_last(&self, _step: &Step) -> bool {
        false
    }

    /// Which of such steps would be refused as things are, though what is there is as planned.
    async fn foresee(&self, _steps: &[&Step]) -> Vec<(StepId, Outcome)> {
        Vec::new()
    }

    fn limits(&self, kind: &Kind) -> Limits;

    /// In which fields an object is not as it was expected, beside them in words where their values are hard to read.
    async fn differences(&self, expected: &Model, now: &Model) -> Vec<FieldChange> {
        three_way(&now.fields(), &expected.fields(), None).changes
    }

    /// Whether what was written would outlive a restart of the server. Where that takes a call of its own, the executor
    /// notes in the state what may be lost, before anything is written.
    fn durability(&self) -> Durability {
        Durability::AtOnce
    }

    /// Removes what a killed run has left on the server and no state knows of: what is to be told of it.
    async fn tidy(&self) -> Vec<String> {
        Vec::new()
    }

    /// Looks the server over: reachable, version, rights on what is asked for, what isolates, persistence.
    async fn examine(&self, ask: &Ask) -> Vec<Check>;
}
