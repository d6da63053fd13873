//! Creates and deletes ACLs.

use super::work::{NEEDS_ALTER, PAUSE, SETTLING, Work};
use crate::services::kafka::client::native::OwnedBinding;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::Binding;
use crate::services::{Model, Outcome, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// ACLs made in one call. KRaft takes 10,000 records (AclControlManager.java of 4.1), of which each ACL is one.
const MADE: usize = 5_000;
/// ACLs deleted in one call. The controller compares each with all that there are, and does nothing else meanwhile.
const DELETED: usize = 500;
/// The longest pause between two looks whether what was written has arrived.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The two calls, in the order in which they are made: nobody is without a right in between.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Create,
    Delete,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateAcls",
            Self::Delete => "DeleteAcls",
        }
    }

    fn at_once(self) -> usize {
        match self {
            Self::Create => MADE,
            Self::Delete => DELETED,
        }
    }
}

/// An ACL and the place of its step.
type Item = (usize, OwnedBinding);
/// What went wrong, by the place of the step.
type Troubles = BTreeMap<usize, (Trouble, &'static str)>;

impl Work<'_> {
    /// Creates what is missing, then deletes what is too much, then waits until it can be seen.
    pub(super) async fn acls(&self, steps: &[&Step]) -> Vec<Outcome> {
        let mut troubles = Troubles::new();
        for call in [Call::Create, Call::Delete] {
            let items: Vec<Item> =
                steps.iter().enumerate().flat_map(|(index, step)| difference(index, step, call)).collect();
            for batch in items.chunks(call.at_once()) {
                // Where something could not be given, nothing is taken.
                let batch = batch.iter().filter(|(index, _)| !troubles.contains_key(index)).cloned().collect();
                for (index, trouble) in self.carry_out_acls(call, batch).await {
                    troubles.entry(index).or_insert((trouble, call.name()));
                }
            }
        }
        let unseen = self.until_visible(steps, &troubles).await;
        let outcome = |(index, step): (usize, &&Step)| {
            let trouble = troubles.get(&index).map(|(trouble, call)| (trouble, *call));
            match trouble.or_else(|| unseen.get(&index).map(|trouble| (trouble, "DescribeAcls"))) {
                Some((trouble, call @ "DescribeAcls")) => self.failed(trouble, step, call, "Describe on Cluster"),
                Some((trouble, call)) => self.failed(trouble, step, call, NEEDS_ALTER),
                None => Outcome::done(),
            }
        };
        steps.iter().enumerate().map(outcome).collect()
    }

    /// One call; the items that failed.
    async fn carry_out_acls(&self, call: Call, items: Vec<Item>) -> Vec<(usize, Trouble)> {
        if items.is_empty() {
            return Vec::new();
        }
        let (places, acls): (Vec<usize>, Vec<OwnedBinding>) = items.into_iter().unzip();
        let results = match call {
            Call::Create => self.admin.create_acls(&acls).await,
            Call::Delete => self.admin.delete_acls(&acls).await,
        };
        let results = results.unwrap_or_else(|trouble| vec![Err(trouble); acls.len()]);
        places.into_iter().zip(results).filter_map(|(place, result)| Some((place, result.err()?))).collect()
    }

    /// Waits until what was written can be read back, and says of which steps it cannot. Somebody else's ACLs that come
    /// meanwhile are the next plan's business.
    async fn until_visible(&self, steps: &[&Step], troubles: &Troubles) -> BTreeMap<usize, Trouble> {
        let good = steps.iter().enumerate().filter(|(index, _)| !troubles.contains_key(index));
        let mut waiting: Vec<(usize, &Step)> = good.map(|(index, step)| (index, *step)).collect();
        let (start, mut pause) = (Instant::now(), PAUSE);
        loop {
            let principals: BTreeSet<&str> = waiting.iter().map(|(_, step)| step.address.name.as_str()).collect();
            if principals.is_empty() {
                return BTreeMap::new();
            }
            let read = self.reader().acls_now(&principals).await;
            if let Ok(seen) = &read {
                waiting.retain(|(_, step)| {
                    let there = seen.by_principal.get(&step.address.name).map(|acl| acl.bindings.clone());
                    !has_arrived(step, &there.unwrap_or_default())
                });
            }
            // Another client may find out what this one cannot any more.
            if start.elapsed() > SETTLING || self.admin.is_broken() {
                let late = Trouble::new(Cause::Transient, "the ACLs were taken, and are not seen after 30 s");
                let why = read.err().unwrap_or(late);
                return waiting.into_iter().map(|(index, _)| (index, why.clone())).collect();
            }
            if !waiting.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The ACLs before and after a step.
fn ends(step: &Step) -> (BTreeSet<Binding>, BTreeSet<Binding>) {
    let bindings = |model: &Option<Model>| {
        model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
    };
    (bindings(&step.before), bindings(&step.after))
}

/// What a call of a step is about.
fn difference(index: usize, step: &Step, call: Call) -> Vec<Item> {
    let (had, has) = ends(step);
    let principal = format!("User:{}", step.address.name);
    let of = |binding: &Binding| (index, OwnedBinding { principal: principal.clone(), binding: binding.clone() });
    match call {
        Call::Create => has.difference(&had).map(of).collect(),
        Call::Delete => had.difference(&has).map(of).collect(),
    }
}

fn has_arrived(step: &Step, there: &BTreeSet<Binding>) -> bool {
    let (had, has) = ends(step);
    has.is_subset(there) && had.difference(&has).all(|gone| !there.contains(gone))
}
