//! librdkafka's enums by the words that our models use.

use super::native::{Offset, Resource, UNKNOWN};
use super::trouble::{Cause, Trouble};
use crate::services::kafka::model::Binding;
use rdkafka_sys as sys;
use std::collections::BTreeSet;
use std::ffi::{CString, c_int};

/// A word and its native value.
pub type Named<T> = (&'static str, T);

/// Kinds of resource; what librdkafka calls a broker is the cluster here.
pub const RESOURCES: [Named<sys::rd_kafka_ResourceType_t>; 4] = [
    ("topic", sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC),
    ("group", sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_GROUP),
    ("cluster", sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER),
    ("transactional_id", sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID),
];

pub const OPERATIONS: [Named<sys::rd_kafka_AclOperation_t>; 11] = [
    ("all", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALL),
    ("read", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ),
    ("write", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE),
    ("create", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_CREATE),
    ("delete", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DELETE),
    ("alter", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALTER),
    ("describe", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE),
    ("cluster_action", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_CLUSTER_ACTION),
    ("describe_configs", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS),
    ("alter_configs", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS),
    ("idempotent_write", sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE),
];

pub const MECHANISMS: [Named<sys::rd_kafka_ScramMechanism_t>; 2] = [
    ("SCRAM-SHA-256", sys::rd_kafka_ScramMechanism_t::RD_KAFKA_SCRAM_MECHANISM_SHA_256),
    ("SCRAM-SHA-512", sys::rd_kafka_ScramMechanism_t::RD_KAFKA_SCRAM_MECHANISM_SHA_512),
];

/// What a SCRAM mechanism is called that a broker names by a number (the byte of the protocol). One that is not known here
/// is told as that: it is a way in like any other.
pub fn mechanism(number: c_int) -> String {
    let known = MECHANISMS.iter().find(|(_, native)| *native as c_int == number);
    known.map_or_else(|| format!("mechanism {number}"), |(name, _)| (*name).to_owned())
}

/// What librdkafka calls a word.
///
/// # Errors
/// The word is not known.
pub fn meaning<T: Copy>(words: &[Named<T>], word: &str) -> Result<T, Trouble> {
    let found = words.iter().find(|(name, _)| *name == word).map(|(_, native)| *native);
    found.ok_or_else(|| Trouble::new(Cause::Invalid, format!("{word:?} is no word that Kafka knows here")))
}

/// The word for what librdkafka says, if there is one.
pub fn word<T: Copy + PartialEq>(words: &[Named<T>], said: T) -> Option<&'static str> {
    words.iter().find(|(_, native)| *native == said).map(|(name, _)| *name)
}

/// Words for operations.
pub fn operations(said: &[sys::rd_kafka_AclOperation_t]) -> BTreeSet<&'static str> {
    said.iter().map(|one| word(&OPERATIONS, *one).unwrap_or(UNKNOWN)).collect()
}

/// A binding from what librdkafka says of it. One of a pattern or permission that is not known counts as unknown.
pub fn binding((resource, kind, operation, verdict): Kinds, name: String, host: String) -> Binding {
    let sound =
        [pattern(true), pattern(false)].contains(&kind) && [permission(true), permission(false)].contains(&verdict);
    Binding {
        resource: word(&RESOURCES, resource).filter(|_| sound).unwrap_or(UNKNOWN).to_owned(),
        name,
        prefixed: kind == pattern(true),
        operation: word(&OPERATIONS, operation).unwrap_or(UNKNOWN).to_owned(),
        allow: verdict == permission(true),
        host,
    }
}

/// An answer to another question.
pub fn unexpected() -> Trouble {
    Trouble::new(Cause::Other, "librdkafka answered something else than was asked")
}

pub fn c_string(text: &str) -> Result<CString, Trouble> {
    CString::new(text).map_err(|_| Trouble::new(Cause::Invalid, format!("{text:?} has a zero byte in it")))
}

pub fn c_strings(texts: &[&str]) -> Result<Vec<CString>, Trouble> {
    texts.iter().copied().map(c_string).collect()
}

pub fn no_memory() -> Trouble {
    Trouble::new(Cause::Other, "librdkafka could not make an object")
}

/// Kind and name of what has configs.
pub fn resource<'a>(of: &Resource<'a>) -> (sys::rd_kafka_ResourceType_t, &'a str) {
    match of {
        Resource::Topic(name) => (sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name),
        Resource::Broker(id) => (sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER, id),
    }
}

/// What stands for an item that the broker left out of its answer.
pub fn unanswered() -> Trouble {
    Trouble::new(Cause::Unanswered, "the broker did not answer for it")
}

/// The number that stands for it where an offset would.
pub fn offset_spec(at: Offset) -> i64 {
    let spec = match at {
        Offset::Earliest => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
        Offset::Latest => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
        Offset::LastTimestamp => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_MAX_TIMESTAMP,
    };
    i64::from(spec as i32)
}

/// Resource type, pattern type, operation, permission.
pub type Kinds = (
    sys::rd_kafka_ResourceType_t,
    sys::rd_kafka_ResourcePatternType_t,
    sys::rd_kafka_AclOperation_t,
    sys::rd_kafka_AclPermissionType_t,
);

/// Matches every ACL.
pub const ANY: Kinds = (
    sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_ANY,
    sys::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_ANY,
    sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ANY,
    sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ANY,
);

pub fn pattern(prefixed: bool) -> sys::rd_kafka_ResourcePatternType_t {
    if prefixed {
        sys::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_PREFIXED
    } else {
        sys::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL
    }
}

pub fn permission(allow: bool) -> sys::rd_kafka_AclPermissionType_t {
    if allow {
        sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW
    } else {
        sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_DENY
    }
}

/// Sets a config, or resets it.
pub fn edit_operation(set: bool) -> sys::rd_kafka_AlterConfigOpType_t {
    if set {
        sys::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET
    } else {
        sys::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_that_is_not_known_is_a_way_in_all_the_same() {
        assert_eq!([1, 2, 3, -1].map(mechanism), ["SCRAM-SHA-256", "SCRAM-SHA-512", "mechanism 3", "mechanism -1"]);
    }
}
