//! What topics hold and who uses them: read at plan time, of those alone that may lose something, within bounds of number
//! and time. What cannot be read is told as that; a plan does not fail for it.

pub mod count;
mod groups;
mod sample;

use super::acls::EveryAcl;
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{Offset, OwnedBinding};
use crate::services::kafka::client::trouble::Trouble;
use crate::services::kafka::configs::KEEPING;
use crate::services::kafka::model::{CONTENT, GROUPS, Holdings, TOPIC, topic_address};
use crate::services::{Ask, Model, Observed};
use count::{Counted, Offsets};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

/// Topics that are looked into at most.
const TOPICS: usize = 200;
/// So long it may all take.
const LONGEST: Duration = Duration::from_secs(5);

/// Adds what they hold to the facts of topics that are ours and go, of those that are to keep less, and of those that
/// somebody else made and filled.
pub async fn add(
    config: &KafkaConfig,
    admin: &Admin,
    ask: &Ask,
    acls: Option<&EveryAcl>,
    resources: &mut BTreeMap<Address, Observed>,
) {
    let goes = |address: &&Address| !ask.wanted.contains_key(*address) && ask.applied.contains_key(*address);
    let topics = || resources.iter().filter(|(address, _)| address.kind == TOPIC);
    let mut names: BTreeSet<&str> = topics()
        .filter(|(address, observed)| goes(address) || may_keep_less(ask, address, observed))
        .map(|(address, _)| address.name.as_str())
        .collect();
    // Of what is taken over nothing is lost: it is looked into as far as there is room.
    let adopted = topics().filter(|(address, _)| !ask.applied.contains_key(*address));
    names.extend(adopted.map(|(address, _)| address.name.as_str()).take(TOPICS.saturating_sub(names.len())));
    if names.is_empty() {
        return;
    }
    let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut held = of_topics(config, admin, &names, &ask.known).await;
    match acls.map(|acls| &acls.others) {
        Some(Some(others)) => tell_acls(&mut held, others, ask),
        Some(None) => tell_unread(held.values_mut(), "whose ACLs name it", &Trouble::other("there are too many")),
        // A broker without an authorizer keeps none.
        None => {}
    }
    for (name, holdings) in held {
        resources.entry(topic_address(&name)).and_modify(|observed| observed.facts.extend(holdings.facts()));
    }
}

/// ACLs that name a topic and are of nobody in this run.
fn tell_acls(held: &mut BTreeMap<String, Holdings>, others: &[OwnedBinding], ask: &Ask) {
    for holdings in held.values_mut() {
        holdings.acls_of_others = Some(BTreeMap::new());
    }
    for OwnedBinding { principal, binding } in others {
        if binding.resource != "topic" || binding.prefixed {
            continue;
        }
        let Some(holdings) = held.get_mut(&binding.name) else { continue };
        let is_ours = principal.strip_prefix("User:").is_some_and(|user| ask.knows(user));
        let of = if is_ours { &mut holdings.acls_left_out } else { &mut holdings.acls_of_others };
        let verb = if binding.allow { "" } else { "deny " };
        let operation = format!("{verb}{}", binding.operation);
        of.get_or_insert_default().entry(principal.clone()).or_default().insert(operation);
    }
}

/// Whether a topic's configs change that say which messages it keeps. Whether that is less, the differ finds out.
fn may_keep_less(ask: &Ask, address: &Address, there: &Observed) -> bool {
    let topic = |model: Option<&Model>| model.and_then(Model::as_kafka_topic).cloned();
    let wanted = topic(ask.wanted.get(address).map(|one| &one.model));
    let last = topic(ask.applied.get(address).map(|one| &one.model));
    let (Some(wanted), Some(there)) = (wanted, topic(Some(&there.model))) else { return false };
    KEEPING.into_iter().any(|name| {
        let was_declared = last.as_ref().is_some_and(|last| last.config.contains_key(name));
        match wanted.config.get(name) {
            Some(value) => there.effective(name) != Some(value.as_str()),
            None => there.config.contains_key(name) && (was_declared || wanted.is_exact()),
        }
    })
}

