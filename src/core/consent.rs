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

    /// Whether it allows what is done to the address; `only_all` asks for the word `all`.
    pub fn covers(&self, address: &Address, only_all: bool) -> bool {
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

impl Consent {
    /// Whether sessions may be ended for what is done to the address.
    pub fn may_interrupt(&self, address: &Address) -> bool {
        self.to_interrupt(address)
    }

    /// Whether the data at the address may be lost.
    pub fn may_destroy(&self, address: &Address) -> bool {
        self.to_destroy(address, false)
    }

    fn to_destroy(&self, address: &Address, only_all: bool) -> bool {
        self.destroy.iter().any(|one| one.covers(address, only_all))
    }

    /// Whether a step may destroy what it is about, or what that is a part of.
    fn to_destroy_by<M, O>(&self, step: &Step<M, O>, only_all: bool) -> bool {
        step.part_of.iter().chain([&step.address]).any(|address| self.to_destroy(address, only_all))
    }

    fn to_interrupt(&self, address: &Address) -> bool {
        self.interrupt.iter().any(|one| one.covers(address, false))
    }
}

/// What consent depends on beside the steps.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Apps that have an infraspec now.
    pub declared: BTreeSet<AppName>,
    /// Apps whose infraspec says `prevent_destroy`.
    pub prevented: BTreeSet<AppName>,
    /// Apps that have no infraspec, and whose last one said `prevent_destroy`.
    pub remembered: BTreeSet<AppName>,
    /// How many resources of apps the state says are ours; those of the workspace are never destroyed.
    pub owned: usize,
}

/// Holds each step that nobody has consented to, and each that waits for a held one. A step that asks already
/// ([`Hold::Interrupt`]) is let go where there is consent.
pub fn hold<M, O>(steps: &mut [Step<M, O>], consent: &Consent, circumstances: &Circumstances) {
    let is_open = |step: &&mut Step<M, O>| matches!(step.hold, None | Some(Hold::Interrupt));
    for step in steps.iter_mut().filter(is_open) {
        if let Some(prevented) = prevented(step, circumstances) {
            step.hold = Some(prevented);
        }
    }
    hold_dependents(steps, no_flag_releases);
    let many = takes_all(steps, circumstances);
    for step in steps.iter_mut().filter(is_open) {
        step.hold = needs_consent(step, consent, circumstances, many);
    }
    hold_dependents(steps, |_| true);
}

/// No consent helps what waits for something that none releases.
fn no_flag_releases(hold: &Hold) -> bool {
    matches!(hold, Hold::Blocked { .. } | Hold::Prevented { .. })
}

/// Whether more than a third of what is ours goes, so that only the word `all` is consent to that.
pub fn takes_all<M, O>(steps: &[Step<M, O>], circumstances: &Circumstances) -> bool {
    let stays = stuck(steps, no_flag_releases);
    let goes = |step: &&Step<M, O>| step.action == Action::Destroy && !stays.contains(&step.id());
    let going: BTreeSet<&Address> = steps.iter().filter(goes).map(|step| &step.address).collect();
    going.len() > 1 && going.len() * 3 > circumstances.owned
}

fn needs_consent<M, O>(
    step: &Step<M, O>,
    consent: &Consent,
    circumstances: &Circumstances,
    many: bool,
) -> Option<Hold> {
    if step.action == Action::Destroy {
        if is_grave(step, circumstances) && !consent.to_destroy_by(step, many) {
            return Some(if many { Hold::DestroyAll } else { Hold::Destroy });
        }
        return in_use(step, consent);
    }
    if step.risks.contains(&Risk::LosesData) {
        let destroys = (!consent.to_destroy_by(step, false)).then_some(Hold::Destroy);
        if let Some(hold) = destroys.or_else(|| in_use(step, consent)) {
            return Some(hold);
        }
    }
    // A differ that knows that somebody would be shut out asks by itself.
    let asks = step.hold == Some(Hold::Interrupt) || asks_to_interrupt(step);
    (asks && !consent.to_interrupt(&step.address)).then_some(Hold::Interrupt)
}

/// Whether a step that destroys nothing takes consent to interrupt.
fn asks_to_interrupt<M, O>(step: &Step<M, O>) -> bool {
    let unasked_rotation = step.action == Action::Rotate
        && !step.reasons.contains(&Reason::AskedFor)
        && !step.reasons.contains(&Reason::UnfinishedRun);
    let adopting_takes_away = step.reasons.contains(&Reason::NotOursYet) && step.risks.contains(&Risk::Interrupts);
    let redirects = step.redirects() && step.risks.contains(&Risk::Interrupts);
    let takes = step.moves() || step.reasons.contains(&Reason::TakesOver);
    unasked_rotation || adopting_takes_away || redirects || takes
}

