//! The steps of a plan as its readers see them: one item for each resource and action.

use crate::core::address::Address;
use crate::core::change::FieldChange;
use crate::core::name::AppName;
use crate::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use crate::services::{Model, Plan, Step};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One resource and what is done to it, whatever number of steps that takes.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    pub address: &'a Address,
    /// What it is called until now, if it gets another name.
    pub renamed_from: Option<&'a Address>,
    pub app: &'a AppName,
    pub action: Action,
    pub reasons: BTreeSet<Reason>,
    pub risks: BTreeSet<Risk>,
    pub changes: Vec<FieldChange>,
    pub notes: Vec<&'a str>,
    pub before: Option<&'a Model>,
    pub after: Option<&'a Model>,
    pub hold: Option<&'a Hold>,
    /// How many other resources are blocked for the same reason.
    pub blocked_with: usize,
    /// What to consent to where it is held: itself, or what it is a part of.
    pub consent: &'a Address,
    /// Whether somebody is using what would go, so that it takes both consents.
    pub under_feet: bool,
    /// Whether only the word `all` is consent to destroy it.
    pub takes_all: bool,
    /// Position of its last step in the plan, from 0.
    pub order: usize,
}

impl Item<'_> {
    /// Whether the service has moved away from what was last applied.
    pub fn drifted(&self) -> bool {
        self.reasons.contains(&Reason::Drifted) || self.reasons.contains(&Reason::Vanished)
    }

    /// The flags that release it, each with what it takes; none where no flag does. All that one apply needs.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let all = || (ALLOW_DESTROY, "all".to_owned());
        let destroy = || if self.takes_all { all() } else { (ALLOW_DESTROY, self.consent.to_string()) };
        let interrupt = || (ALLOW_INTERRUPT, self.address.to_string());
        let also = |flag: &dyn Fn() -> (&'static str, String)| self.under_feet.then(flag);
        match self.hold {
            Some(Hold::Destroy) => [destroy()].into_iter().chain(also(&interrupt)).collect(),
            Some(Hold::DestroyAll) => [all()].into_iter().chain(also(&interrupt)).collect(),
            Some(Hold::Interrupt) => [interrupt()].into_iter().chain(also(&destroy)).collect(),
            Some(Hold::Prevented { .. } | Hold::Waits { .. } | Hold::Blocked { .. }) | None => Vec::new(),
        }
    }

    /// How much a reviewer must see it: the higher, the later it may be left out.
    pub fn weight(&self) -> u8 {
        let by_risk = self.risks.iter().map(|risk| match risk {
            Risk::LosesData => 100,
            Risk::RemovesLogin => 90,
            Risk::WidensAccess => 80,
            Risk::Interrupts => 60,
        });
        let by_action = match self.action {
            Action::Destroy => 85,
            Action::Replace => 84,
            Action::Rotate => 70,
            Action::Rename => 45,
            Action::Update if self.drifted() => 50,
            Action::Update => 40,
            Action::Create => 20,
            Action::Forget => 10,
            Action::Adopt => 6,
            Action::Record => 5,
        };
        let by_hold = match self.hold {
            Some(Hold::Blocked { .. }) => 82,
            Some(Hold::Destroy | Hold::DestroyAll | Hold::Interrupt | Hold::Prevented { .. } | Hold::Waits { .. }) => {
                55
            }
            None => 0,
        };
        by_risk.chain([by_action, by_hold]).max().unwrap_or_default()
    }

    /// Whether it belongs where risks are named first.
    pub fn risky(&self) -> bool {
        self.weight() >= 55
    }
}

const ALLOW_DESTROY: &str = "--allow-destroy";
const ALLOW_INTERRUPT: &str = "--allow-interrupt";

/// Steps with their positions in the plan.
type Numbered<'a> = Vec<(usize, &'a Step)>;

/// Closing steps that are held while another step of the same action runs: readers see them apart, as what comes later.
pub(super) fn later(plan: &Plan) -> BTreeSet<StepId> {
    let running: BTreeSet<(&Address, Action)> = plan.runnable().map(|step| (&step.address, step.action)).collect();
    let is_later = |step: &&Step| step.part == Part::Close && running.contains(&(&step.address, step.action));
    plan.held().filter(is_later).map(Step::id).collect()
}

/// All items, in the order in which their last steps are carried out. Staging is a part of what is published later.
pub(super) fn items<'a>(plan: &'a Plan) -> Vec<Item<'a>> {
    let mut main_action: BTreeMap<&Address, Action> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.part != Part::Stage) {
        main_action.insert(&step.address, step.action);
    }
    let later = later(plan);
    let mut groups: BTreeMap<(&Address, Action, bool), Numbered<'_>> = BTreeMap::new();
    for (order, step) in plan.steps.iter().enumerate() {
        let action = match step.part {
            Part::Stage => main_action.get(&step.address).copied().unwrap_or(step.action),
            Part::Main | Part::Credential | Part::Publish | Part::Close | Part::Save | Part::Rename => step.action,
        };
        groups.entry((&step.address, action, later.contains(&step.id()))).or_default().push((order, step));
    }
    let mut items: Vec<Item<'_>> =
        groups.into_iter().filter_map(|((_, action, _), steps)| item(action, &steps, plan)).collect();
    items.sort_by_key(|item| item.order);
    // One flag is enough where what it is a part of is held for the same reason.
    let asked = |item: &Item<'a>| (item.hold == Some(&Hold::Destroy)).then_some(item.address);
    let asked: BTreeSet<&Address> = items.iter().filter_map(asked).collect();
    for item in items.iter_mut().filter(|item| !asked.contains(item.consent)) {
        item.consent = item.address;
    }
    count_others(&mut items);
    items
}

