//! Who uses what has no ACL yet, and would be shut out by the first ones. Read only when first ACLs may come.

use super::acls::EveryAcl;
use crate::services::Ask;
use crate::services::kafka::acl::lockout::{Acls, Consumers, ShutOut};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{Offset, OwnedBinding};
use crate::services::kafka::client::trouble::Trouble;
use crate::services::kafka::model::{Binding, TOPIC};
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Groups that are looked into, in one call of so many.
const GROUPS: usize = 1_000;
const GROUPS_AT_ONCE: usize = 200;
/// Groups without members whose commits are looked into; each takes a call.
const IDLE_GROUPS: usize = 100;
const SIDE_BY_SIDE: usize = 8;
/// Topics whose last message is asked for.
const TOPICS: usize = 500;
/// How long all of it may take; a plan does not wait longer to say that it is not known.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whom the wanted ACLs would shut out, and why it is not known of all, if it is not. `open` says whether what has no ACL
/// is everybody's, as far as that is known.
pub async fn shut_out(admin: &Admin, ask: &Ask, acls: &EveryAcl, open: Option<bool>) -> (Vec<ShutOut>, Option<String>) {
    let there = acls.all();
    let now: Vec<(&str, &Binding)> = there.iter().map(|(user, acl)| (user.as_str(), *acl)).collect();
    let wanted: Vec<OwnedBinding> = added(ask, acls);
    let added = wanted.iter().map(|owned| (owned.principal.as_str(), &owned.binding)).collect();
    let all = Acls { now, added };
    if open == Some(false) || acls.others.is_none() || !all.may_be_first() {
        return (Vec::new(), None);
    }
    let declared = ask.names(&TOPIC);
    let looked = tokio::time::timeout(PATIENCE, look(admin, &all, &declared, open == Some(true))).await;
    looked.unwrap_or_else(|_| (Vec::new(), Some("the broker took too long to tell".to_owned())))
}

/// What is wanted and not there.
fn added(ask: &Ask, acls: &EveryAcl) -> Vec<OwnedBinding> {
    let wanted = ask.wanted.values().filter_map(|wanted| wanted.model.as_kafka_acl());
    let missing = wanted.flat_map(|acl| {
        let there = acls.managed.by_principal.get(&acl.principal).map(|there| &there.bindings);
        let new = acl.bindings.iter().filter(move |one| there.is_none_or(|there| !there.contains(*one)));
        new.map(|one| OwnedBinding { principal: format!("User:{}", acl.principal), binding: one.clone() })
    });
    missing.collect()
}

async fn look(admin: &Admin, all: &Acls<'_>, declared: &BTreeSet<&str>, open: bool) -> (Vec<ShutOut>, Option<String>) {
    let (groups, writers) = tokio::join!(consumers(admin), writers(admin, all, declared, open));
    let mut untold = Vec::new();
    let mut found = match groups {
        Ok((groups, more)) => {
            untold.extend((more > 0).then(|| format!("{more} consumer groups were not looked into")));
            all.groups_shut_out(&groups)
        }
        Err(trouble) => {
            untold.push(format!("consumer groups cannot be read ({})", trouble.message));
            Vec::new()
        }
    };
    match writers {
        Ok(writers) => found.extend(writers),
        Err(trouble) => untold.push(format!("when topics were written to cannot be read ({})", trouble.message)),
    }
    (found, (!untold.is_empty()).then(|| untold.join("; ")))
}

/// What each group reads, or has read, and how many were left out.
async fn consumers(admin: &Admin) -> Result<(BTreeMap<String, Consumers>, usize), Trouble> {
    let names = admin.list_groups().await?;
    let mut more = names.len().saturating_sub(GROUPS);
    let names: Vec<&str> = names.iter().take(GROUPS).map(String::as_str).collect();
    let (mut groups, mut idle) = (BTreeMap::new(), Vec::new());
    for batch in names.chunks(GROUPS_AT_ONCE) {
        // A group that may not be described is one that was not looked into.
        for group in admin.describe_groups(batch).await? {
            let Ok(group) = group else {
                more += 1;
                continue;
            };
            let consumers: &mut Consumers = groups.entry(group.name.clone()).or_default();
            for member in group.members {
                consumers.topics.extend(member.topics);
                consumers.hosts.push(member.host.trim_start_matches('/').to_owned());
            }
            if consumers.hosts.is_empty() {
                idle.push(group.name);
            }
        }
    }
    more += idle.len().saturating_sub(IDLE_GROUPS);
    idle.truncate(IDLE_GROUPS);
    let commits = stream::iter(idle).map(|name| async move {
        let committed = admin.group_offsets(&name).await;
        (name, committed)
    });
    let commits: Vec<_> = commits.buffer_unordered(SIDE_BY_SIDE).collect().await;
    for (name, committed) in commits {
        match committed {
            Ok(offsets) => {
                let topics = offsets.into_iter().map(|(topic, _, _)| topic);
                groups.entry(name).or_default().topics.extend(topics);
            }
            Err(_) => more += 1,
        }
    }
    Ok((groups, more))
}

/// The topics that exist, get their first ACLs and have messages. Of a prefix only those that are declared by name.
async fn writers(
    admin: &Admin,
    all: &Acls<'_>,
    declared: &BTreeSet<&str>,
    open: bool,
) -> Result<Vec<ShutOut>, Trouble> {
    let named = all.added.iter().filter(|(_, acl)| acl.resource == "topic" && !acl.prefixed);
    let names: BTreeSet<&str> = named.map(|(_, acl)| acl.name.as_str()).chain(declared.iter().copied()).collect();
    let first: Vec<&str> = names.into_iter().filter(|name| all.are_first_on("topic", name)).take(TOPICS).collect();
    if first.is_empty() {
        return Ok(Vec::new());
    }
    let mut partitions = Vec::new();
    for (name, topic) in admin.describe_topics(&first).await? {
        let count = topic.map(|topic| topic.partitions).unwrap_or_default();
        partitions.extend((0..count).filter_map(|number| Some((name.clone(), i32::try_from(number).ok()?))));
    }
    let asked: Vec<(&str, i32)> = partitions.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for (topic, _, at) in admin.list_offsets(&asked, Offset::LastTimestamp).await? {
        // Less than zero stands for no message.
        if let Some(at) = at.ok().filter(|at| *at > 0) {
            let newest = last.entry(topic).or_default();
            *newest = at.max(*newest);
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let ago =
        |at: i64| u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(u64::try_from(at).unwrap_or_default()) / 1_000;
    Ok(last.into_iter().map(|(topic, at)| all.writer(&topic, ago(at), open)).collect())
}
