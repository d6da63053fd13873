//! `nornplan apply FILE`: exactly what was saved, held against what it was made from.

use super::apply::{carry_out, interrupted, lock, note_all, nothing_runs, tell_idle, tidy};
use super::args::ApplyArgs;
use super::saved::{self, Saved};
use super::signals::Interrupts;
use super::workspace::Workspace;
use super::{Errors, Global, output, saved_here};
use crate::config::Config;
use crate::core::consent;
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::core::step::{Action, Reason, Risk};
use crate::error::{Diagnostic, Kind};
use crate::exec::carried::SavedPlan;
use crate::observe;
use crate::render::{self, typed::shell_word};
use crate::secrets::model::SECRET;
use crate::services::valkey::diff::{Amiss, not_as_declared};
use crate::services::{Ask, Plan, ServiceId, Step};
use crate::spec;
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

pub async fn run(global: &Global, file: &Path, flags: &ApplyArgs) -> super::Outcome {
    let saved = saved::read(file)?;
    let founded = saved.lineage();
    let Saved { mut plan, digest } = saved;
    let workspace = Workspace::open(global)?;
    let refuse = |message: String| {
        Errors::from(
            Diagnostic::new(Kind::Plan, message).in_file(file).hint("make a new one with `nornplan plan --out FILE`"),
        )
    };
    if plan.environment != workspace.config.environment {
        let (planned, here) = (&plan.environment, &workspace.config.environment);
        let message = format!("the plan is for environment {planned:?}, this is {here:?}");
        let hint =
            format!("give --env {} to carry it out there, or make a new one for this environment", shell_word(planned));
        return Err(Diagnostic::new(Kind::Plan, message).in_file(file).hint(hint).into());
    }
    if let Some(other) = another_workspace(&plan, &workspace.config) {
        return Err(refuse(other));
    }
    let write = &flags.write;
    let interrupts = Interrupts::listen(write.grace())?;
    let Some(mut store) = lock(&workspace.config, write.lock_timeout, &interrupts).await? else {
        return Ok(interrupted(&interrupts));
    };
    if plan.lineage.is_none() {
        store.found(&founded);
    }
    let document = store.document();
    if let Some(other) = another_state(&plan, &founded, document) {
        return Err(refuse(other));
    }
    let narrowed = plan.narrowed_to.iter().any(|flag| flag.starts_with("--app "));
    let concerned = apps(&plan);
    let published = document.has_published_of(|app| !narrowed || concerned.contains(app.as_str()));
    workspace.vault.check_lineage(&document.lineage, published)?;
    let mut known = SavedPlan::of(digest, &plan, document, &workspace.vault)?;
    if let Some(why) = saved_here::refused(&plan, &known, &workspace, document) {
        return Err(refuse(format!("the plan is not what nornplan writes here: {why}")));
    }
    if let Some(step) = published_meanwhile(&workspace, &plan, &known)? {
        return Err(refuse(format!(
            "the password that an earlier run had staged for {} is published by now",
            step.address
        )));
    }
    known.keep_passwords(&mut plan.steps);
    let server = another_server(&workspace, &mut plan, &mut known, document, flags.look.wait());
    let Some(met) = interrupts.unless_heard(server).await else {
        return Ok(interrupted(&interrupts));
    };
    if let Some(other) = met? {
        return Err(refuse(other));
    }
    consent::release(&mut plan.steps, &flags.consent.consent());
    if let Some((step, app)) = prevented_meanwhile(document, &plan, &known) {
        let does = if step.action == Action::Destroy {
            "destroys"
        } else if step.moves() {
            "gives away"
        } else {
            "loses data of"
        };
        return Err(refuse(format!(
            "it {does} {}, and since it was made the infraspec of {app} was applied with prevent_destroy",
            step.address
        )));
    }
    let Some(tidied) = interrupts.unless_heard(tidy(&workspace, &plan, &mut store)).await else {
        return Ok(interrupted(&interrupts));
    };
    tidied?;
    output::report(&render::text::plan(&plan, &workspace.style()));
    tell_changed_specs(&plan, &workspace.config);
    tell_idle(&flags.consent.consent(), &plan);
    if plan.runnable().next().is_none() {
        note_all(&plan, &mut store).await?;
        return Ok(nothing_runs(&plan));
    }
    carry_out(&workspace, &plan, Some(&known), &mut store, flags, &interrupts).await
}

/// Whether the plan was made in another workspace, in words.
fn another_workspace(plan: &Plan, config: &Config) -> Option<String> {
    let here = config.settings();
    let said = |settings: &BTreeMap<String, String>, key: &str| match settings.get(key).map(String::as_str) {
        None | Some("") => "not set".to_owned(),
        Some(value) => format!("{value:?}"),
    };
    let mut keys = here.keys().chain(plan.workspace.keys());
    let key = keys.find(|key| here.get(*key) != plan.workspace.get(*key))?;
    let (planned, now) = (said(&plan.workspace, key), said(&here, key));
    Some(format!("the plan was made in another workspace: {key} was {planned} there, and is {now} here"))
}

/// Whether the plan was made from another state than this one, in words.
fn another_state(plan: &Plan, founded: &str, document: &Document) -> Option<String> {
    let here = match document.is_new() {
        true => "there is none here".to_owned(),
        false => format!("this is state {} at serial {}", document.lineage, document.serial),
    };
    match &plan.lineage {
        Some(lineage) if *lineage != document.lineage => {
            Some(format!("the plan was made from another state: from {lineage} at serial {}, and {here}", plan.serial))
        }
        None if *founded != document.lineage => {
            Some(format!("the plan was made from another state: there was none yet, and {here}"))
        }
        Some(_) if plan.serial > document.serial => Some(format!(
            "the plan was made from a later state, at serial {}, and {here}: bring back the newest one",
            plan.serial
        )),
        Some(_) | None => None,
    }
}

