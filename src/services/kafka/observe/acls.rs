//! ACLs as they are read: those of principals that are managed, and of everybody else.

use super::reader::{Acls, Reader};
use crate::error::Result;
use crate::services::kafka::client::native::OwnedBinding;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::{Acl, Binding};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// Calls at once.
const SIDE_BY_SIDE: usize = 16;
/// Principals that are asked for one by one while a write spreads; for more, all ACLs are read at once.
const FEW: usize = 64;

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
        let failed = |trouble: Trouble| {
            trouble.of(self.admin.principal()).tell(self.endpoint, "", "DescribeAcls", "Describe on Cluster")
        };
        let all = match self.admin.describe_acls(None).await {
            // More than librdkafka takes at once, or a broker that does not tell all of them (both have been seen).
            Err(trouble) if matches!(trouble.cause, Cause::Other | Cause::Invalid) => {
                let some = self.bindings_of(principals).await.map_err(failed)?;
                return Ok(Some(EveryAcl {
                    managed: sort(some, principals).0,
                    others: None,
                    strange: BTreeMap::new(),
                }));
            }
            all => all.map_err(failed)?,
        };
        if all.is_empty() && !self.has_authorizer().await? {
            return Ok(None);
        }
        let mut strange = BTreeMap::new();
        for owned in all.iter().filter(|owned| !owned.is_known() && !is_one_of(owned, principals)) {
            *strange.entry(owned.principal.clone()).or_default() += 1;
        }
        let (managed, others) = sort(all, principals);
        Ok(Some(EveryAcl { managed, others: Some(others), strange }))
    }

    /// The ACLs of some principals by exact filters, with no question whether there is an authorizer.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn bindings_of(&self, principals: &BTreeSet<&str>) -> Result<Vec<OwnedBinding>, Trouble> {
        if principals.len() > FEW
            && let Ok(all) = self.admin.describe_acls(None).await
        {
            return Ok(all);
        }
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
pub fn sort(all: Vec<OwnedBinding>, principals: &BTreeSet<&str>) -> (Acls, Vec<OwnedBinding>) {
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
