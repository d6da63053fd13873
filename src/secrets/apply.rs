//! Carries out steps on the sink: the files of many apps are written side by side, as each mostly waits for the disk, and
//! made durable together.

use super::model;
use super::{Vault, service};
use crate::error::{Diagnostic, Kind, Result};
use crate::services::{Model, Op, Outcome, Step};
use futures_util::future::join_all;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Apps that are written at the same time.
const AT_ONCE: usize = 16;

/// What is done for one app.
type Work = fn(&Vault, &Step) -> Result<()>;

/// One outcome for each step, in their order.
pub async fn apply(vault: &Arc<Vault>, steps: &[&Step]) -> Vec<Outcome> {
    let steps: Vec<Step> = steps.iter().map(|step| (*step).clone()).collect();
    let mut done = write_all(vault, &steps, carry_out).await;
    // Not before it is durable there may what is published leave the stage.
    let (places, published): (Vec<usize>, Vec<Step>) = steps
        .into_iter()
        .enumerate()
        .filter(|(place, step)| publishes(step) && done.get(*place).is_some_and(Result::is_ok))
        .unzip();
    if !published.is_empty() {
        let left = write_all(vault, &published, |vault, step| vault.unstage_published(&step.app)).await;
        for (place, left) in places.into_iter().zip(left) {
            if let Some(done) = done.get_mut(place) {
                *done = left;
            }
        }
    }
    done.into_iter().map(|done| done.map_or_else(Outcome::failed, |()| Outcome::done())).collect()
}

/// Does the work for every step, and makes all of it durable. Begins nothing more where nobody waits for it.
async fn write_all(vault: &Arc<Vault>, steps: &[Step], work: Work) -> Vec<Result<()>> {
    let given_up = CancellationToken::new();
    let _gives_up = given_up.clone().drop_guard();
    let some = steps.chunks(steps.len().div_ceil(AT_ONCE).max(1)).map(async |some| {
        let (vault, steps, given_up) = (vault.clone(), some.to_vec(), given_up.clone());
        let done = tokio::task::spawn_blocking(move || {
            // Given up is what is waited for no more, so that nobody reads what stands here for the steps not begun.
            steps.iter().map(|step| if given_up.is_cancelled() { Ok(()) } else { work(&vault, step) }).collect()
        });
        let done = done.await;
        done.unwrap_or_else(|error| {
            let error = Diagnostic::new(Kind::Secrets, "the secrets could not be written").because(error);
            failed(&error, some.len())
        })
    });
    let done: Vec<Result<()>> = join_all(some).await.into_iter().flatten().collect();
    match vault.settle() {
        Ok(()) => done,
        Err(error) => failed(&error, steps.len()),
    }
}

fn failed(error: &Diagnostic, steps: usize) -> Vec<Result<()>> {
    (0..steps).map(|_| Err(error.again())).collect()
}

fn carry_out(vault: &Vault, step: &Step) -> Result<()> {
    let before = step.before.as_ref().and_then(Model::as_secret);
    let after = step.after.as_ref().and_then(Model::as_secret);
    match (&step.op, before, after) {
        (Op::Secrets(model::Op::Stage { services }), _, _) => {
            let services = services.iter().filter_map(|(name, renew)| Some((service(name)?, *renew))).collect();
            vault.stage(&step.app, &services)
        }
        (Op::Secrets(model::Op::Publish { proved, untouched }), before, Some(after)) => {
            let proved = proved.iter().filter_map(|name| service(name)).collect();
            let mut after = after.clone();
            let mut before = before.cloned();
            for values in [Some(&mut after), before.as_mut()].into_iter().flatten() {
                values.values.retain(|name, _| !untouched.contains(name));
            }
            vault.publish(&step.app, before.as_ref(), &after, &proved)
        }
        (Op::Secrets(model::Op::Remove), Some(before), _) => {
            vault.remove(&step.app, &before.values.keys().cloned().collect())
        }
        (Op::Secrets(model::Op::TakeOver { from }), _, _) => vault.take_over(from, &step.app),
        (Op::Secrets(model::Op::RemoveFormer { from, names }), Some(before), _) => {
            vault.remove(from, &before.values.keys().chain(names).cloned().collect())
        }
        (Op::Secrets(_) | Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_), _, _) => {
            let error = Diagnostic::new(Kind::Plan, format!("{} is no step on secrets", step.id()));
            Err(error.hint("this plan was not made by nornplan; make a new one"))
        }
    }
}

fn publishes(step: &Step) -> bool {
    matches!(step.op, Op::Secrets(model::Op::Publish { .. }))
}
