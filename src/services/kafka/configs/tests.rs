//! The table, and values against it.

use super::super::{Kind, TABLE, WEIGHTY, find, refused, suggestion};
use super::{as_stored, check};

#[test]
fn the_table_is_sorted_and_its_defaults_are_values_of_their_types() {
    assert!(TABLE.is_sorted_by(|one, next| one.name < next.name));
    for config in &TABLE {
        if !config.default.is_empty() {
            assert_eq!(check(config.name, config.default).as_deref(), Ok(config.default), "{}", config.name);
        }
        assert_eq!(as_stored(config.name, config.default), config.default, "{}", config.name);
        assert_eq!(config.kind == Kind::Flag, check(config.name, " TRUE ").as_deref() == Ok("true"), "{}", config.name);
    }
    assert!(WEIGHTY.iter().all(|name| find(name).is_some()));
}

#[test]
fn values_are_put_as_the_broker_shows_them() {
    for (name, text, shown) in [
        ("retention.ms", "7d", "604800000"),
        ("retention.ms", "infinite", "-1"),
        ("retention.bytes", "-1", "-1"),
        ("retention.bytes", " 1GiB ", "1073741824"),
        ("max.compaction.lag.ms", "infinite", "9223372036854775807"),
        ("local.retention.ms", "-2", "-2"),
        ("segment.bytes", "1MiB", "1048576"),
        ("segment.bytes", "2147483647", "2147483647"),
        ("min.insync.replicas", "02", "2"),
        ("min.cleanable.dirty.ratio", "0.50", "0.5"),
        ("min.cleanable.dirty.ratio", "1", "1.0"),
        ("preallocate", "TRUE", "true"),
        ("cleanup.policy", "delete, compact", "compact,delete"),
        ("cleanup.policy", "compact,compact", "compact"),
        ("compression.type", "none", "uncompressed"),
        ("compression.gzip.level", "-1", "-1"),
        ("redpanda.remote.write", "True", "true"),
        ("redpanda.something.new", "as it is", "as it is"),
    ] {
        assert_eq!(check(name, text).as_deref(), Ok(shown), "{name} {text:?}");
        assert_eq!(as_stored(name, shown), shown, "{name} {text:?}");
    }
    // What a broker shows is compared, never judged.
    assert_eq!(as_stored("segment.bytes", "14"), "14");
    assert_eq!(as_stored("cleanup.policy", "delete,compact"), "compact,delete");
    assert_eq!(as_stored("min.cleanable.dirty.ratio", "1.0E-5"), as_stored("min.cleanable.dirty.ratio", "0.00001"));
    assert_eq!(as_stored("retention.ms", "odd"), "odd");
}

#[test]
fn wrong_values_say_what_may_stand_there() {
    for (name, text, message, hint) in [
        ("segment.bytes", "4GiB", "4294967296 is too much", "2147483647 (1 byte less than 2GiB)"),
        ("segment.bytes", "512KiB", "524288 is too little", "1048576 (1MiB)"),
        ("retention.ms", "-2", "-2 is too little", "-1 or \"infinite\" is no limit"),
        ("retention.ms", "1GiB", "\"1GiB\" is not a duration", "a bare number counts"),
        ("retention.ms", "9223372036854775808", "not a duration", "a bare number counts"),
        ("segment.ms", "0", "0 is too little", "1 is the least"),
        ("segment.ms", "infinite", "cannot be infinite", "a number"),
        ("min.insync.replicas", "1GiB", "no whole number", "without a unit"),
        ("min.insync.replicas", "0", "0 is too little", "1 to 2147483647"),
        ("preallocate", "7d", "neither true nor false", "true or false"),
        ("preallocate", "yes", "neither true nor false", "true or false"),
        ("min.cleanable.dirty.ratio", "1.5", "not between 0 and 1", "0.5"),
        ("min.cleanable.dirty.ratio", "NaN", "is no number", "0.5"),
        ("compression.gzip.level", "12", "12 is too much", "or -1 for the codec's own"),
        ("compression.type", "brotli", "\"brotli\"", "known here: uncompressed"),
        ("compression.type", "zst", "\"zst\"", "did you mean \"zstd\"?"),
        ("message.timestamp.type", "createtime", "\"createtime\"", "did you mean \"CreateTime\"?"),
        ("cleanup.policy", "compact,remove", "\"remove\"", "known here: compact, delete"),
        ("cleanup.policy", "", "no word", "known here: compact, delete"),
        ("redpanda.something.new", "a\nb", "line break", "remove it"),
    ] {
        let wrong = check(name, text).expect_err(name);
        assert!(wrong.message.contains(message), "{name} {text:?}: {}", wrong.message);
        assert!(wrong.hint.contains(hint), "{name} {text:?}: {}", wrong.hint);
    }
}

#[test]
fn names_that_are_none_say_which_is() {
    assert_eq!(suggestion("retention.mss"), Some("retention.ms"));
    assert_eq!(suggestion("retention_ms"), Some("retention.ms"));
    assert_eq!(suggestion("redpanda.remote.writes"), Some("redpanda.remote.write"));
    assert_eq!(suggestion("something.of.a.broker.to.come"), None);
    for (name, said) in [
        ("message.format.version", "leave it out"),
        ("message.timestamp.difference.max.ms", "message.timestamp.before.max.ms"),
        ("replication.factor", "replication = 3"),
        ("log.retention.hours", "\"retention.ms\""),
        ("leader.replication.throttled.replicas", "leave it out"),
        ("internal.segment.bytes", "leave it out"),
    ] {
        let (_, hint) = refused(name).unwrap();
        assert!(hint.contains(said), "{name}: {hint}");
    }
    assert_eq!(refused("retention.ms"), None);
}
