//! Which consumer groups read topics, and how far they are.

use super::count::Offsets;
use super::difference;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::trouble::Trouble;
use crate::services::kafka::model::Reading;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// Groups that are looked into at most: each takes a call of its own.
const GROUPS: usize = 1_000;
const AT_ONCE: usize = 16;

/// What was found out of groups.
#[derive(Debug, Default)]
pub struct Found {
    /// By topic and group.
    pub by_topic: BTreeMap<String, BTreeMap<String, Reading>>,
    /// Why some of them are not known.
    pub unread: Option<Trouble>,
}

/// The groups that read these topics now, or committed offsets of them.
pub async fn reading(admin: &Admin, topics: &BTreeSet<&str>, offsets: &Offsets) -> Result<Found, Trouble> {
    let all = admin.list_groups().await?;
    let names: Vec<&str> = all.iter().map(String::as_str).take(GROUPS).collect();
    let mut found = Found::default();
    if all.len() > names.len() {
        found.unread = Some(Trouble::other(format!("{} of {} were asked", names.len(), all.len())));
    }
    for group in admin.describe_groups(&names).await? {
        let group = match group {
            Ok(group) => group,
            Err(trouble) => {
                found.unread.get_or_insert(trouble);
                continue;
            }
        };
        for topic in group.members.iter().flat_map(|member| &member.topics) {
            if topics.contains(topic.as_str()) {
                found.by_topic.entry(topic.clone()).or_default().entry(group.name.clone()).or_default().members += 1;
            }
        }
    }
    let each: Vec<_> = names.into_iter().map(|name| async move { (name, admin.group_offsets(name).await) }).collect();
    let committed: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    for (name, committed) in committed {
        let committed = match committed {
            Ok(committed) => committed,
            Err(trouble) => {
                found.unread.get_or_insert(trouble);
                continue;
            }
        };
        for (topic, partition, offset) in committed {
            if !topics.contains(topic.as_str()) {
                continue;
            }
            let between = offsets.get(&(topic.clone(), partition));
            let reading = found.by_topic.entry(topic).or_default().entry(name.to_owned()).or_default();
            match between {
                // What is older than the first message is lost to it already.
                Some((first, next)) => *reading.behind.get_or_insert_default() += difference(offset.max(*first), *next),
                None => reading.unsure = true,
            }
        }
    }
    Ok(found)
}
