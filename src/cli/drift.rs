//! `nornplan drift`

use super::args::{LookArgs, ScopeArgs};
use super::workspace::{self, Workspace};
use super::{Global, Outcome, drift_urls, output, unmanaged};
use crate::core::address::Address;
use crate::core::change::{Cause, FieldChange};
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::core::reconcile::Wanted;
use crate::core::step::{Action, Part, Reason};
use crate::error::{Diagnostic, Exit, Kind};
use crate::observe::{self, Depth};
use crate::planner;
use crate::render::drift::{DriftItem, DriftReport};
use crate::render::typed::typed;
use crate::secrets::mixed_up;
use crate::services::{self, DiffInput, Model, ServiceId, Step};
use crate::state::{Document, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Resources left by an earlier apply that are named; more are counted.
const LEFT_SHOWN: usize = 8;

/// Compare the services with what was last applied, and write nothing
///
/// Infraspecs do not matter here: what they ask for beyond the last apply is a plan, not drift. Nor is what an apply did not
/// get to, as on a node that was down: that is told apart, and the next apply sets it.
#[derive(Debug, clap::Args)]
#[command(mut_arg("probe_credentials", |always| always.hide(true)))]
#[command(after_help = "Example:
  nornplan drift
  nornplan drift --format json
  nornplan drift --unmanaged

Exit: 0 no drift, 2 drift, 1 it could not be told (a service or a database cannot be read, or there is no state)
What is not managed is no drift: --unmanaged changes no exit code")]
pub struct Args {
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// List also what exists on the services and no infraspec declares and the state does not own
    ///
    /// Databases, roles, users, topics, and principals that have ACLs, as far as the users that nornplan signs in with can
    /// see them. Left out: the services' own, all that starts with _, internal = [...] and postgres.ignore_roles of the
    /// workspace file. A service on which infraspecs declare nothing and nothing is owned is not looked at. The text groups
    /// many of a kind; -v and --format json list each.
    #[arg(long, conflicts_with = "apps")]
    unmanaged: bool,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    look: LookArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let workspace = Workspace::open(global)?;
    let store = Store::open(&workspace.config).await?;
    let document = store.document();
    let no_state = match document.resources.is_empty().then(no_state) {
        Some(error) if !args.unmanaged => return Err(error.into()),
        error => error,
    };
    workspace.tell_state(document);
    let specs = if args.unmanaged { Some(workspace::specs(global, &workspace.config)?) } else { None };
    let scope = args.scope.scope();
    let applied = scope.narrow(&document.applied(), |one| &one.app);
    // Drift is the way back to what was last applied: a plan in which that is what is wanted.
    let wanted: BTreeMap<_, _> = applied
        .iter()
        .map(|(address, one)| (address.clone(), Wanted { app: one.app.clone(), model: one.model.clone() }))
        .collect();
    workspace.vault.check_lineage(&document.lineage, document.has_published_of(|app| scope.has_app(app)))?;
    let depth = Depth { probe_credentials: true, ..args.look.depth() };
    let mut asks = observe::asks(&wanted, &applied, document, &workspace.vault, depth, &BTreeSet::new())?;
    if let Some(specs) = &specs {
        let known = unmanaged::known(specs, document, &workspace.config)?;
        unmanaged::ask(&mut asks, &known, &scope, document);
    }
    workspace.tell_known(&mut asks, specs.as_ref());
    let (mut errors, mut items, mut unread) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut others = BTreeMap::new();
    // What only a part of could be read: what is seen of it may have drifted, and the rest is not told.
    let mut untold: BTreeMap<Address, String> = BTreeMap::new();
    let mut observed = BTreeMap::new();
    let mut notices = BTreeSet::new();
    let mut left: BTreeMap<(ServiceId, Reason), BTreeSet<Address>> = BTreeMap::new();
    let (nobody, nothing) = (BTreeSet::new(), BTreeMap::new());
    for (id, read) in workspace.observe(&asks, args.look.wait()).await {
        match read {
            Ok(observation) => {
                notices.extend(observation.notices.iter().cloned());
                let input = DiffInput {
                    wanted: &wanted,
                    applied: &applied,
                    observation: &observation,
                    rotate: &nobody,
                    credentials: &nothing,
                };
                let mut steps = services::diff(id, input);
                planner::tell_drifted_passwords(&mut steps, document);
                let (left_over, drifted): (Vec<Step>, Vec<Step>) =
                    steps.into_iter().filter(is_drift).partition(|step| is_left_over(step, document));
                drifted.into_iter().for_each(|step| add(&mut items, step));
                for step in left_over {
                    let why =
                        if step.reasons.contains(&Reason::WasAway) { Reason::WasAway } else { Reason::UnfinishedRun };
                    left.entry((id, why)).or_default().insert(step.address);
                }
                untold.extend(observation.unread.clone());
                others.extend(unmanaged::worth_telling(observation.unmanaged.clone(), &workspace.config));
                observed.insert(id, observation);
            }
            Err(error) => {
                unread.insert(id, workspace.unreadable(id, &error));
                errors.push(error);
            }
        }
    }
    if observed.contains_key(&ServiceId::Postgres) {
        let known: BTreeSet<Address> =
            items.keys().chain(left.values().flatten()).chain(untold.keys()).cloned().collect();
        drift_urls::add_refused(&workspace, &applied, |address| known.contains(address), &mut items).await?;
    }
    let is_told = |address: &Address| items.contains_key(address) || !untold.contains_key(address);
    let is_read = |address: &Address| ServiceId::of(address).is_some_and(|id| !unread.contains_key(&id));
    // Of one thing, drift is told before what is left of it.
    left.values_mut().for_each(|addresses| addresses.retain(|address| !items.contains_key(address)));
    notices.extend(left.iter().filter(|(_, addresses)| !addresses.is_empty()).map(tell_left_over));
    let is_left = |address: &Address| left.values().any(|addresses| addresses.contains(address));
    // What is nobody's may drift as well: that users are saved.
    let all: BTreeSet<&Address> = applied.keys().chain(items.keys()).collect();
    let compared = all.into_iter().filter(|address| is_read(address) && is_told(address) && !is_left(address)).count();
    let mut part: BTreeMap<String, BTreeSet<Address>> = BTreeMap::new();
    for (address, why) in untold {
        part.entry(why).or_default().insert(address);
    }
    notices.extend(mixed_up::notices(&asks, document));
    let report = DriftReport {
        environment: workspace.config.environment.clone(),
        services: planner::heads(&observed, &workspace.endpoints(&asks)),
        narrowed_to: scope.describe(),
        compared,
        drifted: items.into_values().collect(),
        notices: notices.into_iter().collect(),
        errors: unread.values().cloned().chain(no_state.iter().map(|error| error.message.clone())).collect(),
        untold: part,
        unmanaged: args.unmanaged.then_some(others),
    };
    errors.extend(no_state);
    output::result(&match args.format {
        Format::Text => typed(&crate::render::drift::text(&report, &global.style())),
        Format::Json => crate::render::drift::json(&report)
            .map_err(|error| Diagnostic::new(Kind::Plan, "the report cannot be written as JSON").because(error))?,
    });
    if !errors.is_empty() {
        return Err(errors.into());
    }
    Ok(match (report.is_whole(), report.drifted.is_empty()) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Done,
        (true, false) => Exit::Differs,
    })
}