/// What topics hold: how many messages, about how much, since when nothing came, and who reads them.
pub async fn of_topics(
    config: &KafkaConfig,
    admin: &Admin,
    names: &BTreeSet<&str>,
    logins: &BTreeSet<String>,
) -> BTreeMap<String, Holdings> {
    let until = Instant::now() + LONGEST;
    let looked_at: BTreeSet<&str> = names.iter().copied().take(TOPICS).collect();
    let mut held: BTreeMap<String, Holdings> =
        names.iter().map(|name| ((*name).to_owned(), Holdings::default())).collect();
    let beyond = Trouble::other(format!("only {TOPICS} topics are looked into"));
    tell_unread(
        held.iter_mut().filter(|(name, _)| !looked_at.contains(name.as_str())).map(|(_, holdings)| holdings),
        CONTENT,
        &beyond,
    );
    let (counted, groups) =
        tokio::join!(timeout_at(until, count::count(admin, &looked_at)), groups::look(admin, names, logins, until));
    let counted =
        counted.unwrap_or_else(|_| Err(too_long())).unwrap_or_else(|trouble| Counted::nothing(names, &trouble));
    let offsets = &counted.offsets;
    for (name, holdings) in held.iter_mut().filter(|(name, _)| looked_at.contains(name.as_str())) {
        match counted.messages(name) {
            Ok(messages) => holdings.messages = Some(messages),
            Err(trouble) => tell_unread(std::iter::once(holdings), CONTENT, &trouble),
        }
    }
    let mut reading = groups.reading(names, offsets);
    for (name, holdings) in &mut held {
        holdings.groups = Some(reading.remove(name).unwrap_or_default());
        holdings.consumers_unseen = groups.unseen.as_ref().map(|trouble| trouble.message.clone());
    }
    if let Some(trouble) = &groups.unread {
        tell_unread(held.values_mut(), GROUPS, trouble);
    }
    let (last, sizes) =
        tokio::join!(timeout_at(until, last_times(admin, offsets)), sample::sizes(config, admin, offsets, until),);
    // Redpanda does not tell it, and nobody misses it there.
    if let Ok(Ok(last)) = last {
        for (topic, time) in last {
            held.entry(topic).and_modify(|holdings| holdings.last_message = in_words(time));
        }
    }
    match sizes {
        Ok(sizes) => {
            for holdings in held.iter_mut().filter_map(|(name, holdings)| sizes.get(name).map(|mean| (mean, holdings)))
            {
                let (mean, holdings) = holdings;
                holdings.size_bytes = holdings.messages.map(|messages| messages.saturating_mul(*mean));
            }
        }
        Err(trouble) => tell_unread(
            held.values_mut().filter(|holdings| holdings.messages.is_some_and(|messages| messages > 0)),
            "its size",
            &trouble,
        ),
    }
    held
}

/// The greatest timestamp in each topic that has messages, in milliseconds since 1970.
async fn last_times(admin: &Admin, offsets: &Offsets) -> Result<BTreeMap<String, i64>, Trouble> {
    let filled = offsets.iter().filter(|(_, (first, next))| next > first);
    let asked: Vec<(&str, i32)> = filled.map(|((name, partition), _)| (name.as_str(), *partition)).collect();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for (topic, _, time) in admin.list_offsets(&asked, Offset::LastTimestamp).await? {
        let time = time.unwrap_or(-1);
        last.entry(topic).and_modify(|known| *known = time.max(*known)).or_insert(time);
    }
    Ok(last)
}

fn tell_unread<'a>(all: impl Iterator<Item = &'a mut Holdings>, what: &str, trouble: &Trouble) {
    for holdings in all {
        holdings.unread.get_or_insert_default().insert(what.to_owned(), trouble.message.clone());
    }
}

fn too_long() -> Trouble {
    Trouble::other(format!("it took longer than {} s", LONGEST.as_secs()))
}

/// Messages between two offsets, at most.
fn difference(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or_default()
}

/// `2026-12-31 13:05 UTC`; nothing for a time that is none.
fn in_words(ms: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).ok().filter(|_| ms >= 0)?;
    Some(format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_differences_of_nothing_are_none() {
        assert_eq!(in_words(1_798_722_300_999).as_deref(), Some("2026-12-31 13:05 UTC"));
        assert_eq!((in_words(-1), in_words(i64::MAX)), (None, None));
        assert_eq!((difference(3, 10), difference(10, 3), difference(i64::MIN, i64::MAX)), (7, 0, i64::MAX as u64));
    }
}
