//! What `drift --unmanaged` looks for, and what of it is worth telling. Pure.

use crate::config::Config;
use crate::core::address::Address;
use crate::observe;
use crate::scope::Scope;
use crate::services::kafka::model::{ACL, TOPIC, USER as KAFKA_USER, acl_address, user_address};
use crate::services::postgres::model::{DATABASE, ROLE, role_address};
use crate::services::valkey::model::USER as KV_USER;
use crate::services::{self, Ask, Facts, Model, ServiceId};
use crate::spec::model::Specs;
use crate::spec::names::{Named, is_kept_apart};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// All that infraspecs declare or name, and all that is ours.
///
/// # Errors
/// What infraspecs want cannot be told.
pub fn known(specs: &Specs, document: &Document, config: &Config) -> crate::error::Result<BTreeSet<Address>> {
    let mut known = BTreeSet::new();
    let mut add = |address: &Address, model: &Model| {
        known.insert(address.clone());
        if let Model::PostgresGrant(grant) = model {
            known.insert(role_address(&grant.role));
            known.extend(grant.makers.iter().flatten().map(|role| role_address(role)));
        }
        // A principal whose password people look after has a user all the same.
        if address.kind == ACL || address.kind == KAFKA_USER {
            known.extend([user_address(&address.name), acl_address(&address.name)]);
        }
    };
    for id in ServiceId::ALL.into_iter().filter(|id| *id != ServiceId::Secrets) {
        services::desired(id, specs, config)?.iter().for_each(|(address, one)| add(address, &one.model));
    }
    document.applied().iter().for_each(|(address, one)| add(address, &one.model));
    Ok(known)
}

/// Asks each service on which anything is known to list what else there is.
pub fn ask(asks: &mut BTreeMap<ServiceId, Ask>, known: &BTreeSet<Address>, scope: &Scope, document: &Document) {
    for id in ServiceId::ALL.into_iter().filter(|id| *id != ServiceId::Secrets && scope.has_service(*id)) {
        let of_it = |address: &&Address| ServiceId::of(address) == Some(id);
        if known.iter().any(|address| of_it(&address)) {
            let ask = asks.entry(id).or_default();
            observe::remind(ask, id, document);
            ask.unmanaged = Some(known.iter().filter(of_it).cloned().collect());
        }
    }
}

/// Without what is the services' own, what nornplan signs in with, and what the workspace leaves to others.
pub fn worth_telling(found: BTreeMap<Address, Facts>, config: &Config) -> BTreeMap<Address, Facts> {
    let mut found = found;
    found.retain(|address, _| {
        let is_left_to_others = address.kind == ROLE && config.postgres.ignores(&address.name);
        !is_left_to_others && !is_nobodys(address, config)
    });
    found
}

/// Whether a name is one that nothing of ours may have.
pub fn is_nobodys(address: &Address, config: &Config) -> bool {
    named(address).is_some_and(|named| is_kept_apart(named, &address.name, config))
}

fn named(address: &Address) -> Option<Named> {
    let kinds = [
        (DATABASE, Named::Database),
        (ROLE, Named::Role),
        (KV_USER, Named::KvUser),
        (TOPIC, Named::Topic),
        (KAFKA_USER, Named::KafkaUser),
        (ACL, Named::KafkaUser),
    ];
    kinds.into_iter().find(|(kind, _)| *kind == address.kind).map(|(_, named)| named)
}
