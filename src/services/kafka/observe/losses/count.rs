//! How many messages topics hold, by the offsets of their partitions. A partition that does not answer may hold anything,
//! so that a topic counts as counted only when each of them has answered.

use super::difference;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::Offset;
use crate::services::kafka::client::trouble::Trouble;
use std::collections::{BTreeMap, BTreeSet};

/// First and next offset of each partition that could be asked.
pub type Offsets = BTreeMap<(String, i32), (i64, i64)>;

/// Partitions in one question.
const AT_ONCE: usize = 5_000;

/// What was found of topics.
#[derive(Debug, Default)]
pub struct Counted {
    /// How many partitions each topic has, or why that is not known.
    pub partitions: BTreeMap<String, Result<usize, Trouble>>,
    pub offsets: Offsets,
}

impl Counted {
    /// Nothing is known of any of them.
    pub fn nothing(topics: &BTreeSet<&str>, trouble: &Trouble) -> Self {
        let partitions = topics.iter().map(|name| ((*name).to_owned(), Err(trouble.clone())));
        Self { partitions: partitions.collect(), offsets: Offsets::new() }
    }

    /// First and next offsets of a topic's partitions.
    fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (i64, i64)> + 'a {
        let own = self.offsets.range((topic.to_owned(), i32::MIN)..=(topic.to_owned(), i32::MAX));
        own.map(|(_, offsets)| *offsets)
    }

    /// Messages of a topic, at most.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn messages(&self, topic: &str) -> Result<u64, Trouble> {
        let partitions = match self.partitions.get(topic) {
            Some(Ok(partitions)) => *partitions,
            Some(Err(trouble)) => return Err(trouble.clone()),
            None => 0,
        };
        let (answered, held) =
            self.of(topic).fold((0, 0_u64), |(count, sum), (first, next)| (count + 1, sum + difference(first, next)));
        match partitions.saturating_sub(answered) {
            0 if partitions > 0 => Ok(held),
            0 => Err(Trouble::other("its partitions did not answer")),
            lacking => Err(Trouble::other(match held {
                0 => format!("{lacking} of {partitions} partitions did not answer"),
                held => {
                    format!(
                        "{lacking} of {partitions} partitions did not answer; in the others are at most {held} messages"
                    )
                }
            })),
        }
    }
}

/// Asks for first and next offsets of all partitions of topics that exist.
///
/// # Errors
/// Why none could be asked.
pub async fn count(admin: &Admin, topics: &BTreeSet<&str>) -> Result<Counted, Trouble> {
    let names: Vec<&str> = topics.iter().copied().collect();
    let described = admin.describe_topics(&names).await?.into_iter();
    count_in(admin, described.map(|(name, found)| (name, found.map(|found| found.partitions))).collect()).await
}

/// The same where it is known how many partitions there are.
///
/// # Errors
/// Why none could be asked.
pub async fn count_in(admin: &Admin, partitions: BTreeMap<String, Result<usize, Trouble>>) -> Result<Counted, Trouble> {
    let all = partitions.iter().filter_map(|(name, count)| Some((name.as_str(), *count.as_ref().ok()?)));
    let asked: Vec<(&str, i32)> =
        all.flat_map(|(name, count)| (0..i32::try_from(count).unwrap_or(i32::MAX)).map(move |at| (name, at))).collect();
    let mut offsets = Offsets::new();
    for batch in asked.chunks(AT_ONCE) {
        let (first, next) =
            tokio::try_join!(admin.list_offsets(batch, Offset::Earliest), admin.list_offsets(batch, Offset::Latest))?;
        let next = next.into_iter();
        let next: BTreeMap<(String, i32), i64> =
            next.filter_map(|(topic, partition, offset)| Some(((topic, partition), told(offset)?))).collect();
        offsets.extend(first.into_iter().filter_map(|(topic, partition, offset)| {
            let place = (topic, partition);
            let next = *next.get(&place)?;
            Some((place, (told(offset)?, next)))
        }));
    }
    Ok(Counted { partitions, offsets })
}

/// An offset that was told: one below zero stands for none.
fn told(offset: Result<i64, Trouble>) -> Option<i64> {
    offset.ok().filter(|offset| *offset >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_does_not_answer_is_not_an_empty_one() {
        let case = |partitions: Option<usize>, offsets: &[(i32, i64, i64)]| {
            let partitions = partitions.ok_or_else(|| Trouble::other("it is away"));
            let counted = Counted {
                partitions: BTreeMap::from([("orders".to_owned(), partitions)]),
                offsets: offsets.iter().map(|(at, from, to)| (("orders".to_owned(), *at), (*from, *to))).collect(),
            };
            counted.messages("orders").map_err(|trouble| trouble.message)
        };
        assert_eq!(case(Some(2), &[(0, 0, 0), (1, 5, 35)]), Ok(30));
        assert_eq!(case(Some(2), &[(0, 0, 0), (1, 5, 5)]), Ok(0));
        assert_eq!(case(Some(2), &[(0, 7, 7)]), Err("1 of 2 partitions did not answer".to_owned()));
        let some = "1 of 3 partitions did not answer; in the others are at most 4 messages";
        assert_eq!(case(Some(3), &[(0, 7, 7), (2, 0, 4)]), Err(some.to_owned()));
        assert_eq!(case(Some(2), &[]), Err("2 of 2 partitions did not answer".to_owned()));
        assert_eq!(case(Some(0), &[]), Err("its partitions did not answer".to_owned()));
        assert_eq!(case(None, &[]), Err("it is away".to_owned()));
        assert_eq!(Counted::default().messages("orders").map_err(|trouble| trouble.message).ok(), None);
    }
}
