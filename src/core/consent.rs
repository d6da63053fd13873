//! Consent by risk: what may run without being asked for, and what is held until somebody says so.

use super::address::Address;
use super::name::AppName;
use super::step::{Action, Hold, Reason, Risk, Step, StepId};
use globset::{Glob, GlobMatcher};
use std::collections::{BTreeMap, BTreeSet};

/// One WHAT of `--allow-destroy WHAT`: an address, a glob over addresses, or the word `all`.
#[derive(Clone, Debug)]
pub enum Allowance {
    All,
    Matching(GlobMatcher),
}

impl Allowance {
    /// # Errors
    /// A sentence that says why the pattern cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        match Glob::new(text) {
            Ok(glob) => Ok(Self::Matching(glob.compile_matcher())),
            Err(error) => Err(format!("{text:?} is neither an address, nor a glob, nor all: {}", error.kind())),
        }
    }

    fn covers(&self, address: &Address, only_all: bool) -> bool {
        match self {
            Self::All => true,
            Self::Matching(glob) => !only_all && glob.is_match(address.to_string()),
        }
    }
}

/// All that the user has consented to.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    pub destroy: Vec<Allowance>,
    pub interrupt: Vec<Allowance>,
}

/// What consent depends on beside the steps.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Apps that have an infraspec now.
    pub declared: BTreeSet<AppName>,
    /// Apps whose infraspec says `prevent_destroy`.
    pub prevented: BTreeSet<AppName>,
    /// How many resources the state says are ours.
    pub owned: usize,
}

/// Holds each step that nobody has consented to, and each that waits for a held one.
pub fn hold<M, O>(steps: &mut [Step<M, O>], consent: &Consent, circumstances: &Circumstances) {
    let destroyed: BTreeSet<&Address> =
        steps.iter().filter(|step| step.action == Action::Destroy).map(|step| &step.address).collect();
    let many = destroyed.len() > 1 && destroyed.len() * 3 > circumstances.owned;
    for step in steps.iter_mut().filter(|step| step.hold.is_none()) {
        step.hold = needs_consent(step, consent, circumstances, many);
    }
    hold_dependents(steps);
}

fn needs_consent<M, O>(
    step: &Step<M, O>,
    consent: &Consent,
    circumstances: &Circumstances,
    many: bool,
) -> Option<Hold> {
    let gives = |allowances: &[Allowance], only_all| allowances.iter().any(|one| one.covers(&step.address, only_all));
    if step.action == Action::Destroy {
        let app_is_gone = !circumstances.declared.contains(&step.app);
        let serious = step.risks.contains(&Risk::LosesData) || step.risks.contains(&Risk::RemovesLogin);
        if circumstances.prevented.contains(&step.app) && serious {
            return Some(Hold::Prevented);
        }
        if (serious || app_is_gone) && !gives(&consent.destroy, many) {
            return Some(Hold::Destroy);
        }
        return None;
    }
    let unasked_rotation = step.action == Action::Rotate
        && !step.reasons.contains(&Reason::AskedFor)
        && !step.reasons.contains(&Reason::UnfinishedRun);
    let adopting_takes_away = step.reasons.contains(&Reason::NotOursYet) && step.risks.contains(&Risk::Interrupts);
    if (unasked_rotation || adopting_takes_away) && !gives(&consent.interrupt, false) {
        return Some(Hold::Interrupt);
    }
    None
}

/// Holds what waits for something that is held, however far away.
fn hold_dependents<M, O>(steps: &mut [Step<M, O>]) {
    let mut held: BTreeSet<StepId> = steps.iter().filter(|step| !step.runs()).map(Step::id).collect();
    loop {
        let mut more = BTreeMap::new();
        for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.runs()) {
            if let Some(on) = step.needs.iter().find(|need| held.contains(need)) {
                more.insert(index, on.clone());
            }
        }
        if more.is_empty() {
            return;
        }
        for (index, on) in more {
            if let Some(step) = steps.get_mut(index) {
                held.insert(step.id());
                step.hold = Some(Hold::Waits { on });
            }
        }
    }
}
