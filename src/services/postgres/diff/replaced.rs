//! An app whose database is another one from now on: the new one starts empty, and the app is told to use it. Pure.

use super::View;
use super::facts::facts;
use super::losses::what_is_in;
use crate::core::step::{Reason, Risk};
use crate::services::postgres::model::{Holdings, Op as Do};
use crate::services::{DiffInput, Model, Op, Step};

/// Lets a new database wait for consent where another one of the same app, which it does not declare any more, holds
/// something: what is published names the former one until then.
pub fn mark(view: &View, steps: &mut [Step], input: DiffInput<'_>) {
    for step in steps.iter_mut().filter(|step| step.op == Op::Postgres(Do::CreateDatabase)) {
        for (address, last) in &view.applied {
            let (Model::PostgresDatabase(former), true) = (&last.model, last.app == step.app) else { continue };
            let is_kept = view.wanted.get(address).is_some_and(|wanted| wanted.app == step.app);
            let holdings: Holdings = facts(input.observation, address);
            if is_kept || !view.observed.contains_key(address) || holdings.tables == Some(0) {
                continue;
            }
            step.reasons.insert(Reason::StartsEmpty);
            step.risks.insert(Risk::Interrupts);
            step.notes.push(note(step, &former.name, &holdings));
        }
    }
}

fn note(step: &Step, former: &str, holdings: &Holdings) -> String {
    let (new, app) = (&step.address.name, &step.app);
    let what = what_is_in(holdings).map(|what| format!(" ({what})")).unwrap_or_default();
    format!(
        "it is made empty, and the app is told to use it; what is in {former}{what} stays there: to bring it along, \
         `nornplan snapshot {app}` first, and `nornplan restore {app} FILE --database {new}` afterwards"
    )
}
