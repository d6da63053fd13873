//! ACLs as they are read: those of principals that are managed, and of everybody else.

use super::reader::{Acls, Reader};
use crate::error::Result;
use crate::services::kafka::client::native::OwnedBinding;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::{Acl, Binding};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

const CALL: &str = "DescribeAcls";
const NEEDS: &str = "Describe on Cluster";
/// Calls at once.
const SIDE_BY_SIDE: usize = 16;
/// Principals that are asked for one by one; for more, all ACLs are read at once.
const FEW: usize = 64;

/// ACLs that were read.
struct Found {
    bindings: Vec<OwnedBinding>,
    /// Whether they are all that there are; else those of the principals that were asked for.
    whole: bool,
}

/// All ACLs of a broker.
#[derive(Debug, Default)]
pub struct EveryAcl {
    /// By principal of those that were asked for.
    pub managed: Acls,
    /// Of all others, as far as their words are known; `None` if the broker does not tell all at once.
    pub others: Option<Vec<OwnedBinding>>,
    /// How many ACLs others have whose words are not known: on tokens, or on users.
    pub strange: BTreeMap<String, usize>,
}

impl EveryAcl {
    /// All that are known, with whose each is (`User:legacy`).
    pub fn all(&self) -> Vec<(String, &Binding)> {
        let managed = self.managed.by_principal.values();
        let managed = managed.flat_map(|acl| acl.bindings.iter().map(|one| (format!("User:{}", acl.principal), one)));
        let others = self.others.iter().flatten().map(|owned| (owned.principal.clone(), &owned.binding));
        managed.chain(others).collect()
    }
}

impl Reader<'_> {
    /// All ACLs; `None` if the broker has no authorizer.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn every_acl(&self, principals: &BTreeSet<&str>) -> Result<Option<EveryAcl>> {
        let found = self.all_or_those_of(principals).await.map_err(self.failed("", CALL, NEEDS))?;
        let Some(Found { bindings, whole }) = self.made_sure(found, principals).await? else { return Ok(None) };
        let mut strange = BTreeMap::new();
        for owned in bindings.iter().filter(|owned| !owned.is_known() && !is_one_of(owned, principals)) {
            *strange.entry(owned.principal.clone()).or_default() += 1;
        }
        let (managed, others) = sort(bindings, principals);
        Ok(Some(EveryAcl { managed, others: whole.then_some(others), strange }))
    }

    /// The ACLs of named principals; `None` if the broker has no authorizer.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn acls(&self, principals: &BTreeSet<&str>) -> Result<Option<Acls>> {
        let found = self.those_of(principals).await.map_err(self.failed("", CALL, NEEDS))?;
        let found = self.made_sure(found, principals).await?;
        Ok(found.map(|found| sort(found.bindings, principals).0))
    }

    /// The same while a write spreads, with no question what an empty answer means.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn acls_now(&self, principals: &BTreeSet<&str>) -> Result<Acls, Trouble> {
        let found = self.those_of(principals).await?;
        Ok(sort(found.bindings, principals).0)
    }

    /// An answer without ACLs may be a refusal, or of a broker that was not ready: librdkafka tells no error of this call.
    /// Where there is an authorizer that lets us ask, it is asked once more, whatever the others' answers were.
    async fn made_sure(&self, mut found: Found, principals: &BTreeSet<&str>) -> Result<Option<Found>> {
        let answered: BTreeSet<&str> =
            found.bindings.iter().filter_map(|one| one.principal.strip_prefix("User:")).collect();
        let silent: BTreeSet<&str> = principals.difference(&answered).copied().collect();
        let is_doubtful = if found.whole { found.bindings.is_empty() } else { !silent.is_empty() };
        if !is_doubtful {
            return Ok(Some(found));
        }
        if !self.has_authorizer().await? {
            return Ok(None);
        }
        let failed = self.failed("", CALL, NEEDS);
        if found.whole {
            return self.all_or_those_of(principals).await.map(Some).map_err(failed);
        }
        found.bindings.extend(self.one_by_one(&silent).await.map_err(failed)?);
        Ok(Some(found))
    }

    /// Few are asked for one by one.
    async fn those_of(&self, principals: &BTreeSet<&str>) -> Result<Found, Trouble> {
        if principals.len() > FEW {
            return self.all_or_those_of(principals).await;
        }
        Ok(Found { bindings: self.one_by_one(principals).await?, whole: false })
    }

    /// All that there are, if they can be told at once: librdkafka takes 100,000 patterns and 100 MB, and there are brokers
    /// that do not tell all of them (both have been seen).
    async fn all_or_those_of(&self, principals: &BTreeSet<&str>) -> Result<Found, Trouble> {
        match self.admin.describe_acls(None).await {
            Err(trouble) if matches!(trouble.cause, Cause::Other | Cause::Invalid) => {
                Ok(Found { bindings: self.one_by_one(principals).await?, whole: false })
            }
            all => Ok(Found { bindings: all?, whole: true }),
        }
    }

    async fn one_by_one(&self, principals: &BTreeSet<&str>) -> Result<Vec<OwnedBinding>, Trouble> {
        let principals: Vec<String> = principals.iter().map(|name| format!("User:{name}")).collect();
        let calls = stream::iter(principals).map(|one| async move { self.admin.describe_acls(Some(&one)).await });
        let found: Vec<Vec<OwnedBinding>> = calls.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

fn is_one_of(owned: &OwnedBinding, principals: &BTreeSet<&str>) -> bool {
    owned.principal.strip_prefix("User:").is_some_and(|name| principals.contains(name))
}

/// Parts ACLs into those of some principals and those of others.
fn sort(all: Vec<OwnedBinding>, principals: &BTreeSet<&str>) -> (Acls, Vec<OwnedBinding>) {
    let (mut acls, mut others) = (Acls::default(), Vec::new());
    let mut found: BTreeMap<String, BTreeSet<Binding>> = BTreeMap::new();
    for owned in all {
        let name = owned.principal.strip_prefix("User:").filter(|name| principals.contains(name)).map(str::to_owned);
        match name {
            Some(name) if owned.is_known() => {
                found.entry(name).or_default().insert(owned.binding);
            }
            Some(name) => *acls.strange.entry(name).or_default() += 1,
            None if owned.is_known() => others.push(owned),
            None => {}
        }
    }
    let model = |(principal, bindings): (String, BTreeSet<Binding>)| (principal.clone(), Acl { principal, bindings });
    acls.by_principal = found.into_iter().map(model).collect();
    (acls, others)
}