/// Names the apps whose infraspecs say something else by now: what was reviewed is carried out all the same.
fn tell_changed_specs(plan: &Plan, config: &Config) {
    // Infraspecs that are wrong by now, or not there at all, are nothing to this plan.
    let Ok(specs) = spec::load(config) else { return };
    let is_other = |(app, digest): &(_, &String)| specs.apps.get(*app).is_none_or(|spec| spec.digest() != **digest);
    let changed: Vec<&str> = plan.apps.iter().filter(is_other).map(|(app, _)| app.as_str()).collect();
    if !changed.is_empty() {
        const NAMED: usize = 10;
        output::message(&format!(
            "note: since this plan was made, the infraspec of {} has changed; what was planned is carried out",
            some(&changed, NAMED)
        ));
    }
}

/// A step that was to finish what an earlier run began, which something else has finished meanwhile: carried out now, it
/// would set a new password that nobody asked for.
fn published_meanwhile<'a>(
    workspace: &Workspace,
    plan: &'a Plan,
    known: &SavedPlan,
) -> Result<Option<&'a Step>, Diagnostic> {
    let finishes =
        |step: &&Step| step.sets_credential && step.reasons.contains(&Reason::UnfinishedRun) && !known.has_done(step);
    for step in plan.runnable().filter(finishes) {
        let Some(service) = ServiceId::of(&step.address) else { continue };
        if workspace.vault.staged(&step.app, service)?.is_none() {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

/// Apps that the plan is about, declared or not, under their former names too.
fn apps(plan: &Plan) -> BTreeSet<&str> {
    let former = plan.steps.iter().filter_map(|step| step.renamed_from.as_ref());
    let former = former.filter(|from| from.kind == SECRET).map(|from| from.name.as_str());
    let named = plan.apps.keys().chain(plan.owners.values()).chain(plan.steps.iter().map(|step| &step.app));
    named.map(AppName::as_str).chain(former).collect()
}

/// What takes something from an app that the state protects by now, unless the plan itself was made to let that go; and
/// the app.
fn prevented_meanwhile<'a>(document: &Document, plan: &'a Plan, known: &SavedPlan) -> Option<(&'a Step, &'a AppName)> {
    let is_kept =
        |app: &&AppName| document.prevent_destroy.contains(*app) && plan.prevent_destroy.get(*app) != Some(&false);
    // What a declared app has no more use for goes without consent, and without being prevented.
    let takes = |step: &Step| {
        if step.action == Action::Destroy {
            step.is_serious() || !plan.apps.contains_key(&step.app)
        } else {
            step.risks.contains(&Risk::LosesData)
        }
    };
    plan.runnable().filter(|step| !known.has_done(step)).find_map(|step| {
        let taken = takes(step).then_some(&step.app).filter(is_kept);
        let given = || plan.owners.get(&step.address).filter(|owner| step.moves() && **owner != step.app);
        Some((step, taken.or_else(|| given().filter(is_kept))?))
    })
}

/// Whether a server is another one than was planned for, in words. What is to be known of the servers by now, and stands
/// in no plan, is said; which nodes are there is no longer as it was planned.
async fn another_server(
    workspace: &Workspace,
    plan: &mut Plan,
    known: &mut SavedPlan,
    document: &Document,
    wait: Duration,
) -> Result<Option<String>, Diagnostic> {
    let asks: BTreeMap<ServiceId, Ask> = ServiceId::ALL
        .into_iter()
        .filter(|id| *id != ServiceId::Secrets && plan.services.contains_key(id.as_str()))
        .map(|id| {
            let mut ask = Ask { shallow: true, ..Ask::default() };
            observe::remind(&mut ask, id, document);
            (id, ask)
        })
        .collect();
    for (id, read) in workspace.observe(&asks, wait).await {
        let head = plan.services.get(id.as_str()).cloned();
        let read = read?;
        let is_new = |notice: &&Notice| notice.level != Level::Note && !plan.notices.contains(notice);
        for notice in read.notices.iter().filter(is_new) {
            output::message(&format!("warning: {}: {}", id.title(), render::clean(&notice.text)));
        }
        if let Some(head) = plan.services.get_mut(id.as_str()) {
            head.nodes = read.nodes;
        }
        let is_as_planned = head.as_ref().is_some_and(|head| head.version == read.version);
        let planned = head.and_then(|head| head.identity);
        if id == ServiceId::Valkey {
            let left = plan.steps.iter().filter(|step| !known.has_done(step));
            for (step, amiss) in not_as_declared(left, &document.applied(), &read.server, is_as_planned) {
                let why = match amiss {
                    Amiss::Untold if plan.serial < document.serial => {
                        known.refuse(step, "since it was planned, something else was applied to it");
                        continue;
                    }
                    Amiss::Untold => "would get, or lose, more than is told",
                    Amiss::OtherRules => "would get other rules than what is declared means there",
                };
                let user = &step.address;
                return Ok(Some(format!("the plan is not what nornplan writes for this Valkey: {user} {why}")));
            }
        }
        let now = read.identity;
        // One that could not be asked when it was planned has no steps.
        let has_steps = plan.runnable().any(|step| ServiceId::of(&step.address) == Some(id));
        if (planned.is_some() || has_steps) && planned != now {
            let name = |identity: Option<String>| identity.unwrap_or_else(|| "unknown".to_owned());
            let (planned, now) = (name(planned), name(now));
            return Ok(Some(format!("{} is another server now: planned for {planned}, met {now}", id.title())));
        }
    }
    Ok(None)
}
