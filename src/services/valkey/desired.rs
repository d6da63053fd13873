//! What infraspecs want of Valkey.

use super::model::{Keys, OnDestroy, User, keys_address, user_address};
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::services::postgres::model::Credential;
use crate::spec::model::{App, Kv, Specs};
use std::collections::BTreeMap;

/// Every resource that the infraspecs declare here, in declared form: the rules depend on the server.
pub fn desired(specs: &Specs) -> BTreeMap<Address, Wanted<Model>> {
    let users = || specs.apps.values().filter_map(|app| app.kv.as_ref().map(|kv| (app, kv)));
    let of = |app: &App, model| Wanted { app: app.name.clone(), model };
    let purged = users().filter(|(_, kv)| kv.on_destroy == OnDestroy::PurgeKeys).map(|(app, kv)| {
        let keys = Keys { namespace: kv.namespace.clone(), db: kv.db };
        (keys_address(&kv.namespace), of(app, Model::ValkeyKeys(keys)))
    });
    users()
        .map(|(app, kv)| (user_address(&kv.user), of(app, Model::ValkeyUser(declared(app, kv, specs)))))
        .chain(purged)
        .collect()
}

fn declared(app: &App, kv: &Kv, specs: &Specs) -> User {
    // The owner of a namespace says who may read it, and the reader's user is what carries the right.
    let opened = specs.apps.values().filter_map(|owner| owner.kv.as_ref()).filter(|kv| kv.readers.contains(&app.name));
    User {
        access: Some(kv.access),
        namespace: Some(kv.namespace.clone()),
        reads: Some(opened.map(|owner| (owner.namespace.clone(), owner.db)).collect()),
        db: Some(kv.db),
        generated: Some(kv.credential == Credential::Generate),
        extra_passwords: (kv.credential == Credential::Generate).then_some(0),
        enabled: true,
        ..User::new(&kv.user)
    }
}
