//! `prevent_destroy` outlives its infraspec: an apply notes in the state which infraspecs say it. Pure.

use super::Inputs;
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
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

/// Tells what is to be noted; of an app that is only made now, the infraspec is news enough.
pub fn notices(document: &Document, changes: &BTreeMap<AppName, bool>) -> Vec<Notice> {
    let keepers = document.keepers();
    let told = changes.iter().filter(|(app, _)| keepers.contains(app));
    told.map(|(app, says)| {
        let text = if *says {
            "its infraspec says prevent_destroy: once applied, that holds without the infraspec too"
        } else {
            "its infraspec does not say prevent_destroy any more: once applied, consent is enough to destroy what it has"
        };
        Notice { level: Level::Note, about: app.to_string(), text: text.to_owned() }
    })
    .collect()
}
