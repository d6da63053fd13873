//! What infraspecs want of Valkey.

use crate::config::ValkeyConfig;
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::spec::model::Specs;
use std::collections::BTreeMap;

/// Every resource that the infraspecs declare here.
pub fn desired(_specs: &Specs, _config: &ValkeyConfig) -> BTreeMap<Address, Wanted<Model>> {
    BTreeMap::new()
}
