//! Closing a database comes after all else on it: once it is closed, nobody gets into it. Pure.

use crate::core::step::{Action, Part};
use crate::services::postgres::model::{Database, Op as Do};
use crate::services::{Model, Op, Step};
use std::collections::BTreeSet;

/// Makes closing a step of its own.
pub fn put_last(steps: &mut Vec<Step>) {
    let closings: Vec<Step> = steps.iter_mut().filter_map(closing).collect();
    steps.extend(closings);
}

/// The second step of one that would close a database as well as do something else.
fn closing(step: &mut Step) -> Option<Step> {
    let works = matches!(step.op, Op::Postgres(Do::CreateDatabase | Do::AlterDatabase { .. }));
    let was_open = match &step.before {
        Some(Model::PostgresDatabase(before)) => before.allow_connections,
        _ => true,
    };
    let Some(Model::PostgresDatabase(after)) = &step.after else { return None };
    if !works || !was_open || after.allow_connections {
        return None;
    }
    let close = Op::Postgres(Do::CloseDatabase);
    if step.action == Action::Update && step.changes.iter().all(|change| change.field == "allow_connections") {
        step.op = close;
        return None;
    }
    let open = Some(Model::PostgresDatabase(Database { allow_connections: true, ..after.clone() }));
    let closing = Step {
        part: Part::Close,
        risks: BTreeSet::new(),
        notes: Vec::new(),
        before: open.clone(),
        op: close,
        hold: None,
        ..step.clone()
    };
    step.after = open;
    Some(closing)
}