/// What blocks an item, if anything does.
fn blocked_by<'a>(item: &Item<'a>) -> Option<&'a str> {
    match item.hold? {
        Hold::Blocked { reason } => Some(reason),
        Hold::Destroy | Hold::DestroyAll | Hold::Interrupt | Hold::Prevented { .. } | Hold::Waits { .. } => None,
    }
}

/// Reasons that block more than one resource, each with all of them in plan order.
pub(super) fn same_reasons<'a>(items: &[Item<'a>]) -> Vec<(&'a str, Vec<&'a Address>)> {
    let mut reasons: Vec<(&str, Vec<&Address>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    // One resource may be more than one item.
    let mut seen: BTreeSet<(usize, &Address)> = BTreeSet::new();
    for item in items {
        let Some(reason) = blocked_by(item) else { continue };
        let place = *places.entry(reason).or_insert(reasons.len());
        if !seen.insert((place, item.address)) {
            continue;
        }
        match reasons.get_mut(place) {
            Some((_, addresses)) => addresses.push(item.address),
            None => reasons.push((reason, vec![item.address])),
        }
    }
    reasons.retain(|(_, addresses)| addresses.len() > 1);
    reasons
}

/// Notes at each item how many others its reason blocks too.
fn count_others(items: &mut [Item<'_>]) {
    let others: BTreeMap<&str, usize> =
        same_reasons(items).into_iter().map(|(reason, addresses)| (reason, addresses.len() - 1)).collect();
    for item in items {
        item.blocked_with = blocked_by(item).and_then(|reason| others.get(reason)).copied().unwrap_or_default();
    }
}

fn item<'a>(action: Action, steps: &[(usize, &'a Step)], plan: &Plan) -> Option<Item<'a>> {
    let (order, last) = *steps.last()?;
    let mut changes: Vec<FieldChange> = Vec::new();
    let mut notes: Vec<&str> = Vec::new();
    for (_, step) in steps {
        for change in &step.changes {
            if !changes.iter().any(|known| (&known.field, known.cause) == (&change.field, change.cause)) {
                changes.push(change.clone());
            }
        }
        for note in &step.notes {
            if !notes.contains(&note.as_str()) {
                notes.push(note);
            }
        }
    }
    Some(Item {
        address: &last.address,
        renamed_from: steps.iter().find_map(|(_, step)| step.renamed_from.as_ref()),
        app: &last.app,
        action,
        reasons: steps.iter().flat_map(|(_, step)| step.reasons.iter().copied()).collect(),
        risks: steps.iter().flat_map(|(_, step)| step.risks.iter().copied()).collect(),
        changes: masked(&last.address, changes),
        notes,
        before: steps.iter().find_map(|(_, step)| step.before.as_ref()),
        after: steps.iter().rev().find_map(|(_, step)| step.after.as_ref()),
        hold: steps.iter().filter_map(|(_, step)| step.hold.as_ref()).min_by_key(|hold| hold_rank(hold)),
        blocked_with: 0,
        under_feet: steps.iter().any(|(_, step)| step.hold.is_some() && step.goes_under_feet()),
        takes_all: plan.takes_all && action == Action::Destroy,
        consent: steps.iter().find_map(|(_, step)| step.part_of.as_ref()).unwrap_or(&last.address),
        order,
    })
}

fn hold_rank(hold: &Hold) -> u8 {
    match hold {
        Hold::Blocked { .. } => 0,
        Hold::Prevented { .. } => 1,
        Hold::Destroy | Hold::DestroyAll => 2,
        Hold::Interrupt => 3,
        Hold::Waits { .. } => 4,
    }
}

/// What is shown instead of the value of a published variable: templates may have something of their own in them.
const SET: &str = "(set)";
const NEW_VALUE: &str = "(new value)";

/// The changes as they may be seen: of published variables only the names, one change each.
pub(super) fn masked(address: &Address, changes: Vec<FieldChange>) -> Vec<FieldChange> {
    if address.kind != crate::secrets::model::SECRET {
        return changes;
    }
    changes.into_iter().flat_map(mask).collect()
}

fn mask(change: FieldChange) -> Vec<FieldChange> {
    // All other fields are told in words.
    if change.field != "values" {
        return vec![change];
    }
    let empty = Map::new();
    let before = change.before.as_object().unwrap_or(&empty);
    let after = change.after.as_object().unwrap_or(&empty);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            let was = before.get(name).map_or(Value::Null, |_| Value::from(SET));
            let becomes = match (before.get(name), after.get(name)) {
                (_, None) => Value::Null,
                (None, Some(_)) => Value::from(SET),
                (Some(_), Some(_)) => Value::from(NEW_VALUE),
            };
            FieldChange { field: format!("{}.{name}", change.field), before: was, after: becomes, cause: change.cause }
        })
        .collect()
}
