//! A database, out of what the catalogs answered. Pure.

use super::strays::{self, Stray};
use crate::config::PostgresConfig;
use crate::services::postgres::catalog::{DatabaseRow, Inside, privileges};
use crate::services::postgres::model::{Database, belongings, canonical_settings};
use crate::services::postgres::scope::Scope;
use std::collections::BTreeSet;

/// Everything that is managed of a database, as far as it was read. What nobody declared in it is told by `judge`'s
/// rules, or else as far as the steps of the scope take it away.
pub fn database(row: &DatabaseRow, inside: Option<&Inside>, scope: &Scope, judge: Option<&PostgresConfig>) -> Database {
    let (strays, strays_inside) = strays(row, inside, scope, judge);
    Database {
        strays,
        strays_inside,
        objects_of_others: inside
            .filter(|_| scope.adopting.contains(&row.name))
            .map(|inside| belongings::totals(&inside.belongings))
            .map(|totals| totals.into_iter().filter(|(owner, _)| scope.adopts(&row.name, owner)).collect()),
        ..plain(row, inside)
    }
}

fn plain(row: &DatabaseRow, inside: Option<&Inside>) -> Database {
    let provider = row.provider.as_deref().map(|letter| match letter {
        "c" => "libc",
        "i" => "icu",
        "b" => "builtin",
        other => other,
    });
    let locale = match (provider, &row.collate, &row.ctype) {
        (Some("libc"), Some(collate), Some(ctype)) if collate != ctype => Some(format!("{collate} / {ctype}")),
        (Some("libc"), collate, _) => collate.clone(),
        (_, _, _) => row.locale.clone(),
    };
    Database {
        name: row.name.clone(),
        owner: row.owner.clone(),
        public: privileges(&row.acl, None),
        connection_limit: u32::try_from(row.connection_limit).ok(),
        allow_connections: row.allow_connections,
        settings: canonical_settings(&row.settings),
        encoding: row.encoding.clone(),
        locale,
        locale_provider: provider.map(str::to_owned),
        tablespace: row.tablespace.clone(),
        invalid: row.is_left_behind(),
        holds_state: row.holds_state || inside.is_some_and(|inside| inside.holds_state),
        extensions: inside.map(|inside| inside.extensions.clone()),
        strays: BTreeSet::new(),
        strays_inside: None,
        objects_of_others: None,
        migrator: None,
        former_users: BTreeSet::new(),
        oid: Some(row.oid.clone()),
    }
}

/// What nobody declared on a database and in it: all of it if there is a configuration to judge by, else only what the
/// steps of the scope take away.
fn strays(
    row: &DatabaseRow,
    inside: Option<&Inside>,
    scope: &Scope,
    judge: Option<&PostgresConfig>,
) -> (BTreeSet<String>, Option<BTreeSet<String>>) {
    let planned = |words: &String| scope.strays.get(&row.name).is_some_and(|planned| planned.contains(words));
    let counts = |stray: &Stray| match judge {
        Some(config) => stray.counts(&row.name, scope, config),
        None => planned(&stray.words()),
    };
    let words = |stray: Stray| counts(&stray).then(|| stray.words());
    let on_database = strays::on_database(row).filter_map(words).collect();
    (on_database, inside.map(|inside| strays::inside(inside).filter_map(words).collect()))
}
