//! What infraspecs want of Valkey.

use super::model::{DefaultUser, Keys, Mode, OnDestroy, User, default_user_address, keys_address, user_address};
use crate::config::{self, ValkeyConfig};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::services::postgres::model::Credential;
use crate::spec::model::{App, Kv, Specs};
use std::collections::BTreeMap;

/// Every resource that the infraspecs declare here, in declared form: the rules depend on the server.
pub fn desired(specs: &Specs) -> BTreeMap<Address, Wanted<Model>> {
    let users = || {
        let users = specs.apps.values().filter_map(|app| app.kv.as_ref().map(|kv| (app, kv)));
        users.filter(|(_, kv)| !kv.shared)
    };
    let of = |app: &App, model| Wanted { app: app.name.clone(), model };
    let purged = users().filter(|(_, kv)| kv.on_destroy == OnDestroy::PurgeKeys).filter_map(|(app, kv)| {
        let keys = Keys { namespace: kv.namespace.clone()?, db: kv.db };
        Some((keys_address(&keys), of(app, Model::ValkeyKeys(keys))))
    });
    users()
        .map(|(app, kv)| (user_address(&kv.user), of(app, Model::ValkeyUser(declared(app, kv, specs)))))
        .chain(purged)
        .collect()
}

/// What the workspace file itself wants of a server that is used.
pub fn of_workspace(config: &ValkeyConfig) -> BTreeMap<Address, Wanted<Model>> {
    let mode = match config.default_user {
        config::DefaultUser::Leave => return BTreeMap::new(),
        config::DefaultUser::Off => Mode::Off,
        config::DefaultUser::AdminOnly => Mode::AdminOnly,
    };
    let model = Model::ValkeyDefaultUser(DefaultUser::declared(mode));
    BTreeMap::from([(default_user_address(), Wanted { app: AppName::workspace(), model })])
}

fn declared(app: &App, kv: &Kv, specs: &Specs) -> User {
    // The owner of a namespace says who may read it, and the reader's user is what carries the right.
    let owners = specs.apps.values().filter_map(|owner| owner.kv.as_ref());
    let opened: Vec<&Kv> = owners.filter(|kv| kv.readers.contains(&app.name)).collect();
    let namespaces = opened.iter().filter_map(|owner| Some((owner.namespace.clone()?, owner.db)));
    let databases = opened.iter().filter(|owner| owner.namespace.is_none()).map(|owner| owner.db);
    User {
        access: Some(kv.access),
        namespace: kv.namespace.clone(),
        reads: Some(namespaces.collect()),
        db: Some(kv.db),
        whole_database: Some(kv.namespace.is_none()),
        reads_databases: Some(databases.collect()),
        more_commands: Some(kv.commands.clone()),
        more_keys: Some(kv.keys.clone()),
        more_channels: Some(kv.channels.clone()),
        generated: Some(kv.credential == Credential::Generate),
        extra_passwords: (kv.credential == Credential::Generate).then_some(0),
        enabled: true,
        ..User::new(&kv.user)
    }
}
