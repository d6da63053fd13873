//! What is not made as long as the user has not said whether it is new, or only another name of what is there: once made,
//! it would stand in the way of a rename. Pure.

use crate::core::step::{Hold, StepId};
use crate::services::postgres::model::Op as Do;
use crate::services::{Model, Op, Step};
use std::collections::BTreeMap;

/// A role that is made to own databases waits with them: where none of them comes to it without consent, it would own
/// nothing.
pub fn hold_owners(steps: &mut [Step]) {
    let mut waiting: BTreeMap<String, Option<StepId>> = BTreeMap::new();
    for step in steps.iter() {
        let (Op::Postgres(Do::CreateDatabase | Do::AlterDatabase { .. }), Some(Model::PostgresDatabase(database))) =
            (&step.op, &step.after)
        else {
            continue;
        };
        let asks = matches!(step.hold, Some(Hold::Interrupt | Hold::Waits { .. }));
        let on = waiting.entry(database.owner.clone()).or_insert_with(|| Some(step.id()));
        if !asks {
            *on = None;
        }
    }
    for step in steps.iter_mut().filter(|step| step.op == Op::Postgres(Do::CreateRole) && step.runs()) {
        if let Some(Some(on)) = waiting.get(&step.address.name) {
            step.hold = Some(Hold::Waits { on: on.clone() });
        }
    }
}
