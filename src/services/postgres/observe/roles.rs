//! Roles as they were read, without what is nobody's business. Pure.

use crate::core::address::Address;
use crate::services::postgres::catalog::Shared;
use crate::services::postgres::model::{Expiry, Role, canonical_settings, role_address};
use crate::services::postgres::scope::Scope;
use crate::services::{Model, Observed};
use std::collections::{BTreeMap, BTreeSet};

/// Roles by name.
type Names<'a> = BTreeMap<&'a str, BTreeSet<String>>;
/// Settings by role, then by database, then by name.
type Settings<'a> = BTreeMap<&'a str, BTreeMap<String, BTreeMap<String, String>>>;

/// Every role of the scope that exists. Who is ignored is neither seen as a member nor as having members.
pub fn observed(scope: &Scope, shared: &Shared, ignores: impl Fn(&str) -> bool) -> BTreeMap<Address, Observed> {
    let (mut member_of, mut members): (Names<'_>, Names<'_>) = (BTreeMap::new(), BTreeMap::new());
    for row in &shared.memberships {
        if !ignores(&row.role) {
            member_of.entry(&row.member).or_default().insert(row.role.clone());
        }
        if !row.trusted && !ignores(&row.member) {
            members.entry(&row.role).or_default().insert(row.member.clone());
        }
    }
    let mut settings: Settings<'_> = BTreeMap::new();
    for row in &shared.database_settings {
        settings.entry(&row.role).or_default().insert(row.database.clone(), canonical_settings(&row.settings));
    }
    let known = shared.roles.iter().filter(|row| scope.roles.contains(&row.name));
    let models = known.map(|row| {
        let name = row.name.as_str();
        let role = Role {
            name: row.name.clone(),
            login: row.login,
            connection_limit: u32::try_from(row.connection_limit).ok(),
            attributes: row.attributes.clone(),
            settings: canonical_settings(&row.settings),
            credential: None,
            valid_until: Some(row.valid_until.clone().map_or(Expiry::Never, Expiry::At)),
            member_of: Some(member_of.remove(name).unwrap_or_default()),
            members: Some(members.remove(name).unwrap_or_default()),
            settings_in_databases: Some(settings.remove(name).unwrap_or_default()),
        };
        (role_address(name), Observed::plain(Model::PostgresRole(role)))
    });
    models.collect()
}
