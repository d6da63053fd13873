//! Nothing goes that the state did not call ours, nothing of others changes unsaid, and every server is named.

use super::{Judged, holds};
use crate::core::address::Address;
use crate::core::plan::Notice;
use crate::core::step::{Action, Hold, Part, Reason};
use crate::planner::prevention;
use crate::secrets::model::SECRET;
use crate::services::postgres::model::{GRANT, ROLE, role_address};
use crate::services::{Model, Plan, ServiceId, Step};

pub fn check(step: &Step, plan: &Plan) -> Judged {
    let owner = plan.owners.get(&step.address);
    if matches!(step.action, Action::Destroy | Action::Forget) {
        let is_ours = owner == Some(&step.app) || goes_with_its_role(step, plan);
        holds(is_ours, "app", format!("when it was planned, the state did not say that it is {}'s", step.app))?;
    }
    let takes = matches!(step.action, Action::Update | Action::Adopt) && step.before.is_some();
    if takes && matches!(step.part, Part::Main | Part::Publish) {
        let reason = match owner {
            None => Some(Reason::NotOursYet),
            Some(owner) => (*owner != step.app).then_some(Reason::FromAnotherApp),
        };
        let is_said = reason.is_none_or(|reason| step.reasons.contains(&reason));
        holds(is_said, "reasons", format!("it was not {}'s when it was planned", step.app))?;
    }
    // What is published of an app is taken over from its former name, whether the state knows it or not.
    let renames = step.part == Part::Rename && step.action == Action::Rename && step.address.kind != SECRET;
    if renames && !matches!(step.hold, Some(Hold::Blocked { .. })) {
        let passes = |other: &Step| other.address == step.address && other.reasons.contains(&Reason::FromAnotherApp);
        let is_ours = owner.is_some_and(|owner| *owner == step.app || plan.steps.iter().any(passes));
        holds(is_ours, "app", format!("when it was planned, the state did not say that it is {}'s", step.app))?;
    }
    let service = ServiceId::of(&step.address).filter(|service| *service != ServiceId::Secrets);
    let is_named = service.is_none_or(|service| plan.services.contains_key(service.as_str()));
    holds(is_named, "address", "the plan does not name its server")
}

/// Whether it is a grant in another app's database to a role of the step's app that goes. One that is gone already is known
/// by its address alone.
fn goes_with_its_role(step: &Step, plan: &Plan) -> bool {
    let is_to = |role: &Address| match &step.before {
        Some(Model::PostgresGrant(grant)) => *role == role_address(&grant.role),
        Some(_) => false,
        None => step.address.name.strip_suffix(&role.name).is_some_and(|database| database.ends_with('/')),
    };
    let goes = |other: &Step| matches!(other.action, Action::Destroy | Action::Forget) && other.address.kind == ROLE;
    step.address.kind == GRANT
        && plan.steps.iter().any(|other| goes(other) && other.app == step.app && is_to(&other.address))
}

/// That an app is no longer protected is said.
///
/// # Errors
/// A sentence that names the app.
pub fn check_prevention(plan: &Plan) -> Result<(), String> {
    let gone =
        plan.prevent_destroy.iter().filter(|(_, says)| !**says).map(|(app, says)| prevention::notice(app, *says));
    let untold = |notice: &Notice| !plan.notices.contains(notice);
    let untold = gone.into_iter().find(untold);
    untold.map_or(Ok(()), |notice| Err(format!("it does not say of the app {} that {}", notice.about, notice.text)))
}
