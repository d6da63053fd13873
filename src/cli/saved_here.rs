//! What of a saved plan only this workspace can tell: whether it does what infraspecs, the state and the servers here
//! account for. What a reviewer cannot see in a plan must not be in it.

use super::unmanaged::is_nobodys;
use super::workspace::Workspace;
use crate::core::step::{Action, Hold};
use crate::exec::carried::SavedPlan;
use crate::secrets;
use crate::secrets::model::{Op as SecretOp, secret_address};
use crate::services::postgres::model::{Access, Database, Grant, Op as PostgresOp, grant_address, role_address};
use crate::services::{Model, Op, Plan, Renaming, Step};
use crate::spec;
use crate::state::Document;

/// Why the plan is not carried out, in words. Of what an earlier run has done, the state knows the outcome alone.
pub fn refused(plan: &Plan, known: &SavedPlan, workspace: &Workspace, document: &Document) -> Option<String> {
    let renames = plan.steps.iter().filter_map(|step| Some((step.renamed_from.as_ref()?, &step.address)));
    let state = document.renamed(&Renaming::of(renames));
    let is_left = |step: &&Step| !matches!(step.hold, Some(Hold::Blocked { .. })) && !known.has_done(step);
    let runnable = || plan.steps.iter().filter(is_left);
    let config = &workspace.config;
    let named = runnable().filter(|step| step.action != Action::Forget);
    let mut named = named.flat_map(|step| step.renamed_from.iter().chain([&step.address]));
    if let Some(address) = named.find(|address| is_nobodys(address, config)) {
        return Some(format!("{address} bears a name that is reserved for what is not an app's"));
    }
    if let Some(step) = runnable().find(|step| takes_more(step, document)) {
        return Some(format!("{} would remove more than was published for the app's former name", step.address));
    }
    if let Some((step, role)) = runnable().find_map(|step| Some((step, stranger(step, plan, &state)?))) {
        return Some(format!(
            "{} would make {role} the owner of what is in it, or take it from {role}, which is not its app's",
            step.address
        ));
    }
    strange_value(plan, known, workspace, &state)
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

/// What would be published that leads an app where neither its infraspec, nor its former values, nor the workspace do.
fn strange_value(plan: &Plan, known: &SavedPlan, workspace: &Workspace, state: &Document) -> Option<String> {
    let of_secrets = |step: &&Step| matches!(step.op, Op::Secrets(_)) && !known.has_done(step);
    let published = plan.runnable().filter(of_secrets);
    let mut published = published.filter_map(|step| Some((&step.app, step.after.as_ref()?.as_secret()?))).peekable();
    published.peek()?;
    let config = &workspace.config;
    // Apps that only the state knows may be what others read; infraspecs that are wrong by now, or not there at all, say
    // nothing.
    let mut beside = state.applied();
    beside.retain(|_, one| !plan.apps.contains_key(&one.app));
    let specs = spec::load(config).or_else(|_| spec::load_beside(config, spec::neighbour::apps(&beside))).ok();
    let servers = secrets::servers(config);
    published.find_map(|(app, published)| {
        let address = secret_address(app.as_str());
        let last = state.resources.get(&address).and_then(|entry| entry.applied.as_secret());
        let last = last.map(|last| last.values.clone()).unwrap_or_default();
        let spec = specs.as_ref().and_then(|specs| specs.apps.get(app));
        let now = spec.and_then(|spec| secrets::values(spec, config).ok());
        let has_changed = now.is_none() || spec.map(spec::model::App::digest).as_ref() != plan.apps.get(app);
        let name =
            secrets::strange(&published.values, &last, &now.unwrap_or_default(), &servers, has_changed)?;
        Some(format!(
            "it would publish a {name} for the app {app} that is neither what its infraspec says nor what it was told last"
        ))
    })
}
