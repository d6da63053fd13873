//! What a call leaves behind whose answer did not come: a step that was begun, and not ended. Pure.

use super::acls::bindings;
use crate::services::Model;
use crate::services::kafka::model::Topic;
use std::collections::BTreeSet;

/// Whether all that is there now is as it was before a step or as the step makes it, so that carrying the step out again
/// ends it: every call of ours may be made twice. What somebody else did meanwhile is never taken for it, unless it is a
/// part of what the step does.
pub fn is_halfway(before: Option<&Model>, now: Option<&Model>, after: Option<&Model>) -> bool {
    match now.or(before).or(after) {
        Some(Model::KafkaAcl(_)) => {
            let (before, now, after) = (bindings(before), bindings(now), bindings(after));
            before.intersection(&after).all(|one| now.contains(one))
                && now.iter().all(|one| before.contains(one) || after.contains(one))
        }
        Some(Model::KafkaUser(_)) => {
            let ends = &credentials(before) | &credentials(after);
            now.is_some() && credentials(now).is_subset(&ends)
        }
        Some(Model::KafkaTopic(_)) => match (topic(before), topic(now), topic(after)) {
            (Some(before), Some(now), Some(after)) => is_one_or_other(before, now, after),
            // One that comes or goes does so as a whole.
            (_, _, _) => false,
        },
        Some(_) | None => false,
    }
}

fn topic(model: Option<&Model>) -> Option<&Topic> {
    model.and_then(Model::as_kafka_topic)
}

/// The mechanisms of all credentials that are known.
fn credentials(user: Option<&Model>) -> BTreeSet<&String> {
    let user = user.and_then(Model::as_kafka_user);
    user.map(|user| user.mechanism.iter().chain(user.other_mechanisms.iter().flatten()).collect()).unwrap_or_default()
}

fn is_one_or_other(before: &Topic, now: &Topic, after: &Topic) -> bool {
    let ends = [before, after];
    let count = |of: fn(&Topic) -> Option<i32>| {
        of(now).is_none() || ends.iter().any(|end| of(end).is_none() || of(end) == of(now))
    };
    let mut names = [before, now, after].into_iter().flat_map(|topic| topic.config.keys());
    count(|topic| topic.partitions)
        && count(|topic| topic.replication)
        && names.all(|name| ends.iter().any(|end| end.config.get(name) == now.config.get(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::kafka::model::{Acl, Binding, User};

    fn acl(bindings: &[&str]) -> Model {
        let bindings = bindings.iter().map(|text| Binding::try_from((*text).to_owned()).unwrap()).collect();
        Model::KafkaAcl(Acl { principal: "shop".to_owned(), bindings })
    }

    fn user(mechanism: &str, others: &[&str]) -> Model {
        Model::KafkaUser(User {
            name: "shop".to_owned(),
            mechanism: Some(mechanism.to_owned()),
            iterations: Some(4096),
            other_mechanisms: Some(others.iter().map(|one| (*one).to_owned()).collect()),
            generated: None,
        })
    }

    fn topic(partitions: i32, config: &[(&str, &str)]) -> Model {
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Model::KafkaTopic(Topic { name: "orders".to_owned(), partitions: Some(partitions), config, ..Topic::default() })
    }

    /// Before, now, after.
    type Case = (Option<Model>, Option<Model>, Option<Model>, bool);

    #[test]
    fn what_lies_between_both_ends_is_gone_on_with_and_nothing_else() {
        let (read, write, all) = ("allow read topic a", "allow write topic a", "allow all topic b");
        let (old, new) = ("SCRAM-SHA-256", "SCRAM-SHA-512");
        let cases: [Case; 17] = [
            // Given, and not yet taken; a part of what was to be given; a part of what was to be taken.
            (Some(acl(&[read])), Some(acl(&[read, write])), Some(acl(&[write])), true),
            (None, Some(acl(&[read])), Some(acl(&[read, write])), true),
            (Some(acl(&[read, write])), Some(acl(&[write])), None, true),
            (Some(acl(&[read, write])), None, Some(acl(&[write, all])), false),
            (Some(acl(&[read])), Some(acl(&[read, all])), Some(acl(&[write])), false),
            // What is set may be set again.
            (None, Some(user(new, &[])), Some(user(new, &[])), true),
            (Some(user(old, &[])), Some(user(new, &[old])), Some(user(new, &[old])), true),
            (Some(user(old, &[])), Some(user(new, &[])), Some(user(new, &[old])), true),
            (Some(user(new, &[old])), Some(user(old, &[])), None, true),
            (Some(user(old, &[])), Some(user(new, &[])), None, false),
            (Some(user(old, &[])), None, Some(user(new, &[old])), false),
            // Grown, and the configs are as they were.
            (Some(topic(1, &[("k", "1")])), Some(topic(3, &[("k", "1")])), Some(topic(3, &[("k", "2")])), true),
            (Some(topic(1, &[("k", "1")])), Some(topic(3, &[])), Some(topic(3, &[])), true),
            (Some(topic(1, &[("k", "1")])), Some(topic(2, &[("k", "1")])), Some(topic(3, &[("k", "2")])), false),
            (Some(topic(1, &[("k", "1")])), Some(topic(3, &[("k", "5")])), Some(topic(3, &[("k", "2")])), false),
            (None, Some(topic(2, &[])), Some(topic(3, &[])), false),
            (Some(topic(1, &[])), Some(topic(2, &[])), None, false),
        ];
        for (before, now, after, expected) in cases {
            let found = is_halfway(before.as_ref(), now.as_ref(), after.as_ref());
            assert_eq!(found, expected, "{before:?}\n{now:?}\n{after:?}");
        }
    }
}
