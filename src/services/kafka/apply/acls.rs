//! Creates and deletes ACLs.

use super::work::{NEEDS_ALTER, PAUSE, SETTLING, Work};
use crate::services::kafka::client::native::OwnedBinding;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::Binding;
use crate::services::{Model, Outcome, Step};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// ACLs made in one call; KRaft takes 10,000 records.
const MADE: usize = 5_000;
/// ACLs deleted in one call. The controller compares each with all that there are, and does nothing else meanwhile.
const DELETED: usize = 500;

impl Work<'_> {
    /// Creates what is missing, then deletes what is too much, then waits until it can be seen.
    pub(super) async fn acls(&self, steps: &[&Step]) -> Vec<Outcome> {
        let mut troubles: BTreeMap<usize, (Trouble, &str)> = BTreeMap::new();
        let (mut create, mut delete) = (Vec::new(), Vec::new());
        for (index, step) in steps.iter().enumerate() {
            let bindings = |model: &Option<Model>| {
                model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
            };
            let (had, has) = (bindings(&step.before), bindings(&step.after));
            let principal = format!("User:{}", step.address.name);
            let owned =
                |binding: &Binding| (index, OwnedBinding { principal: principal.clone(), binding: binding.clone() });
            create.extend(has.difference(&had).map(owned));
            delete.extend(had.difference(&has).map(owned));
        }
        for (call, all, at_once) in [("CreateAcls", create, MADE), ("DeleteAcls", delete, DELETED)] {
            for batch in all.chunks(at_once) {
                let (places, acls): (Vec<usize>, Vec<OwnedBinding>) =
                    batch.iter().filter(|(index, _)| !troubles.contains_key(index)).cloned().unzip();
                if acls.is_empty() {
                    continue;
                }
                let results = if call == "CreateAcls" {
                    self.admin.create_acls(&acls).await
                } else {
                    self.admin.delete_acls(&acls).await
                };
                let results = results.unwrap_or_else(|trouble| vec![Err(trouble); acls.len()]);
                for (index, result) in places.into_iter().zip(results) {
                    if let Err(trouble) = result {
                        troubles.insert(index, (trouble, call));
                    }
                }
            }
        }
        let visible = self.until_visible(steps, &troubles.keys().copied().collect()).await;
        let outcome = |(index, step): (usize, &&Step)| match troubles.get(&index) {
            Some((trouble, call)) => self.failed(trouble, step, call, NEEDS_ALTER),
            None => match &visible {
                Ok(()) => Outcome::done(),
                Err(trouble) => self.failed(trouble, step, "DescribeAcls", "Describe on Cluster"),
            },
        };
        steps.iter().enumerate().map(outcome).collect()
    }

    async fn until_visible(&self, steps: &[&Step], broken: &BTreeSet<usize>) -> Result<(), Trouble> {
        let good: Vec<&&Step> =
            steps.iter().enumerate().filter(|(index, _)| !broken.contains(index)).map(|(_, step)| step).collect();
        let principals: BTreeSet<&str> = good.iter().map(|step| step.address.name.as_str()).collect();
        let start = Instant::now();
        while !good.is_empty() {
            let seen = self.reader().acls(&principals).await;
            let seen = seen.map_err(|error| Trouble::new(Cause::Other, error.message))?.unwrap_or_default();
            let arrived = good.iter().all(|step| {
                let there = seen.by_principal.get(&step.address.name).map(|acl| &acl.bindings);
                let wanted = step.after.as_ref().and_then(Model::as_kafka_acl).map(|acl| &acl.bindings);
                there.cloned().unwrap_or_default() == wanted.cloned().unwrap_or_default()
            });
            if arrived {
                break;
            }
            if start.elapsed() > SETTLING {
                return Err(Trouble::new(Cause::Transient, "the ACLs were taken, and are not seen after 30 s"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}
