//! Steps of no service, for the core's own tests.

use super::name::AppName;
use super::step::{Action, Part, Step, StepId};
use std::collections::BTreeSet;

/// A step without ends or operation, that needs the named ones.
pub fn step(address: &str, app: &str, action: Action, needs: &[&str]) -> Step<(), ()> {
    Step {
        address: address.parse().unwrap(),
        part: Part::Main,
        app: AppName::new(app).unwrap(),
        action,
        reasons: BTreeSet::new(),
        risks: BTreeSet::new(),
        changes: Vec::new(),
        notes: Vec::new(),
        before: None,
        op: (),
        after: None,
        sets_credential: false,
        needs: needs.iter().map(|need| StepId::main(need.parse().unwrap())).collect(),
        exclusive: None,
        part_of: None,
        renamed_from: None,
        hold: None,
    }
}