fn no_state() -> Diagnostic {
    Diagnostic::new(Kind::State, "there is no state, so nothing was ever applied to compare with")
        .hint("`nornplan apply` makes one; existing resources that match are adopted without a write")
}

/// Whether a step is there because something moved away. A password that was never published, as that of an adopted
/// login whose rotation is held, is no other than it was when it was applied.
fn is_drift(step: &Step) -> bool {
    step.action != Action::Rotate || step.part == Part::Credential && step.reasons.contains(&Reason::Drifted)
}

/// Whether it is what an earlier apply did not get to, and nobody's doing since.
fn is_left_over(step: &Step, document: &Document) -> bool {
    let moved = step.reasons.contains(&Reason::Drifted) || step.reasons.contains(&Reason::Vanished);
    let was_away = step.reasons.contains(&Reason::WasAway);
    // A login that was destroyed while a node was away stays in the state, and is not published any more.
    let is_going = was_away && step.after.as_ref().is_some_and(Model::generates_password);
    let destroyed = is_going && !planner::is_published(step, document);
    destroyed || !moved && (was_away || step.reasons.contains(&Reason::UnfinishedRun))
}

fn tell_left_over(((id, why), addresses): (&(ServiceId, Reason), &BTreeSet<Address>)) -> Notice {
    let is = if addresses.len() == 1 { "is" } else { "are" };
    let named = some(addresses.iter().map(ToString::to_string), LEFT_SHOWN);
    let text = format!("{named} {is} left by an earlier apply ({why}): the next apply sets it right");
    Notice { level: Level::Note, about: id.as_str().to_owned(), text }
}

/// The step that would put a resource right, told the other way round: from what was applied to what there is.
fn add(items: &mut BTreeMap<Address, DriftItem>, step: Step) {
    let mut changes = step.changes;
    for change in &mut changes {
        std::mem::swap(&mut change.before, &mut change.after);
    }
    if step.action == Action::Rotate {
        let why = step.reasons.iter().find(|reason| **reason != Reason::Drifted);
        let why = why.map_or("unknown", |reason| reason.as_str());
        changes.push(FieldChange {
            field: "credential".to_owned(),
            before: Value::from("signs in with what is published"),
            after: Value::from(why),
            cause: Cause::Drifted,
        });
    }
    let item = items.entry(step.address.clone()).or_insert_with(|| DriftItem {
        address: step.address,
        app: step.app,
        changes: Vec::new(),
        gone: step.action == Action::Create,
    });
    item.changes.extend(changes);
}
