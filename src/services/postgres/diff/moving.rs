//! A role that one app gives to another: what must be known, and what cannot be done in one go. Pure.

use super::View;
use crate::core::name::AppName;
use crate::core::step::{Hold, Part};
use crate::services::postgres::model::{Credential, ROLE};
use crate::services::{Model, Step};
use std::collections::BTreeSet;

/// Blocks roles of apps that get a role from another app themselves, which each would have to come before the other;
/// and says of the others what is left of the former app.
pub fn judge(view: &View, steps: &mut [Step]) {
    let moves = |step: &Step| step.moves() && step.address.kind == ROLE && step.part == Part::Main;
    let takers: BTreeSet<AppName> = steps.iter().filter(|step| moves(step)).map(|step| step.app.clone()).collect();
    for step in steps.iter_mut().filter(|step| moves(step)) {
        let former = view.applied.get(&step.address).map(|last| &last.app);
        if let Some(former) = former.filter(|former| takers.contains(*former)) {
            let reason = format!(
                "{former}, which it belongs to until now, gets another app's role by the same plan: declare a new user for \
                 {former} first, apply, and then let the roles change hands one after the other"
            );
            step.hold = Some(Hold::Blocked { reason });
        }
        if let Some(Model::PostgresRole(role)) = &step.after
            && role.login
            && role.credential != Some(Credential::Generate)
        {
            step.notes.push("whoever knows its password still signs in: change it by hand".to_owned());
        }
    }
}
