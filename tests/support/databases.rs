//! What a plan says about the databases of a test, and what the server does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

use crate::postgres::{app, connect};
use crate::support::{World, variable};
use nornplan::core::step::Hold;
use nornplan::services::Step;
use nornplan::spec::model::Postgres as Spec;
use sqlx::AssertSqlSafe;

/// One text of the server, read by nobody but this test.
pub async fn read(database: &str, query: &str) -> Option<String> {
    let mut connection = connect(&variable("NORNPLAN_POSTGRES_USER"), None, database).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await.unwrap()
}

/// Why the database of the app cannot be as wanted.
pub fn blocked(plan: &[Step]) -> String {
    let step = plan.iter().find(|step| step.address.kind.as_str() == "postgres.database").unwrap();
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
