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
    // The owner of a namespace says who may read it, and the reader's user is what carries the right.
    let mut opened: BTreeMap<&AppName, Vec<&Kv>> = BTreeMap::new();
    for owner in specs.apps.values().filter_map(|owner| owner.kv.as_ref()) {
        owner.readers.iter().for_each(|reader| opened.entry(reader).or_default().push(owner));
    }
    let opened = |app: &App| opened.get(&app.name).map(Vec::as_slice).unwrap_or_default();
    let of = |app: &App, model| Wanted { app: app.name.clone(), model };
    let purged = users().filter(|(_, kv)| kv.on_destroy == OnDestroy::PurgeKeys).filter_map(|(app, kv)| {
        let keys = Keys { namespace: kv.namespace.clone()?, db: kv.db };
        Some((keys_address(&keys), of(app, Model::ValkeyKeys(keys))))
    });
    users()
        .map(|(app, kv)| (user_address(&kv.user), of(app, Model::ValkeyUser(declared(kv, opened(app))))))
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

/// `opened` are the namespaces of others that it may read.
fn declared(kv: &Kv, opened: &[&Kv]) -> User {
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
