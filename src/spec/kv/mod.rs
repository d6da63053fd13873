//! Valkey's part of an infraspec.

pub mod database;
pub mod lint;
pub mod rules;

use crate::spec::fields::Fields;
use crate::spec::node::{Located, Value};
use crate::spec::source::Spot;

/// Keys that speak of a user of the app's own.
const OF_A_USER: [&str; 8] = ["user", "access", "commands", "keys", "channels", "readers", "credential", "on_destroy"];

/// Reads the namespace: its name, or where it says that there is none.
pub fn namespace(fields: &mut Fields<'_, '_>) -> (Option<Located<String>>, Option<Spot>) {
    match fields.get("namespace") {
        Some(Located { value: Value::Flag(false), spot }) => (None, Some(spot.clone())),
        Some(node) if matches!(node.value, Value::Flag(_)) => {
            let error = node.spot.error("namespace is true, which names none: every app has one unless it is false");
            fields.fail(error.hint("leave the key out for the app's name, or write a name"));
            (None, None)
        }
        Some(_) | None => (fields.text("namespace"), None),
    }
}

/// Checks what stands beside `namespace = false`.
pub fn check_whole(fields: &mut Fields<'_, '_>, whole: &Spot) {
    if fields.get("db").is_none() {
        let error = whole.error("namespace is false, and there is no db that the app would have as a whole");
        fields.fail(error.hint("write db = 3 beside it, a number that no other app has"));
    }
    if let Some(keys) = fields.key_spot("keys") {
        let error = keys.error("keys beside namespace = false: the app has all keys of its database already");
        fields.fail(error.hint("leave keys out"));
    }
    if let Some(purges) = fields.key_spot("on_destroy") {
        let error = purges.error("on_destroy beside namespace = false: keys are told apart by their namespace alone");
        fields.fail(error.hint("leave on_destroy out, and empty the database by hand when the app is gone"));
    }
}

/// Checks what stands beside `shared = true`.
pub fn check_shared(fields: &mut Fields<'_, '_>, shared: &Spot) {
    if !matches!(fields.get("namespace").map(|node| &node.value), Some(Value::Flag(false))) {
        let error = shared.error("shared is for apps with a database number and no namespace");
        fields.fail(
            error.hint("write namespace = false and a db beside it, or leave shared out: the namespace isolates"),
        );
    } else if fields.get("db").is_none() {
        let error = shared.error("shared is true, and there is no db that the app would be sent to");
        fields.fail(error.hint("write db = 3 beside it, a number that no other app has"));
    }
    for key in OF_A_USER {
        if let Some(spot) = fields.key_spot(key) {
            let error = spot.error(format!("{key} beside shared = true: a shared app has no user of its own"));
            fields.fail(error.hint(format!("leave {key} out, or leave shared out for a user that isolates")));
        }
    }
}
