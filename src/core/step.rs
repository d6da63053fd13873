//! Steps: what an apply carries out, one call or statement group each.

use super::address::Address;
use super::change::FieldChange;
use super::name::AppName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What is done to a resource, as the user reads it. Several steps may carry out one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    Replace,
    Destroy,
    /// Take under management what exists and matches; writes only the state.
    Adopt,
    /// Strike from the state what is gone; writes only the state.
    Forget,
    /// Set a new credential.
    Rotate,
    /// Note in the state what has already become so; writes only the state.
    Record,
    /// Give another name to what stays as it is, or make a login anew under another name with all that it had.
    Rename,
}

impl Action {
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Update,
        Self::Destroy,
        Self::Adopt,
        Self::Rename,
        Self::Replace,
        Self::Rotate,
        Self::Forget,
        Self::Record,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Destroy => "destroy",
            Self::Adopt => "adopt",
            Self::Forget => "forget",
            Self::Rotate => "rotate",
            Self::Record => "record",
            Self::Rename => "rename",
        }
    }

    /// Whether nothing but the state is written.
    pub fn only_state(self) -> bool {
        match self {
            Self::Adopt | Self::Forget | Self::Record => true,
            Self::Create | Self::Update | Self::Replace | Self::Destroy | Self::Rotate | Self::Rename => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an action is in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An infraspec declares it and it does not exist.
    Declared,
    ChangedInSpec,
    Drifted,
    /// It was ours and is gone from the service.
    Vanished,
    RulesChanged,
    /// It exists and is declared, but no state says that it is ours.
    NotOursYet,
    /// No infraspec declares it any more.
    NoLongerDeclared,
    /// The sink has no password for it.
    CredentialUnknown,
    /// The password in the sink does not sign in.
    CredentialWrong,
    /// An earlier run staged a password and did not finish.
    UnfinishedRun,
    /// A rotation that the user asked for.
    AskedFor,
    /// The app's published values must be written.
    Publishes,
    /// The app signs in as another role from now on, which gets what the former one owns.
    HandsOver,
    /// What the app is told to use from now on is empty, and what it has until now lies elsewhere.
    StartsEmpty,
    /// The state says that it belongs to another app, which did not give it away by being asked.
    FromAnotherApp,
    /// The server has it, and would not have it any more after a restart.
    NotSaved,
    /// A login is made anew, and gets the password that its app has.
    SetAgain,
    /// It opens what is another app's until now.
    TakesOver,
    /// A node of the server was away when it was last applied, and is back.
    WasAway,
    /// The workspace file says that it was called otherwise until now.
    Moved,
}

impl Reason {
    /// As the plan's text says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::ChangedInSpec => "changed in spec",
            Self::Drifted => "drifted",
            Self::Vanished => "drifted: it is gone from the service",
            Self::RulesChanged => "rules changed with version",
            Self::NotOursYet => "not ours yet",
            Self::NoLongerDeclared => "no longer declared",
            Self::CredentialUnknown => "credential unknown",
            Self::CredentialWrong => "the published credential does not sign in",
            Self::UnfinishedRun => "an earlier run did not finish",
            Self::AskedFor => "asked for",
            Self::Publishes => "published values change",
            Self::HandsOver => "the app's user changes",
            Self::StartsEmpty => "the app starts empty",
            Self::FromAnotherApp => "belongs to another app until now",
            Self::NotSaved => "lost at the next restart",
            Self::SetAgain => "published values stay",
            Self::TakesOver => "reaches what is another app's until now",
            Self::WasAway => "a node was away at the last apply",
            Self::Moved => "moved",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a step could do to people. Consent is asked by risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Running apps may lose a connection or a right for a moment, or for good.
    Interrupts,
    /// Somebody may do more than before.
    WidensAccess,
    /// A login is removed.
    RemovesLogin,
    /// Data are lost.
    LosesData,
}

impl Risk {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupts => "interrupts",
            Self::WidensAccess => "widens access",
            Self::RemovesLogin => "removes a login",
            Self::LosesData => "loses data",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which of the steps of one resource this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Stages the passwords that later steps set.
    Stage,
    /// The resource itself.
    #[default]
    Main,
    /// Sets a password on a login that exists.
    Credential,
    /// Publishes what was set and proved.
    Publish,
    /// Closes the resource, after all else on it and in it.
    Close,
    /// Saves what is set already, so that it outlives a restart of the server. The state does not own what it is about.
    Save,
    /// Gives the resource its name, before all else on it.
    Rename,
}

/// Names one step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    pub address: Address,
    pub part: Part,
}

