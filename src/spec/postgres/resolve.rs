//! What `[services.postgres]` means: defaults filled in, values in canonical form, every name checked.

use crate::services::postgres::model::{Credential, Extension};
use crate::spec::claims::Shared;
use crate::spec::model::{Database, Postgres};
use crate::spec::names::Named;
use crate::spec::node::Located;
use crate::spec::postgres::{extensions, locale, outside, read, settings};
use crate::spec::resolve::{Derived, FROM_DATABASE, Resolver, key};
use std::collections::BTreeMap;

/// Resolves what one app wants of PostgreSQL.
pub fn resolve(resolver: &mut Resolver<'_>, written: &read::Postgres) -> Postgres {
    let label = resolver.draft.form.postgres();
    let extensions = extensions::resolve(&written.extensions, resolver.errors);
    let mut databases = Vec::new();
    for database in &written.databases {
        databases.push(resolve_database(resolver, database, &extensions, label));
    }
    let first = databases.first().map(|database| database.name.as_str()).unwrap_or_default();
    let stem = first.strip_suffix("_db").unwrap_or(first);
    let role = |end: &str| {
        let name = format!("{stem}_{end}");
        match written.databases.first().and_then(|database| database.name.as_ref()) {
            Some(database) => Derived { name, from: FROM_DATABASE, spot: database.spot.clone() },
            None => resolver.of_app(name),
        }
    };
    let (default_user, default_owner) = (role("user"), role("owner"));
    let user = resolver.name(Named::Role, written.user.as_ref(), default_user, &key("user", label));
    let owner = resolve_owner(resolver, written, &user, default_owner);
    let (readers, writers) = resolver.guests(&written.readers, &written.writers, Shared::Postgres);
    let mut postgres = Postgres {
        databases,
        user,
        owner,
        connection_limit: limit(written.connection_limit.as_ref()),
        settings: settings::resolve(&written.settings, resolver.errors),
        readers,
        writers,
        grants: BTreeMap::new(),
        migrator: None,
        adopt_objects: written.adopt_objects,
        credential: written.credential,
    };
    outside::resolve(resolver, written, &mut postgres);
    postgres
}

fn resolve_database(
    resolver: &mut Resolver<'_>,
    written: &read::Database,
    of_app: &BTreeMap<String, Extension>,
    label: &str,
) -> Database {
    let default = resolver.of_app(resolver.stem.replace('-', "_"));
    let name = resolver.name(Named::Database, written.name.as_ref(), default, &key("database", label));
    let own = extensions::resolve(&written.extensions, resolver.errors);
    let encoding = locale::encoding(written, resolver.errors);
    Database {
        name,
        extensions: extensions::joined(of_app, own),
        connection_limit: limit(written.connection_limit.as_ref()),
        closed: written.allow_connections == Some(false),
        settings: settings::resolve(&written.settings, resolver.errors),
        locale: locale::locale(written, encoding.as_deref(), resolver.errors),
        encoding,
        locale_provider: written.locale_provider.as_ref().map(|provider| provider.value.word().to_owned()),
        tablespace: locale::tablespace(written, resolver.errors),
    }
}

fn resolve_owner(resolver: &mut Resolver<'_>, written: &read::Postgres, user: &str, default: Derived) -> String {
    let Some(owner) = written.owner.as_ref().filter(|owner| owner.value == user) else {
        let key = key("owner", resolver.draft.form.postgres());
        return resolver.name(Named::Role, written.owner.as_ref(), default, &key);
    };
    // One role for both is what people have who look after the role themselves.
    if written.credential != Credential::Keep {
        let error = owner.spot.error(format!("the role {user:?} signs in and owns the database"));
        let hint = "an owner can undo its own isolation: name another or none, or set credential = \"keep\"";
        resolver.errors.push(error.hint(hint));
    }
    user.to_owned()
}

fn limit(written: Option<&Located<i64>>) -> Option<u32> {
    written.and_then(|limit| u32::try_from(limit.value).ok())
}
