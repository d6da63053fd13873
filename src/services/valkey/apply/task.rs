//! What is done to one user, and what becomes of it.

use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::valkey::model::{EXTRA_PASSWORDS, Op as ValkeyOp, User};
use crate::services::{ApplyContext, Failure, Fingerprint, Model, Op, Outcome, ServiceId, Step};
use std::collections::BTreeSet;

/// What a step does to a user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Does {
    SetUser,
    SetPassword,
    AddPassword,
    RemoveFormerPasswords,
    DelUser,
}

impl Does {
    /// `None` for what is done to something else.
    fn of(op: &Op) -> Option<Self> {
        let Op::Valkey(op) = op else { return None };
        match op {
            ValkeyOp::SetUser => Some(Self::SetUser),
            ValkeyOp::SetPassword => Some(Self::SetPassword),
            ValkeyOp::AddPassword => Some(Self::AddPassword),
            ValkeyOp::RemoveFormerPasswords => Some(Self::RemoveFormerPasswords),
            ValkeyOp::DelUser => Some(Self::DelUser),
            ValkeyOp::SetDefaultUser | ValkeyOp::PurgeKeys | ValkeyOp::Save => None,
        }
    }

    fn replaces_password(self) -> bool {
        match self {
            Self::SetPassword | Self::AddPassword | Self::RemoveFormerPasswords => true,
            Self::SetUser | Self::DelUser => false,
        }
    }
}

/// What is said of a password that was replaced.
fn still_signs_in(absent: &str) -> String {
    format!("the former password still signs in on {absent}, which could not be reached")
}

/// What one step does.
pub struct Task<'a> {
    pub op: Does,
    pub name: &'a str,
    pub after: Option<&'a User>,
    /// The password to set, if it sets one.
    pub password: Option<Secret>,
    /// Hashes of the passwords that are the app's: the published one, and one that an unfinished run has staged.
    pub ours: BTreeSet<String>,
    /// Whether any other password goes.
    pub only_ours: bool,
    pub outcome: Result<(), Failure>,
    /// Whether somebody set the user while it was written, so that it was put back.
    pub overtaken: bool,
}

impl Task<'_> {
    pub fn sound(&self) -> bool {
        self.outcome.is_ok() && !self.overtaken
    }

    pub fn fail(&mut self, failure: Failure) {
        if self.sound() {
            self.outcome = Err(failure);
        }
    }
}

/// Notes failures by the places of their tasks.
pub fn fail(tasks: &mut [Task<'_>], failures: Vec<(usize, Failure)>) {
    for (place, failure) in failures {
        if let Some(task) = tasks.get_mut(place) {
            task.fail(failure);
        }
    }
}

/// What became of it; `absent` are nodes that could not be asked, and have the user as it was.
pub fn outcome(task: Task<'_>, absent: Option<&str>) -> Outcome {
    match (task.outcome, absent) {
        (Ok(()), Some(absent)) if task.op == Does::DelUser => {
            Outcome::Remains { note: format!("not on {absent}, which could not be reached: it stays in the state") }
        }
        (Ok(()), absent) => Outcome::Done {
            // The server stores just this hash.
            fingerprint: task
                .password
                .as_ref()
                .map(|password| Fingerprint { password: password.sha256(), stored: None }),
            dump: None,
            note: absent.filter(|_| task.op.replaces_password()).map(still_signs_in),
        },
        (Err(failure), _) => failure.into(),
    }
}

/// What a step does, with the passwords that it needs.
pub fn task<'a>(step: &'a Step, context: &ApplyContext) -> Task<'a> {
    let after = step.after.as_ref().and_then(Model::as_valkey_user);
    let op = Does::of(&step.op);
    let mut task = Task {
        op: op.unwrap_or(Does::SetUser),
        name: &step.address.name,
        after,
        password: None,
        ours: BTreeSet::new(),
        only_ours: false,
        outcome: Ok(()),
        overtaken: false,
    };
    if op.is_none() || (task.op != Does::DelUser && after.is_none()) {
        let error = Diagnostic::new(Kind::Plan, "this step cannot be carried out on Valkey");
        task.fail(
            error.on("valkey", &step.address, "").hint("the plan may come from another version: plan again").into(),
        );
    }
    let removes = |step: &Step| step.changes.iter().any(|change| change.field == EXTRA_PASSWORDS);
    task.only_ours = task.op == Does::RemoveFormerPasswords || removes(step);
    let is_ours = after.is_some_and(|user| user.generated == Some(true));
    if task.sound() && (step.sets_credential || is_ours) {
        match context.vault.proof(&step.app, ServiceId::Valkey) {
            Ok(proof) => {
                task.ours = proof.ours().filter(|_| is_ours).map(Secret::sha256).collect();
                match proof.to_set(&step.app, ServiceId::Valkey) {
                    Ok(password) => task.password = Some(password).filter(|_| step.sets_credential),
                    Err(error) if step.sets_credential => task.fail(error.into()),
                    Err(_) => {}
                }
            }
            Err(error) => task.fail(error.into()),
        }
    }
    if task.sound() && task.op == Does::RemoveFormerPasswords && task.ours.is_empty() {
        let error =
            Diagnostic::new(Kind::Secrets, format!("no password of {} is published: the former ones stay", step.app));
        task.fail(error.hint("run `nornplan plan` again").into());
    }
    task
}
