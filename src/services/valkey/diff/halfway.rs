//! What a run leaves behind that ended between two nodes: a step that was begun, and not ended. Pure.

use crate::core::change::agree;
use crate::core::step::Part;
use crate::services::valkey::model::{DefaultUser, User};
use crate::services::{Model, Step};
use std::collections::BTreeSet;

/// Whether each node has a user as it was before a step or as the step makes it, as far as the first that has it tells: of
/// the others it is known that they differ. Every call of ours may be made twice.
pub fn is_halfway(step: &Step, now: Option<&Model>) -> bool {
    let Some(now) = now.and_then(|now| on_one_node(now, step.part)) else { return false };
    let ends = step.before.iter().chain(&step.after);
    ends.filter_map(|end| on_one_node(end, step.part)).any(|end| agree(&end, &now))
}

/// A user without what other nodes have of it. What sets and removes passwords finds one more on some of them.
fn on_one_node(model: &Model, part: Part) -> Option<Model> {
    match model {
        Model::ValkeyUser(user) => {
            let is_of_password = matches!(part, Part::Credential | Part::Close);
            let extra_passwords = user.extra_passwords.filter(|_| !is_of_password);
            Some(Model::ValkeyUser(User { uneven_nodes: BTreeSet::new(), extra_passwords, ..user.clone() }))
        }
        Model::ValkeyDefaultUser(user) => {
            Some(Model::ValkeyDefaultUser(DefaultUser { uneven_nodes: BTreeSet::new(), ..user.clone() }))
        }
        Model::PostgresRole(_)
        | Model::PostgresDatabase(_)
        | Model::PostgresGrant(_)
        | Model::PostgresLockDown(_)
        | Model::ValkeyPersistence(_)
        | Model::ValkeyKeys(_)
        | Model::KafkaUser(_)
        | Model::KafkaTopic(_)
        | Model::KafkaAcl(_)
        | Model::Secret(_) => None,
    }
}
