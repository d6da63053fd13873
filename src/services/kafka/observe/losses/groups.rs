//! Which consumer groups read topics, and how far they are. All groups are asked who is in them; how far they are takes a
//! call for each, so that is bounded. Apps choose the names of groups and how many they have: none may hide another's.

use super::count::Offsets;
use super::{difference, too_long};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::trouble::Trouble;
use crate::services::kafka::model::Reading;
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Instant, timeout_at};

/// Groups in one question who is in them.
const DESCRIBED: usize = 500;
/// Groups that are asked how far they are at most.
const COMMITTED: usize = 1_000;
const AT_ONCE: usize = 16;
/// What the broker says of a group that is not there, or of one whose consumers it tells newer clients alone (KIP-848).
const DEAD: &str = "Dead";

/// Topic, partition and offset of all that a group has committed.
type Commits = Vec<(String, i32, i64)>;

/// What was found out of groups.
#[derive(Debug, Default)]
pub struct Groups {
    /// Consumers that read a topic now, by topic and group.
    members: BTreeMap<String, BTreeMap<String, u64>>,
    committed: Vec<(String, Commits)>,
    /// Why it is not known of all groups who reads now.
    pub unseen: Option<Trouble>,
    /// Why it is not known of all groups how far they are.
    pub unread: Option<Trouble>,
}

impl Groups {
    fn nothing(trouble: &Trouble) -> Self {
        Self { unseen: Some(trouble.clone()), unread: Some(trouble.clone()), ..Self::default() }
    }

    /// Who reads these topics, by topic and group.
    pub fn reading(&self, topics: &BTreeSet<&str>, offsets: &Offsets) -> BTreeMap<String, BTreeMap<String, Reading>> {
        let mut found: BTreeMap<String, BTreeMap<String, Reading>> = BTreeMap::new();
        let mut of = |topic: &str, group: &str, note: &dyn Fn(&mut Reading)| {
            if topics.contains(topic) {
                note(found.entry(topic.to_owned()).or_default().entry(group.to_owned()).or_default());
            }
        };
        for (topic, groups) in &self.members {
            groups.iter().for_each(|(group, members)| of(topic, group, &|reading| reading.members = *members));
        }
        for (group, (topic, partition, offset)) in
            self.committed.iter().flat_map(|(group, all)| all.iter().map(move |one| (group, one)))
        {
            let between = offsets.get(&(topic.clone(), *partition)).copied();
            of(topic, group, &|reading| match between {
                // What is older than the first message is lost to it already.
                Some((first, next)) => *reading.behind.get_or_insert_default() += difference(first.max(*offset), next),
                None => reading.unsure = true,
            });
        }
        found
    }
}

