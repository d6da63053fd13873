//! What became of topics since they were looked at: between the plan and the write others make them anew, and write to them.
//! Whoever said yes, said it of what was shown.

use super::work::Work;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::Topic;
use crate::services::kafka::observe::losses::count::count_in;
use crate::services::kafka::observe::reader::topic_id;
use crate::services::{Model, Step};
use std::collections::BTreeMap;

/// The topics on which steps must not be carried out, and why.
pub async fn refused(work: &Work<'_>, steps: &[&Step]) -> BTreeMap<String, Trouble> {
    let planned: BTreeMap<&str, &Topic> = steps
        .iter()
        .filter_map(|step| Some((step.address.name.as_str(), step.before.as_ref().and_then(Model::as_kafka_topic)?)))
        .filter(|(_, planned)| planned.id.is_some() || planned.empty)
        .collect();
    if planned.is_empty() {
        return BTreeMap::new();
    }
    let of_all = |trouble: &Trouble| planned.keys().map(|name| ((*name).to_owned(), trouble.clone())).collect();
    let names: Vec<&str> = planned.keys().copied().collect();
    let described = match work.admin.describe_topics(&names).await {
        Ok(described) => described,
        Err(trouble) => return of_all(&trouble),
    };
    let mut refused = BTreeMap::new();
    let mut to_count = BTreeMap::new();
    for (name, found) in described {
        let Some(planned) = planned.get(name.as_str()) else { continue };
        match found {
            Ok(found) if is_another(planned, found.id.map(topic_id)) => {
                refused.insert(name, made_again());
            }
            Ok(found) if planned.empty => _ = to_count.insert(name, Ok(found.partitions)),
            Ok(_) => {}
            // It is gone; the write itself finds that out.
            Err(trouble) if trouble.cause == Cause::Absent => {}
            Err(trouble) => _ = refused.insert(name, trouble),
        }
    }
    if to_count.is_empty() {
        return refused;
    }
    let counted_names: Vec<String> = to_count.keys().cloned().collect();
    match count_in(work.admin, to_count).await {
        Ok(counted) => {
            let each = counted_names.into_iter().map(|name| (counted.messages(&name), name));
            refused.extend(each.filter_map(|(held, name)| Some((name, no_longer_empty(held)?))));
        }
        Err(trouble) => {
            refused.extend(counted_names.into_iter().map(|name| (name, not_counted(&trouble))));
        }
    }
    refused
}

/// Whether a topic is not the one that was planned for. What no broker tells is no difference.
fn is_another(planned: &Topic, now: Option<String>) -> bool {
    planned.id.as_ref().zip(now).is_some_and(|(planned, now)| *planned != now)
}

fn made_again() -> Trouble {
    let message = "it was deleted and made again since the plan, so it is another topic than the plan tells of";
    Trouble { next: Some("plan again".to_owned()), ..Trouble::other(message) }
}

/// Why a topic does not go that held nothing when that was planned.
fn no_longer_empty(held: Result<u64, Trouble>) -> Option<Trouble> {
    let noun = |held| if held == 1 { "message" } else { "messages" };
    match held {
        Ok(0) => None,
        Ok(held) => Some(Trouble {
            next: Some("plan again: it tells then what would be lost".to_owned()),
            ..Trouble::other(format!("it holds {held} {} now, and held none when this was planned", noun(held)))
        }),
        Err(trouble) => Some(not_counted(&trouble)),
    }
}

fn not_counted(trouble: &Trouble) -> Trouble {
    let message =
        format!("it held no messages when this was planned, and that cannot be told now: {}", trouble.message);
    Trouble { message, cause: Cause::Transient, next: Some("plan again".to_owned()), principal: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_still_so_is_carried_out() {
        let planned = |id: Option<&str>| Topic { id: id.map(str::to_owned), ..Topic::default() };
        let case = |before, now: Option<&str>| is_another(&planned(before), now.map(str::to_owned));
        assert!(case(Some("a"), Some("b")));
        assert!(!case(Some("a"), Some("a")) && !case(Some("a"), None) && !case(None, Some("a")));
        assert!(no_longer_empty(Ok(0)).is_none());
        let told = no_longer_empty(Ok(20)).unwrap();
        assert_eq!(
            (told.message.as_str(), told.passes()),
            ("it holds 20 messages now, and held none when this was planned", false)
        );
        assert!(no_longer_empty(Err(Trouble::other("away"))).unwrap().passes(), "a moment later it may be told");
    }
}
