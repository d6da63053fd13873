//! What infraspecs may want, at random: three apps that read and write one another's databases.

use crate::support::World;
use nornplan::services::postgres::model::{Access, Credential, Extension};
use nornplan::spec::model::{Database, Postgres};
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The apps; each has a database of its name, and the first two may have one more.
pub const APPS: [&str; 3] = ["one", "two", "three"];
/// Roles that people look after.
pub const METABASE: &str = "metabase";
pub const MIGRATOR: &str = "migrator";
pub const STRANGER: &str = "stranger";

/// What one infraspec says.
#[derive(Clone, Debug)]
pub struct Wish {
    pub more: bool,
    pub connection_limit: Option<u32>,
    pub settings: BTreeMap<String, String>,
    pub database_limit: Option<u32>,
    pub database_settings: BTreeMap<String, String>,
    pub extensions: BTreeSet<String>,
    /// Indexes into [`APPS`].
    pub readers: BTreeSet<usize>,
    pub writers: BTreeSet<usize>,
    pub metabase: Option<bool>,
    pub migrator: bool,
}

/// What all of the infraspecs say; an app may be missing.
pub type Wishes = BTreeMap<&'static str, Wish>;

/// Any infraspecs, with extensions that the server has.
pub fn wishes(extensions: Vec<String>) -> impl Strategy<Value = Wishes> {
    let one = prop::collection::vec(option::weighted(0.9, wish(extensions)), APPS.len());
    one.prop_map(|wishes| APPS.into_iter().zip(wishes).filter_map(|(app, wish)| Some((app, wish?))).collect())
}

fn settings() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop::sample::select(vec!["work_mem", "statement_timeout", "search_path", "application_name"]);
    let values = name.prop_flat_map(|name| {
        let values = match name {
            "work_mem" => vec!["5MB", "8MB"],
            "statement_timeout" => vec!["30s", "1min", "0"],
            "search_path" => vec!["public", "app, public", "\"$user\", public"],
            _ => vec!["it's", "a b", ""],
        };
        (Just(name.to_owned()), prop::sample::select(values).prop_map(str::to_owned))
    });
    prop::collection::vec(values, 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

fn wish(extensions: Vec<String>) -> impl Strategy<Value = Wish> {
    let limits = (option::of(1u32..50), option::of(1u32..50));
    let extensions = prop::collection::btree_set(prop::sample::select(extensions), 0..2);
    let guests = (btree_set(0..APPS.len(), 0..2), btree_set(0..APPS.len(), 0..2));
    let outside = (option::of(any::<bool>()), prop::bool::weighted(0.3));
    (any::<bool>(), limits, settings(), settings(), extensions, guests, outside).prop_map(
        |(more, limits, settings, database_settings, extensions, (readers, writers), (metabase, migrator))| Wish {
            more,
            connection_limit: limits.0,
            settings,
            database_limit: limits.1,
            database_settings,
            extensions,
            readers,
            writers,
            metabase,
            migrator,
        },
    )
}

/// Declares exactly these apps.
pub fn declare(world: &mut World, wishes: &Wishes) {
    world.specs.apps.clear();
    for (app, wish) in wishes {
        let others = |who: &BTreeSet<usize>| {
            let names = who.iter().map(|index| APPS[*index]).filter(|name| name != app && wishes.contains_key(name));
            names.map(|name| world.name(name)).collect::<BTreeSet<_>>()
        };
        let writers = others(&wish.writers);
        let readers = others(&wish.readers).difference(&writers).cloned().collect();
        let database = |name: &str| Database {
            name: world.plain(name),
            extensions: wish.extensions.iter().map(|name| (name.clone(), Extension::default())).collect(),
            connection_limit: wish.database_limit,
            settings: wish.database_settings.clone(),
            ..Database::default()
        };
        let databases = databases(app, wish).iter().map(|name| database(name)).collect();
        let access = |writes: bool| if writes { Access::Readwrite } else { Access::Readonly };
        let spec = Postgres {
            databases,
            user: world.plain(&format!("{app}_user")),
            owner: world.plain(&format!("{app}_owner")),
            connection_limit: wish.connection_limit,
            settings: wish.settings.clone(),
            readers,
            writers,
            grants: wish.metabase.map(|writes| (world.plain(METABASE), access(writes))).into_iter().collect(),
            migrator: wish.migrator.then(|| world.plain(MIGRATOR)),
            adopt_objects: true,
            credential: Credential::Generate,
        };
        world.declare(app, spec);
    }
}

/// The names of an app's databases, without the test's prefix.
pub fn databases(app: &str, wish: &Wish) -> Vec<String> {
    let more = wish.more && app != "three";
    std::iter::once(format!("{app}_db")).chain(more.then(|| format!("{app}_more"))).collect()
}

/// All databases that any app may have, without the test's prefix.
pub fn all_databases() -> Vec<String> {
    let both = |app: &&str| [format!("{app}_db"), format!("{app}_more")];
    APPS.iter().flat_map(both).filter(|name| name != "three_more").collect()
}