/// Asks all groups who reads these topics now, and as many as possible what they have committed. What could not be asked
/// is told.
pub async fn look(admin: &Admin, topics: &BTreeSet<&str>, logins: &BTreeSet<String>, until: Instant) -> Groups {
    let all = match timeout_at(until, admin.list_groups()).await.unwrap_or_else(|_| Err(too_long())) {
        Ok(all) => all,
        Err(trouble) => return Groups::nothing(&trouble),
    };
    let mut found = Groups::default();
    let (mut first, mut untold) = (BTreeSet::new(), BTreeSet::new());
    for batch in all.chunks(DESCRIBED) {
        let names: Vec<&str> = batch.iter().map(String::as_str).collect();
        let asked = timeout_at(until, admin.describe_groups(&names)).await.unwrap_or_else(|_| Err(too_long()));
        let described = match asked {
            Ok(described) => described,
            Err(trouble) => {
                found.unseen.get_or_insert(trouble);
                continue;
            }
        };
        for (name, group) in names.into_iter().zip(described) {
            match group {
                Ok(group) => {
                    if group.state == DEAD {
                        untold.insert(name.to_owned());
                    }
                    for topic in group.members.iter().flat_map(|member| &member.topics) {
                        if topics.contains(topic.as_str()) {
                            first.insert(name.to_owned());
                            let of_topic = found.members.entry(topic.clone()).or_default();
                            *of_topic.entry(name.to_owned()).or_default() += 1;
                        }
                    }
                }
                Err(trouble) => _ = found.unseen.get_or_insert(trouble),
            }
        }
    }
    first.extend(untold.iter().cloned());
    let asked: Vec<&str> = in_order(&all, &first, logins).into_iter().take(COMMITTED).collect();
    let count = asked.len();
    let each = asked.into_iter().map(|name| async move { (name, admin.group_offsets(name).await) }.boxed());
    let mut answers = stream::iter(each.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    let mut answered = 0;
    while let Ok(Some((name, committed))) = timeout_at(until, answers.next()).await {
        answered += 1;
        match committed {
            Ok(committed) => {
                if untold.contains(name) && committed.iter().any(|(topic, _, _)| topics.contains(topic.as_str())) {
                    found
                        .unseen
                        .get_or_insert_with(|| Trouble::other("the broker does not tell who is in some groups"));
                }
                found.committed.push((name.to_owned(), committed));
            }
            Err(trouble) => _ = found.unread.get_or_insert(trouble),
        }
    }
    if answered < all.len() {
        let asked = format!("{answered} of {} were asked", all.len());
        let late = if answered < count { format!("{asked}: {}", too_long().message) } else { asked };
        found.unread.get_or_insert(Trouble::other(late));
    }
    found
}

/// Groups in the order in which they are asked: first those that matter in any case, then one of each login, another one
/// of each, and so on. The groups of a login begin with its name.
fn in_order<'a>(groups: &'a [String], first: &BTreeSet<String>, logins: &BTreeSet<String>) -> Vec<&'a str> {
    let mut of_each: BTreeMap<Option<&String>, usize> = BTreeMap::new();
    let mut ranked: Vec<(bool, usize, &str)> = Vec::with_capacity(groups.len());
    for group in groups {
        let owners = logins.iter().filter(|login| group.starts_with(login.as_str()));
        let rank = of_each.entry(owners.max_by_key(|login| login.len())).or_default();
        *rank += 1;
        ranked.push((!first.contains(group), *rank, group));
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
        names.into_iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn no_app_pushes_the_groups_of_others_out() {
        let mut groups = names((0..2_000).map(|number| format!("a.{number:04}")));
        groups.extend(names(["mail", "mail-x", "mail.live", "old-report", "zoo"]));
        let logins = BTreeSet::from(["a", "mail", "mail-x"].map(str::to_owned));
        let order = in_order(&groups, &BTreeSet::from(["zoo".to_owned()]), &logins);
        assert_eq!(order.len(), groups.len());
        assert_eq!(order[..6], ["zoo", "a.0000", "mail", "mail-x", "old-report", "a.0001"]);
        assert!(order[..8].contains(&"mail.live"), "{:?}", &order[..8]);
    }

    #[test]
    fn who_reads_and_how_far_is_told_of_each_partition_that_answered() {
        let place = |partition| ("orders".to_owned(), partition);
        let offsets = Offsets::from([(place(0), (10, 30)), (place(1), (0, 5))]);
        let at = |partition, offset| ("orders".to_owned(), partition, offset);
        let groups = Groups {
            members: BTreeMap::from([("orders".to_owned(), BTreeMap::from([("live".to_owned(), 2)]))]),
            committed: vec![
                ("live".to_owned(), vec![at(0, 5), at(1, 5), ("other".to_owned(), 0, 1)]),
                ("lost".to_owned(), vec![at(2, 7)]),
            ],
            ..Groups::default()
        };
        let found = groups.reading(&BTreeSet::from(["orders"]), &offsets);
        let live = Reading { behind: Some(20), members: 2, unsure: false };
        let lost = Reading { unsure: true, ..Reading::default() };
        let expected = BTreeMap::from([("live".to_owned(), live), ("lost".to_owned(), lost)]);
        assert_eq!(found, BTreeMap::from([("orders".to_owned(), expected)]));
    }
}