impl StepId {
    pub fn main(address: Address) -> Self {
        Self { address, part: Part::Main }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Main => write!(f, "{}", self.address),
            Part::Stage => write!(f, "{} (stage)", self.address),
            Part::Credential => write!(f, "{} (credential)", self.address),
            Part::Publish => write!(f, "{} (publish)", self.address),
            Part::Close => write!(f, "{} (close)", self.address),
            Part::Save => write!(f, "{}", self.address),
            Part::Rename => write!(f, "{} (rename)", self.address),
        }
    }
}

/// Why a step is in the plan but will not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Hold {
    /// It needs `--allow-destroy`.
    Destroy,
    /// More than a third of what is ours would be destroyed: it needs `--allow-destroy all`, and nothing less.
    DestroyAll,
    /// It needs `--allow-interrupt`.
    Interrupt,
    /// The infraspec says `prevent_destroy`.
    Prevented {
        /// There is no infraspec now; the last one that was applied said so.
        #[serde(default, skip_serializing_if = "is_false")]
        remembered: bool,
    },
    /// It waits for a step that is held or blocked.
    Waits { on: StepId },
    /// It cannot be done at all (fewer partitions, another encoding): the reason.
    Blocked { reason: String },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// One step: serialisable, free of secrets, and whole enough to be carried out from a saved plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step<M, O> {
    pub address: Address,
    #[serde(default)]
    pub part: Part,
    pub app: AppName,
    pub action: Action,
    pub reasons: BTreeSet<Reason>,
    pub risks: BTreeSet<Risk>,
    pub changes: Vec<FieldChange>,
    /// Sentences for the reader: what would be lost, what must be known.
    pub notes: Vec<String>,
    /// The managed fields as they were when planned; `None` if it did not exist.
    pub before: Option<M>,
    pub op: O,
    /// The managed fields as they shall be; `None` if it shall be gone.
    pub after: Option<M>,
    /// Whether carrying it out sets the app's password on this service.
    pub sets_credential: bool,
    /// Steps that must be done before. Those that are not in the plan count as done.
    pub needs: BTreeSet<StepId>,
    /// Steps with the same key never run at once.
    pub exclusive: Option<String>,
    /// What is destroyed with it and is more: consent to destroy that is consent to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<Address>,
    /// What it is called until now, if it gets another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<Address>,
    pub hold: Option<Hold>,
}

impl<M, O> Step<M, O> {
    pub fn id(&self) -> StepId {
        StepId { address: self.address.clone(), part: self.part }
    }

    /// Whether it gives an app what belongs to another one until now.
    pub fn moves(&self) -> bool {
        self.reasons.contains(&Reason::FromAnotherApp)
    }

    /// Whether an app is told something else by it: another user, another database.
    pub fn redirects(&self) -> bool {
        self.reasons.contains(&Reason::HandsOver) || self.reasons.contains(&Reason::StartsEmpty)
    }

    /// Whether data or a login would be gone for good.
    pub fn is_serious(&self) -> bool {
        self.risks.contains(&Risk::LosesData) || self.risks.contains(&Risk::RemovesLogin)
    }

    /// Whether it takes away what somebody is using right now, so that it takes consent to both. A part of something more
    /// goes with that.
    pub fn goes_under_feet(&self) -> bool {
        let login = self.risks.contains(&Risk::RemovesLogin) && self.part_of.is_none();
        self.risks.contains(&Risk::Interrupts) && (login || self.risks.contains(&Risk::LosesData))
    }

    /// Whether an apply would carry it out.
    pub fn runs(&self) -> bool {
        self.hold.is_none()
    }
}
