//! Whether a plan is one that nornplan writes: each step is held against its own models, and all of them against one
//! another. Pure.
//!
//! A saved plan is a file, and its checksum can be made anew by whoever edits it. What `nornplan show` tells of a step must
//! be what the step does, whoever wrote the file: its address, what changes, what it risks, and what it waits for all
//! follow from what is there and what shall be.

mod names;
mod operations;
mod order;
mod told;
mod whose;

use crate::core::lint;
use crate::services::{Plan, Step};
use std::fmt::Display;

/// What is wrong with a step, and in which of its fields.
struct Wrong {
    field: &'static str,
    why: String,
}

type Judged = Result<(), Wrong>;

/// Nothing, if it holds; else what is wrong.
fn holds(it_is: bool, field: &'static str, why: impl Display) -> Judged {
    if it_is { Ok(()) } else { Err(Wrong { field, why: why.to_string() }) }
}

/// Why nornplan does not write such a plan: the first step that it would write otherwise, with the field.
///
/// # Errors
/// A sentence that names them.
pub fn check(plan: &Plan) -> Result<(), String> {
    if let Some(broken) = lint::lint(plan).first() {
        return Err(broken.clone());
    }
    for step in &plan.steps {
        alone(step)
            .and_then(|()| whose::check(step, plan))
            .and_then(|()| told::check(step, plan))
            .map_err(|wrong| words(step, &wrong))?;
    }
    order::check(&plan.steps).map_err(|(step, wrong)| words(step, &wrong))?;
    whose::check_prevention(plan)
}

/// What can be seen of a step without any other.
fn alone(step: &Step) -> Judged {
    names::check(step)?;
    operations::check(step)
}

fn words(step: &Step, Wrong { field, why }: &Wrong) -> String {
    format!("{}, {field}: {why}", step.id())
}
