//! What a plan says about the databases of a test.

#![allow(clippy::panic, reason = "a test that cannot go on says so")]

use crate::postgres::{app, of_database};
use crate::support::World;
use nornplan::core::step::Hold;
use nornplan::services::Step;
use nornplan::spec::model::Postgres as Spec;

/// Why the database of the app cannot be as wanted.
pub fn blocked(plan: &[Step]) -> String {
    let step = of_database(plan);
    match &step.hold {
        Some(Hold::Blocked { reason }) => reason.clone(),
        other => panic!("{other:?}: {step:#?}"),
    }
}

/// The fields that the plan changes, all of the one database.
pub fn fields(plan: &[Step]) -> Vec<&str> {
    plan.iter().flat_map(|step| &step.changes).map(|change| change.field.as_str()).collect()
}

pub fn declare(world: &mut World, change: impl FnOnce(&mut Spec)) {
    let mut shop = app(world, "shop");
    change(&mut shop);
    world.declare("shop", shop);
}
