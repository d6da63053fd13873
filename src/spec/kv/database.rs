//! Apps that have a database number as a whole: nobody else may have keys in it.

use crate::core::listing::some;
use crate::error::Diagnostic;
use crate::spec::overlap::Loaded;
use std::collections::BTreeMap;

/// So many of the other apps are named.
const SHOWN: usize = 3;

/// Tells every app that would have a database as a whole in which others are too, at its own place.
pub fn check(loaded: &[Loaded], errors: &mut Vec<Diagnostic>) {
    let mut by_number: BTreeMap<u32, Vec<&Loaded>> = BTreeMap::new();
    for one in loaded {
        if let Some(kv) = &one.app.kv {
            by_number.entry(kv.db).or_default().push(one);
        }
    }
    for (number, apps) in by_number {
        let whole = apps.iter().filter(|one| one.app.kv.as_ref().is_some_and(|kv| kv.namespace.is_none()));
        for one in whole {
            let others = apps.iter().filter(|other| other.app.name != one.app.name);
            let others = others.filter_map(|other| {
                other.claims.kv.as_ref().map(|places| format!("{} ({})", other.app.name, places.db))
            });
            let others = some(others, SHOWN);
            let Some(places) = one.claims.kv.as_ref().filter(|_| !others.is_empty()) else { continue };
            let message = format!("database {number} would be all {}'s, and is also that of {others}", one.app.name);
            let hint =
                "an app with namespace = false has a db that no other app has; those with a namespace can share one";
            errors.push(places.db.error(message).hint(hint));
        }
    }
}
