//! What of a saved plan only this workspace can tell: whether it does what infraspecs, the state and the servers here
//! account for. What a reviewer cannot see in a plan must not be in it.

use super::unmanaged::is_nobodys;
use super::workspace::Workspace;
use crate::core::name::AppName;
use crate::core::step::{Action, Hold};
use crate::error::Result;
use crate::secrets;
use crate::secrets::model::{Op as SecretOp, Published, secret_address};
use crate::services::postgres::model::{Access, Database, Grant, Op as PostgresOp, grant_address, role_address};
use crate::services::{Model, Op, Plan, Renaming, Step};
use crate::spec;
use crate::state::Document;
use std::collections::BTreeMap;

/// Why the plan is not carried out, in words.
///
/// # Errors
/// What infraspecs want to be published cannot be told.
pub fn refused(plan: &Plan, workspace: &Workspace, document: &Document) -> Result<Option<String>> {
    let renames = plan.steps.iter().filter_map(|step| Some((step.renamed_from.as_ref()?, &step.address)));
    let state = document.renamed(&Renaming::of(renames));
    let runnable = || plan.steps.iter().filter(|step| !matches!(step.hold, Some(Hold::Blocked { .. })));
    let config = &workspace.config;
    let reserved = runnable().filter(|step| step.action != Action::Forget);
    if let Some(step) = reserved.into_iter().find(|step| is_nobodys(&step.address, config)) {
        return Ok(Some(format!("{} bears a name that is reserved for what is not an app's", step.address)));
    }
    if let Some(step) = runnable().find(|step| takes_more(step, document)) {
        return Ok(Some(format!("{} would remove more than was published for the app's former name", step.address)));
    }
    if let Some((step, role)) = runnable().find_map(|step| Some((step, stranger(step, plan, &state)?))) {
        return Ok(Some(format!(
            "{} would make {role} the owner of what is in it, or take it from {role}, which is not its app's",
            step.address
        )));
    }
    strange_value(plan, workspace, &state)
}

/// Whether more would be removed of an app under its former name than the state says was published for it.
fn takes_more(step: &Step, document: &Document) -> bool {
    let Op::Secrets(SecretOp::RemoveFormer { from, names }) = &step.op else { return false };
    let former = document.resources.get(&secret_address(from.as_str())).and_then(|entry| entry.applied.as_secret());
    former.is_some_and(|former| !names.iter().all(|name| former.values.contains_key(name)))
}

/// A role that would get what is in a database, or lose it, and has nothing to do with that.
fn stranger<'a>(step: &'a Step, plan: &Plan, state: &Document) -> Option<&'a str> {
    let (Op::Postgres(PostgresOp::AlterDatabase { user, .. }), Some(Model::PostgresDatabase(after))) =
        (&step.op, &step.after)
    else {
        return None;
    };
    let Database { name, owner, former_users, .. } = after;
    let address = grant_address(name, user);
    let is_app = |model: &Model| matches!(model, Model::PostgresGrant(Grant { access: Some(Access::App), .. }));
    let planned =
        || plan.steps.iter().filter(|other| other.address == address).filter_map(|other| other.after.as_ref());
    let ours = || state.resources.get(&address).map(|entry| &entry.applied);
    let is_user = user.is_empty() || user == owner || planned().chain(ours()).any(is_app);
    let was_user = |role: &&String| state.resources.get(&role_address(role)).is_some_and(|entry| entry.app == step.app);
    let other = former_users.iter().find(|role| !was_user(role));
    other.or((!is_user).then_some(user)).map(String::as_str)
}

/// What would be published that leads an app where neither its infraspec nor its former values do.
fn strange_value(plan: &Plan, workspace: &Workspace, state: &Document) -> Result<Option<String>> {
    let published: BTreeMap<&AppName, &Published> = plan
        .runnable()
        .filter(|step| matches!(step.op, Op::Secrets(_)))
        .filter_map(|step| Some((&step.app, step.after.as_ref()?.as_secret()?)))
        .collect();
    if published.is_empty() {
        return Ok(None);
    }
    // Infraspecs that are wrong by now, or not there at all, say nothing.
    let specs = spec::load(&workspace.config).ok();
    let wanted = match &specs {
        Some(specs) => secrets::desired(specs, &workspace.config)?,
        None => BTreeMap::new(),
    };
    for (app, published) in published {
        let address = secret_address(app.as_str());
        let values = |model: Option<&Model>| model.and_then(Model::as_secret).map(|one| one.values.clone());
        let last = values(state.resources.get(&address).map(|entry| &entry.applied)).unwrap_or_default();
        let now = values(wanted.get(&address).map(|wanted| &wanted.model)).unwrap_or_default();
        let spec = specs.as_ref().and_then(|specs| specs.apps.get(app)).map(spec::model::App::digest);
        let has_changed = spec.is_none() || spec.as_ref() != plan.apps.get(app);
        if let Some(name) = secrets::strange(&published.values, &last, &now, has_changed) {
            return Ok(Some(format!(
                "it would publish a {name} for the app {app} that is neither what its infraspec says nor what it was told \
                 last"
            )));
        }
    }
    Ok(None)
}
