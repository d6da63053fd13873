//! librdkafka's enums by the words that our models use.

use super::native::UNKNOWN;
use super::trouble::{Cause, Trouble};
use rdkafka_sys as sys;
use std::ffi::CString;

type Named<T> = (&'static str, T);

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

pub fn operation_name(operation: sys::rd_kafka_AclOperation_t) -> &'static str {
    OPERATIONS.iter().find(|(_, native)| *native == operation).map_or(UNKNOWN, |(name, _)| name)
}

pub fn mechanism_name(mechanism: sys::rd_kafka_ScramMechanism_t) -> Option<&'static str> {
    MECHANISMS.iter().find(|(_, native)| *native == mechanism).map(|(name, _)| *name)
}

/// The answer, unless it is one to another question (null).
pub fn expected<T>(result: *const T) -> Result<*const T, Trouble> {
    if result.is_null() {
        return Err(Trouble::new(Cause::Other, "librdkafka answered something else than was asked"));
    }
    Ok(result)
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

/// The new object, unless there is none (null).
pub fn made<T>(native: *mut T) -> Result<*mut T, Trouble> {
    if native.is_null() { Err(no_memory()) } else { Ok(native) }
}

type Filter = (
    sys::rd_kafka_ResourceType_t,
    sys::rd_kafka_ResourcePatternType_t,
    sys::rd_kafka_AclOperation_t,
    sys::rd_kafka_AclPermissionType_t,
);

/// Matches every ACL.
pub const ANY: Filter = (
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