/// Whether it takes consent to destroy. Of an app that vanished, everything does.
fn is_grave<M, O>(step: &Step<M, O>, circumstances: &Circumstances) -> bool {
    if step.action == Action::Destroy {
        step.is_serious() || !circumstances.declared.contains(&step.app)
    } else {
        step.risks.contains(&Risk::LosesData)
    }
}

/// What no consent releases: the app's infraspec says `prevent_destroy`, or its last one did.
fn prevented<M, O>(step: &Step<M, O>, circumstances: &Circumstances) -> Option<Hold> {
    let remembered = circumstances.remembered.contains(&step.app);
    let is_kept = remembered || circumstances.prevented.contains(&step.app);
    (is_kept && is_grave(step, circumstances)).then_some(Hold::Prevented { remembered })
}

/// What would go under somebody's feet takes consent to both. What is a part of something more goes with that.
fn in_use<M, O>(step: &Step<M, O>, consent: &Consent) -> Option<Hold> {
    (step.goes_under_feet() && !consent.to_interrupt(&step.address)).then_some(Hold::Interrupt)
}

/// Lets steps of a saved plan go that were held when it was made and are consented to now.
pub fn release<M, O>(steps: &mut [Step<M, O>], consent: &Consent) {
    for step in steps.iter_mut() {
        let freed = match &step.hold {
            Some(Hold::Destroy) => consent.to_destroy_by(step, false),
            Some(Hold::DestroyAll) => consent.to_destroy_by(step, true),
            Some(Hold::Interrupt) => consent.to_interrupt(&step.address),
            Some(Hold::Waits { .. } | Hold::Prevented { .. } | Hold::Blocked { .. }) | None => false,
        };
        if freed {
            let asks = step.action != Action::Destroy && asks_to_interrupt(step);
            let interrupts = (asks && !consent.to_interrupt(&step.address)).then_some(Hold::Interrupt);
            step.hold = interrupts.or_else(|| too_late(step)).or_else(|| in_use(step, consent));
        }
    }
    release_what_waits(steps, consent);
    hold_dependents(steps, |_| true);
}

/// Lets what waits go with what it waits for: that may come before it, or after it, where neither is done without the
/// other.
fn release_what_waits<M, O>(steps: &mut [Step<M, O>], consent: &Consent) {
    loop {
        let stuck = stuck(steps, |hold| !matches!(hold, Hold::Waits { .. }));
        let is_free = |step: &Step<M, O>| matches!(step.hold, Some(Hold::Waits { .. })) && !stuck.contains(&step.id());
        let mut asks = false;
        for step in steps.iter_mut().filter(|step| is_free(step)) {
            if let Some(hold) = in_use(step, consent) {
                (step.hold, asks) = (Some(hold), true);
            }
        }
        if !asks {
            steps.iter_mut().filter(|step| is_free(step)).for_each(|step| step.hold = None);
            return;
        }
    }
}

/// What is held for such a reason of its own, and what waits for that, however far away.
fn stuck<M, O>(steps: &[Step<M, O>], of_its_own: impl Fn(&Hold) -> bool) -> BTreeSet<StepId> {
    let mut stuck: BTreeSet<StepId> = BTreeSet::new();
    loop {
        let is_stuck = |step: &&Step<M, O>| match &step.hold {
            None => false,
            Some(Hold::Waits { on }) => stuck.contains(on),
            Some(hold) => of_its_own(hold),
        };
        let all: BTreeSet<StepId> = steps.iter().filter(is_stuck).map(Step::id).collect();
        if all.len() == stuck.len() {
            return stuck;
        }
        stuck = all;
    }
}

/// With consent a new password would have been staged and published, which a plan made without it does not do.
fn too_late<M, O>(step: &Step<M, O>) -> Option<Hold> {
    let publishes = matches!(step.action, Action::Rotate | Action::Rename) || step.redirects() || step.moves();
    let flag = match &step.hold {
        Some(Hold::Interrupt) => "--allow-interrupt",
        Some(Hold::Destroy) if step.action != Action::Destroy => "--allow-destroy",
        Some(Hold::Destroy | Hold::DestroyAll | Hold::Prevented { .. } | Hold::Waits { .. } | Hold::Blocked { .. })
        | None => return None,
    };
    publishes.then(|| Hold::Blocked {
        reason: format!(
            "this plan was saved without that consent, so it publishes nothing for it: make it anew, with {flag} {}",
            step.address
        ),
    })
}

/// Holds what waits for something that is held in some way, however far away.
fn hold_dependents<M, O>(steps: &mut [Step<M, O>], is_held: impl Fn(&Hold) -> bool) {
    let is_held = |step: &&Step<M, O>| step.hold.as_ref().is_some_and(&is_held);
    let mut held: BTreeSet<StepId> = steps.iter().filter(is_held).map(Step::id).collect();
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

#[cfg(test)]
#[path = "consent_table.rs"]
mod table;
#[cfg(test)]
#[path = "consent_tests.rs"]
mod tests;
