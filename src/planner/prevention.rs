//! `prevent_destroy` outlives its infraspec: an apply notes in the state which infraspecs say it. Pure.

use super::Inputs;
use crate::core::consent::Circumstances;
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::core::step::Hold;
use crate::services::Step;
use crate::spec::model::Specs;
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Apps whose infraspec says so.
pub fn prevented(full: &Specs) -> BTreeSet<AppName> {
    full.apps.values().filter(|app| app.prevent_destroy.is_some()).map(|app| app.name.clone()).collect()
}

/// Apps that have no infraspec, and whose last one said so.
pub fn remembered(full: &Specs, document: &Document) -> BTreeSet<AppName> {
    document.prevent_destroy.iter().filter(|app| !full.apps.contains_key(*app)).cloned().collect()
}

/// What an app is protected from would be no more than consent away with an app that does not say it: nothing passes from
/// the one to the other.
pub fn block_what_would_lose_it(steps: &mut [Step], circumstances: &Circumstances, document: &Document) {
    let taken = |step: &&mut Step| step.moves() && !circumstances.prevented.contains(&step.app);
    for step in steps.iter_mut().filter(taken) {
        let Some(former) = document.resources.get(&step.address).map(|entry| &entry.app) else { continue };
        let says = match (circumstances.prevented.contains(former), circumstances.remembered.contains(former)) {
            (true, _) => format!("the infraspec of {former} says prevent_destroy"),
            (false, true) => format!("the last infraspec of {former} said prevent_destroy"),
            (false, false) => continue,
        };
        let reason = format!(
            "{says}, and has it until now; that of {} does not, so that consent would be enough to destroy it: say \
             prevent_destroy there too, or apply that of {former} once without it",
            step.app
        );
        step.hold = Some(Hold::Blocked { reason });
    }
}

/// What is to be noted: where the infraspec of an app in scope says otherwise than the state. Of an app that has nothing to
/// keep, and gets nothing, there is nothing to note.
pub fn changes(inputs: &Inputs<'_>, steps: &[Step]) -> BTreeMap<AppName, bool> {
    let in_scope = inputs.specs.apps.values().filter(|app| inputs.scope.has_app(&app.name));
    let says = in_scope.map(|app| (&app.name, app.prevent_destroy.is_some()));
    let known = &inputs.document.prevent_destroy;
    let mut keepers = inputs.document.keepers();
    keepers.extend(steps.iter().map(|step| &step.app));
    let keeps = |app: &AppName| keepers.contains(app);
    says.filter(|(app, says)| *says != known.contains(*app) && (!says || keeps(app)))
        .map(|(app, says)| (app.clone(), says))
        .collect()
}

/// Tells what is to be noted. Of an app that is only made now, the infraspec is news enough, but for protection that ends.
pub fn notices(document: &Document, changes: &BTreeMap<AppName, bool>) -> Vec<Notice> {
    let keepers = document.keepers();
    let told = changes.iter().filter(|(app, says)| !**says || keepers.contains(app));
    told.map(|(app, says)| notice(app, *says)).collect()
}

pub fn notice(app: &AppName, says: bool) -> Notice {
    let text = if says {
        "its infraspec says prevent_destroy: once applied, that holds without the infraspec too"
    } else {
        "its infraspec does not say prevent_destroy any more: once applied, consent is enough to destroy what it has"
    };
    Notice { level: Level::Note, about: app.to_string(), text: text.to_owned() }
}
